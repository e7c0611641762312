//! Installed packages of dpkg, rpm and apk, and libraries beside them.
//!
//! The databases of dpkg and apk are text and are read; rpm's is asked of `rpm`, with a time limit.

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use protocol::answer::Package;

use super::{Unread, libraries, read};

const SUBJECT: &str = "packages";
const FIELD_BYTES_MAX: usize = 128;
const RPM_TIME: Duration = Duration::from_secs(20);
const RPM_BYTES_MAX: u64 = 16 << 20;
const RPM_FORMAT: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%|ARCH?{%{ARCH}}:{}|\\t%{INSTALLTIME}\\n";

/// dpkg keeps the list of a package's files here, and writes it whenever it installs or upgrades it.
const DPKG_LISTS: &str = "/var/lib/dpkg/info";

/// Makes packages of the text of a database.
type Parser = fn(&str) -> Vec<Package>;

/// Databases that are text.
const DATABASES: [(&str, Parser); 2] = [
    ("/var/lib/dpkg/status", parse_dpkg),
    ("/lib/apk/db/installed", parse_apk),
];

/// Whether the host has a database of rpm.
pub(crate) fn has_rpm() -> bool {
    let places = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];
    // Other systems have the directory for their tools' sake, and nothing in it.
    places.iter().any(|it| {
        Path::new(it)
            .read_dir()
            .is_ok_and(|mut it| it.next().is_some())
    })
}

/// What the databases of dpkg and apk say, as far as they can be read.
pub(crate) fn of_text_databases() -> Vec<Package> {
    let read = |(path, parse): (&str, Parser)| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        parse(&text)
    };
    DATABASES.into_iter().flat_map(read).collect()
}

pub(super) fn collect(unread: &mut Unread) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut is_known = false;
    for (path, parse) in DATABASES {
        let path = Path::new(path);
        if path.exists() {
            is_known = true;
            packages.extend(parse(&unread.text(SUBJECT, path)));
        }
    }
    if has_rpm() {
        is_known = true;
        match query_rpm() {
            Ok(text) => packages.extend(parse_rpm(&text)),
            Err(reason) => unread.lacks(&format!("packages: rpm: {reason}")),
        }
    }
    if !is_known {
        unread.lacks("packages: no database of dpkg, rpm or apk");
    }
    for package in packages.iter_mut().filter(|it| it.manager == "dpkg") {
        package.installed_ms = installed_ms(package);
    }
    packages.append(&mut libraries::collect(unread));
    unread.cap(SUBJECT, packages)
}

fn package(manager: &str, name: &str, version: &str, architecture: &str) -> Package {
    Package {
        name: read::clip(name, FIELD_BYTES_MAX),
        version: read::clip(version, FIELD_BYTES_MAX),
        architecture: read::clip(architecture, FIELD_BYTES_MAX),
        manager: manager.to_owned(),
        installed_ms: None,
        path: String::new(),
    }
}

/// When dpkg wrote the list of a package's files. That of a package which can be there for several
/// architectures is named with its own.
fn installed_ms(package: &Package) -> Option<i64> {
    let Package {
        name, architecture, ..
    } = package;
    let names = [
        format!("{name}.list"),
        format!("{name}:{architecture}.list"),
    ];
    let mut found = names
        .iter()
        .filter_map(|it| Path::new(DPKG_LISTS).join(it).metadata().ok());
    let written = found.next()?.modified().ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// deb-control(5); the third word of `Status` tells whether the package is there (dpkg-query(1)).
fn parse_dpkg(text: &str) -> Vec<Package> {
    let stanza = |stanza: &str| {
        let field = |key| read::value(stanza, key, ':');
        let state = field("Status")?.split_ascii_whitespace().nth(2);
        (state == Some("installed")).then(|| {
            package(
                "dpkg",
                field("Package").unwrap_or_default(),
                field("Version").unwrap_or_default(),
                field("Architecture").unwrap_or_default(),
            )
        })
    };
    text.split("\n\n").filter_map(stanza).collect()
}

/// The installed database of apk: one letter, a colon, a value; a blank line ends a package.
fn parse_apk(text: &str) -> Vec<Package> {
    let stanza = |stanza: &str| {
        let field = |key| read::value(stanza, key, ':').unwrap_or_default();
        let name = field("P");
        (!name.is_empty()).then(|| package("apk", name, field("V"), field("A")))
    };
    text.split("\n\n").filter_map(stanza).collect()
}

fn parse_rpm(text: &str) -> Vec<Package> {
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let (name, version) = (fields.next()?, fields.next()?);
        let (architecture, installed) = (fields.next().unwrap_or_default(), fields.next());
        let seconds = installed.and_then(|it| it.parse::<i64>().ok());
        // Keys that packages are verified with stand in the same database.
        (name != "gpg-pubkey").then(|| Package {
            installed_ms: seconds.map(|it| it.saturating_mul(1_000)),
            ..package("rpm", name, version, architecture)
        })
    };
    text.lines().filter_map(line).collect()
}

fn query_rpm() -> Result<String, String> {
    let mut child = Command::new("rpm")
        .args(["-qa", "--queryformat", RPM_FORMAT])
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // The thread ends with the pipe, which ends with the child.
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(RPM_BYTES_MAX).read_to_end(&mut bytes);
            let _late = sender.send(read.map(|_| bytes));
        });
    }
    let answer = receiver.recv_timeout(RPM_TIME);
    let _ended = child.kill();
    let _reaped = child.wait();
    match answer {
        Ok(Ok(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", RPM_TIME.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(packages: &[Package]) -> Vec<String> {
        let show = |it: &Package| format!("{} {} {}", it.name, it.version, it.architecture);
        packages.iter().map(show).collect()
    }

    #[test]
    fn dpkg_lists_what_is_installed_and_not_what_left_its_configuration() {
        let text = "\
Package: adduser
Status: install ok installed
Priority: important
Architecture: all
Version: 3.134
Description: add and remove users
 Version: of a description is no version

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.36-9+deb12u4
";
        assert_eq!(
            shown(&parse_dpkg(text)),
            ["adduser 3.134 all", "libc6 2.36-9+deb12u4 amd64"]
        );
    }

    #[test]
    fn apk_lists_name_version_and_architecture() {
        let text = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\n\nC:Q1def=\nP:busybox\nV:1.36.1-r15\nA:x86_64\n\n";
        assert_eq!(
            shown(&parse_apk(text)),
            ["musl 1.2.4-r2 x86_64", "busybox 1.36.1-r15 x86_64"]
        );
    }

    #[test]
    fn rpm_lists_packages_and_not_keys() {
        let text = "bash\t5.1.8-6.el9\tx86_64\t1700000000\ngpg-pubkey\t8483c65d-5ccc5b19\t\nperl\t4:5.32.1-480.el9\tx86_64\n";
        assert_eq!(
            shown(&parse_rpm(text)),
            ["bash 5.1.8-6.el9 x86_64", "perl 4:5.32.1-480.el9 x86_64"]
        );
        let times: Vec<_> = parse_rpm(text).iter().map(|it| it.installed_ms).collect();
        assert_eq!(times, [Some(1_700_000_000_000), None]);
    }

    #[test]
    fn broken_databases_are_survived() {
        let samples = [
            "Package: x\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDescription: y\n z\n\nPackage: w\n",
            "P:x\nV:1\nA:x86_64\n\nP:y\n",
            "x\t1-2\tx86_64\n",
        ];
        crate::fuzz::text("packages", &samples, |it| {
            drop((parse_dpkg(it), parse_apk(it), parse_rpm(it)));
        });
    }
}
