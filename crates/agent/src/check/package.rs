//! The agent's package: installed wholly, its files as they were installed, and no copy of its program
//! from elsewhere at work. Reads the databases of dpkg and apk, and asks rpm about its own.

mod apk;
mod digest;
mod rpm;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, Subject, command, procfs};
use digest::{Sum, digest_of};

const DATABASE: &str = "/var/lib/dpkg";
/// Largest database that is read, in bytes.
const DATABASE_BYTES_MAX: u64 = 64 << 20;
/// What is read of the files of one package, by mode, in bytes.
const BYTES_MAX_STANDARD: u64 = 128 << 20;
/// See [`BYTES_MAX_STANDARD`].
const BYTES_MAX_DEEP: u64 = 1 << 30;
/// Time after which no further file is read in standard mode, in ms.
const LIMIT_MS_STANDARD: u128 = 1_500;
/// Time limit of rpm, by mode, in ms.
const RPM_MS_STANDARD: u64 = 3_000;
/// See [`RPM_MS_STANDARD`].
const RPM_MS_DEEP: u64 = 25_000;
/// Files that are named as evidence.
const SHOWN_MAX: usize = 5;
/// What images leave out to be small (dpkg.cfg: `path-exclude`), and what no program needs.
const DISPENSABLE: [&str; 6] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/bug/",
];

/// The state of each of the agent's packages, and the digests of their files.
pub(super) fn probe(context: &Context) -> Verdict {
    let subject = &context.subject;
    if subject.packages.is_empty() {
        return Verdict::skipped("the agent comes in no package");
    }
    let programs: Vec<&Path> = subject.programs.iter().map(PathBuf::as_path).collect();
    let missing = match read(&Path::new(DATABASE).join("status")) {
        Ok(status) => return of_dpkg(context, &status, &programs),
        Err(error) => format!("no database of dpkg: {error}"),
    };
    if let Ok(database) = read(Path::new(apk::DATABASE)) {
        return of_apk(context, &database, &programs);
    }
    if crate::inventory::packages::has_rpm() {
        return of_rpm(context);
    }
    Verdict::skipped(missing)
}

fn of_dpkg(context: &Context, status: &str, programs: &[&Path]) -> Verdict {
    let subject = &context.subject;
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for (name, state) in states(status, &subject.packages) {
        notes.push(format!("{name}: {state}"));
        if state.ends_with("half-configured")
            || state.ends_with("half-installed")
            || state.ends_with("unpacked")
        {
            if is_busy() {
                notes.push("dpkg is at work".to_owned());
            } else {
                findings.push(half(name, state));
            }
        } else if state.ends_with(" installed") {
            let checked = check(name, programs, context);
            notes.push(checked.note());
            findings.extend(checked.judge(name));
            findings.extend(checked.other);
        }
    }
    if notes.is_empty() {
        return Verdict::skipped("dpkg has no package of the agent");
    }
    Verdict::of(notes.join("; "), findings)
}

fn of_apk(context: &Context, database: &str, programs: &[&Path]) -> Verdict {
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for name in &context.subject.packages {
        let Some(mut rows) = apk::files(database, name) else {
            continue;
        };
        rows.sort_by_key(|(_, path)| !programs.contains(&path.as_path()));
        let mut checked = Checked::default();
        compare(&rows, programs, context.deep, Sum::Sha1, &mut checked);
        notes.push(format!("{name}: {}", checked.note()));
        findings.extend(checked.judge(name));
        findings.extend(other_copy(name, &rows, Sum::Sha1, &context.subject));
    }
    if notes.is_empty() {
        return Verdict::skipped("apk has no package of the agent");
    }
    Verdict::of(notes.join("; "), findings)
}

/// rpm knows its database's format; it reads every file of the package, so it may need its time.
fn of_rpm(context: &Context) -> Verdict {
    let limit_ms = if context.deep {
        RPM_MS_DEEP
    } else {
        RPM_MS_STANDARD
    };
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Verdict::skipped("rpm cannot be run");
    };
    let subject = &context.subject;
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for name in &subject.packages {
        let arguments: Vec<&str> = rpm::ARGUMENTS.into_iter().chain([name.as_str()]).collect();
        let said = match runtime.block_on(command::output("rpm", &arguments, limit_ms)) {
            Ok(said) => said,
            Err(why) => return Verdict::skipped(why),
        };
        let programs: Vec<&Path> = subject.programs.iter().map(PathBuf::as_path).collect();
        let mut checked = Checked::default();
        for it in rpm::parse(&said) {
            let is_own = is_ours(Path::new(it.path), &programs);
            match it.is_missing {
                // That its program is missing is said by itself.
                true if is_own => {}
                true => checked.missing.push(it.path.to_owned()),
                false => checked.changed.push(it.path.to_owned()),
            }
        }
        notes.push(format!("rpm looked at {name}"));
        findings.extend(checked.judge(name));
    }
    Verdict::of(notes.join("; "), findings)
}

/// A program of the agent's that runs, is none of the package's files, and is another than the one of
/// the same name that the package brought.
fn other_copy(
    name: &str,
    rows: &[(&str, PathBuf)],
    sum: Sum,
    subject: &Subject,
) -> Option<Finding> {
    let pid = *procfs::agents(subject).first()?;
    let link = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let exe = std::fs::metadata(&link).ok()?;
    let is_same = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == (exe.dev(), exe.ino()))
    };
    if rows.iter().any(|(_, path)| is_same(path)) {
        return None;
    }
    let (digest, path) = rows
        .iter()
        .find(|(_, path)| path.file_name() == link.file_name() && path.is_file())?;
    let (found, _) = digest_of(&link, sum).ok()?;
    (found != *digest).then(|| {
        let shown = link.display().to_string();
        let evidence = format!(
            "process {pid} runs {shown}, which is not {} of the package {name}",
            path.display()
        );
        let cause = Cause::VersionDiffers;
        let known = [("PROGRAM", &*shown), ("PACKAGE", name)];
        finding(cause, cause.sentence(), vec![evidence], &known)
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(DATABASE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Name and `Status` of those packages (deb-control(5)).
fn states<'a>(status: &'a str, names: &[String]) -> Vec<(&'a str, &'a str)> {
    let stanza = |text: &'a str| {
        let field = |key| text.lines().find_map(|it| it.strip_prefix(key));
        let name = field("Package: ")?;
        let is_ours = names.iter().any(|it| it == name);
        is_ours.then_some((name, field("Status: ")?))
    };
    status.split("\n\n").filter_map(stanza).collect()
}

/// Whether dpkg or a front end works at this moment: somebody holds its lock (proc_locks(5)).
fn is_busy() -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let files = ["lock", "lock-frontend"].map(|it| Path::new(DATABASE).join(it));
    let mut inodes = files
        .iter()
        .filter_map(|it| Some(std::fs::metadata(it).ok()?.ino()));
    inodes.any(|it| holds(&locks, it))
}

fn holds(locks: &str, inode: u64) -> bool {
    let end = format!(":{inode}");
    locks
        .lines()
        .any(|it| it.split_whitespace().any(|word| word.ends_with(&end)))
}

fn half(name: &str, state: &str) -> Finding {
    let cause = Cause::PackageHalfConfigured;
    let evidence = format!("dpkg says of {name}: {state}");
    finding(
        cause,
        cause.sentence(),
        vec![evidence],
        &[("PACKAGE", name)],
    )
}

/// What became of the files of a package.
#[derive(Debug, Default)]
struct Checked {
    matching: usize,
    missing: Vec<String>,
    changed: Vec<String>,
    /// Those that were left out, and why.
    left: Vec<String>,
    /// A copy of its program from elsewhere that runs.
    other: Option<Finding>,
}

/// Compares the files with `info/NAME.md5sums`, which lists no configuration; programs come first.
fn check(name: &str, programs: &[&Path], context: &Context) -> Checked {
    let info = Path::new(DATABASE).join("info");
    let listed = std::fs::read_dir(&info).into_iter().flatten().flatten();
    let is_list = |it: &PathBuf| {
        // With the architecture where several may be installed.
        let file = it.file_name().unwrap_or_default().to_string_lossy();
        let stem = file.strip_suffix(".md5sums").unwrap_or_default();
        stem.split(':').next() == Some(name)
    };
    let mut checked = Checked::default();
    let Some(list) = listed.map(|it| it.path()).find(is_list) else {
        checked.left.push("dpkg has no digests of it".to_owned());
        return checked;
    };
    let sums = read(&list).unwrap_or_default();
    let diverted = read(&Path::new(DATABASE).join("diversions")).unwrap_or_default();
    let diverted: BTreeSet<&str> = diverted.lines().collect();
    let mut rows: Vec<(&str, PathBuf)> = parse(&sums)
        .filter(|(_, path)| !DISPENSABLE.iter().any(|it| path.starts_with(it)))
        .map(|(digest, path)| (digest, Path::new("/").join(path)))
        .filter(|(_, path)| !diverted.contains(path.to_string_lossy().as_ref()))
        .collect();
    rows.sort_by_key(|(_, path)| !programs.contains(&path.as_path()));
    compare(&rows, programs, context.deep, Sum::Md5, &mut checked);
    checked.other = other_copy(name, &rows, Sum::Md5, &context.subject);
    checked
}

/// `DIGEST  PATH`, without the first `/`.
fn parse(sums: &str) -> impl Iterator<Item = (&str, &str)> {
    sums.lines().filter_map(|it| it.split_once("  "))
}

fn compare(
    rows: &[(&str, PathBuf)],
    programs: &[&Path],
    deep: bool,
    sum: Sum,
    checked: &mut Checked,
) {
    let started = Instant::now();
    let mut left = if deep {
        BYTES_MAX_DEEP
    } else {
        BYTES_MAX_STANDARD
    };
    for (digest, path) in rows {
        let shown = path.display().to_string();
        let about = match std::fs::metadata(path) {
            Ok(about) if about.is_file() => about,
            // That its program is missing is said by itself.
            Err(error) if error.kind() == ErrorKind::NotFound && is_ours(path, programs) => {
                continue;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                checked.missing.push(shown);
                continue;
            }
            _ => continue,
        };
        let is_late = !deep && started.elapsed().as_millis() > LIMIT_MS_STANDARD;
        if about.len() > left || is_late {
            checked.left.push(format!("{shown} was not read"));
            continue;
        }
        left -= about.len();
        match digest_of(path, sum) {
            Ok((found, _)) if found == *digest => checked.matching += 1,
            // Whoever puts a script in the place of a program means to.
            Ok((_, true)) if is_ours(path, programs) => {
                checked.left.push(format!("{shown} is a script now"));
            }
            Ok(_) => checked.changed.push(shown),
            Err(error) => checked.left.push(format!("{shown}: {error}")),
        }
    }
}

fn is_ours(path: &Path, programs: &[&Path]) -> bool {
    let name = path.file_name();
    programs.contains(&path) || programs.iter().any(|it| it.file_name() == name)
}

impl Checked {
    fn note(&self) -> String {
        let mut note = format!("{} of its files are as installed", self.matching);
        let left: Vec<&str> = self
            .left
            .iter()
            .map(String::as_str)
            .take(SHOWN_MAX)
            .collect();
        if !left.is_empty() {
            note = format!("{note}; {}", left.join("; "));
        }
        note
    }

    fn judge(&self, name: &str) -> Option<Finding> {
        let missing = self.missing.iter().map(|it| format!("{it} is missing"));
        let changed = self
            .changed
            .iter()
            .map(|it| format!("{it} is not as {name} installed it"));
        let all: Vec<String> = missing.chain(changed).collect();
        let first = self.missing.first().or_else(|| self.changed.first())?;
        let mut evidence: Vec<String> = all.iter().take(SHOWN_MAX).cloned().collect();
        evidence.push(format!(
            "files of {name} that are damaged or missing: {}",
            all.len()
        ));
        let cause = Cause::PackageDamaged;
        let known = [("PACKAGE", name), ("PATH", first.as_str())];
        Some(finding(cause, cause.sentence(), evidence, &known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_package_is_read() {
        let status = "Package: zabbix-agent\nStatus: install ok half-configured\nVersion: 1:7.0\n\n\
                      Package: zabbix-agent2\nStatus: install ok installed\n\n\
                      Package: gone\nStatus: deinstall ok config-files\n";
        let names = ["zabbix-agent".to_owned(), "gone".to_owned()];
        assert_eq!(
            states(status, &names),
            [
                ("zabbix-agent", "install ok half-configured"),
                ("gone", "deinstall ok config-files"),
            ]
        );
        assert_eq!(half("x", "install ok unpacked").known["PACKAGE"], "x");
    }

    #[test]
    fn a_lock_is_known_by_its_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 812 08:01:131077 0 EOF\n";
        assert!(holds(locks, 131_077));
        assert!(!holds(locks, 31_077));
        assert!(!holds(locks, 0));
    }

    #[test]
    fn changed_and_missing_files_are_named_and_a_wrapper_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        // MD5 of "abc" (RFC 1321, A.5).
        let digest = "900150983cd24fb0d6963f7d28e17f72";
        let program = file("agentd", "#!/bin/sh\n");
        let rows = [
            (digest, program.clone()),
            (digest, file("good.so", "abc")),
            (digest, file("bad.so", "abd")),
            (digest, dir.path().join("gone.so")),
            (digest, dir.path().join("bin/agentd")),
        ];
        let mut checked = Checked::default();
        compare(&rows, &[&program], false, Sum::Md5, &mut checked);
        assert_eq!((checked.matching, checked.left.len()), (1, 1));
        let found = checked.judge("x").unwrap();
        assert_eq!(found.evidence.len(), 3, "{found:?}");
        assert!(found.evidence[0].ends_with("gone.so is missing"));
        assert!(found.evidence[1].contains("bad.so"));
        assert!(Checked::default().judge("x").is_none());
    }

    #[test]
    fn a_copy_from_elsewhere_that_runs_is_told_from_the_packages_own() {
        let dir = tempfile::tempdir().unwrap();
        let exe = std::env::current_exe().unwrap();
        let twin = dir.path().join(exe.file_name().unwrap());
        std::fs::write(&twin, "abc").unwrap();
        let subject = Subject {
            own_pid: Some(std::process::id()),
            ..Subject::default()
        };
        let digest = "900150983cd24fb0d6963f7d28e17f72";
        let rows = [(digest, twin)];
        let found = other_copy("x", &rows, Sum::Md5, &subject).unwrap();
        assert_eq!(found.cause, 2119);
        let (own, _) = digest_of(&exe, Sum::Md5).unwrap();
        let copy = [(own.as_str(), rows[0].1.clone())];
        assert!(
            other_copy("x", &copy, Sum::Md5, &subject).is_none(),
            "a copy of the same"
        );
        let wholly = [rows[0].clone(), (digest, exe)];
        assert!(
            other_copy("x", &wholly, Sum::Md5, &subject).is_none(),
            "the package's own"
        );
        assert!(other_copy("x", &[], Sum::Md5, &subject).is_none());
    }

    #[test]
    fn digests_are_read_without_documents() {
        let sums = "900150983cd24fb0d6963f7d28e17f72  usr/sbin/x y\nodd\n";
        let rows: Vec<(&str, &str)> = parse(sums).collect();
        assert_eq!(rows, [("900150983cd24fb0d6963f7d28e17f72", "usr/sbin/x y")]);
    }

    #[test]
    fn a_broken_database_of_packages_is_survived() {
        let samples = [
            "Package: zabbix-agent\nStatus: install ok half-configured\nVersion: 1:7.0\n\nPackage: x\n",
            "900150983cd24fb0d6963f7d28e17f72  usr/sbin/x y\n",
            "1: POSIX  ADVISORY  WRITE 812 08:01:131077 0 EOF\n",
        ];
        let names = ["zabbix-agent".to_owned(), "x".to_owned()];
        crate::fuzz::text("dpkg", &samples, |it| {
            states(it, &names);
            parse(it).count();
            holds(it, 131_077);
        });
    }
}
