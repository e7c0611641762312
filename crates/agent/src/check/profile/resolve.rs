//! A profile on this host: which of its files, units and servers there are.

mod named;

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use protocol::endpoint::Endpoint;

use super::places::Places;
use super::schema::{self, Paused, Source};
use super::value::{self, Key};
use super::{Known, OWN, Profile};
use crate::check::reading;
use crate::check::settings::{self, Format, Setting};
use crate::check::subject::{ConfigFile, Listening, Local, Subject, Target};

/// Directories of systemd units, most important first (systemd.unit(5)).
const UNIT_DIRS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Servers of one agent that are looked at.
const TARGETS_MAX: usize = 4;
/// Part of a configuration file that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 256 << 10;

/// Where systemd would take the unit from.
pub(in crate::check) fn unit_file(unit: &str) -> Option<PathBuf> {
    if unit.is_empty() {
        return None;
    }
    let paths = UNIT_DIRS.iter().map(|dir| Path::new(dir).join(unit));
    paths.into_iter().find(|it| it.exists())
}

/// What the configuration files of an agent say.
struct Configured {
    settings: Vec<Setting>,
    lines: Vec<String>,
}

/// The subject that the profile describes, as it is on this host. Reads its configuration files.
pub(in crate::check) fn on_this_host(known: &Known, local: &Local) -> Subject {
    let profile = &known.profile;
    let is_own = profile.name.as_str() == OWN;
    let places = Places::new(profile, is_own.then_some(local.data_dir.as_path()));
    let configs = configs(profile, &places);
    let configured = read(&configs);
    let units = &profile.service.units;
    let unit = units.iter().find(|it| unit_file(it.as_str()).is_some());
    let unit = unit.or_else(|| units.first()).map(ToString::to_string);
    let strings = |list: &[value::Name]| list.iter().map(ToString::to_string).collect();
    let option = profile.process.data_option.clone();
    let usual = profile
        .paths
        .data
        .first()
        .map(|it| PathBuf::from(it.as_str()));
    Subject {
        name: profile.name.to_string(),
        title: profile.title.clone(),
        packages: profile.packages.clone(),
        programs: places.all(&profile.programs),
        unit: unit.unwrap_or_default(),
        init_scripts: strings(&profile.service.scripts),
        processes: profile.process.names.clone(),
        scripts: profile.process.scripts.clone(),
        other_arguments: profile.process.other_arguments.clone(),
        data_option: option.zip(usual),
        users: profile.users.clone(),
        data_dirs: places.data.clone(),
        trial: profile.paths.trial,
        identity: profile.identity.as_ref().and_then(|it| places.first(it)),
        private_files: private_files(profile, &places),
        places: named::places(profile, &places, &configs),
        configs,
        log_files: places.present(&profile.paths.logs),
        log_dirs: places.log_dirs(&profile.paths.logs),
        outputs: places.present(&profile.paths.outputs),
        runtime_files: places.all(&profile.paths.runtime),
        listens: listens(profile, &configured),
        targets: targets(profile, &configured, local),
        log_lines: profile.log_lines.clone(),
        conflicts: strings(&profile.conflicts),
        paused: paused(profile, &places, &configured),
        limits: profile.limits,
        own_pid: local.own_pid.filter(|_| is_own),
    }
}

fn configs(profile: &Profile, places: &Places) -> Vec<ConfigFile> {
    let rows = profile.config.iter().flat_map(|row| {
        let paths = places.of(&row.path).into_iter();
        paths.map(|path| ConfigFile {
            check: row.check.as_ref().map(|it| it.for_path(&path)),
            path,
            format: row.format,
            required: row.required,
            check_as_root: row.check_as_root,
        })
    });
    let mut all: Vec<ConfigFile> = rows.collect();
    let present: Vec<PathBuf> = all
        .iter()
        .map(|it| it.path.clone())
        .filter(|it| it.exists())
        .collect();
    let has_other = |path: &Path| present.iter().any(|it| it.file_name() == path.file_name());
    all.retain(|it| present.contains(&it.path) || it.required && !has_other(&it.path));
    all
}

/// What can be read of the files; what cannot is the business of a probe.
fn read(configs: &[ConfigFile]) -> Configured {
    let mut configured = Configured {
        settings: Vec::new(),
        lines: Vec::new(),
    };
    for config in configs {
        let mut bytes = Vec::new();
        let opened = reading::file(&config.path);
        let read = opened.and_then(|it| it.take(CONFIG_BYTES_MAX).read_to_end(&mut bytes));
        if read.is_err() {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        let settings = settings::read(config.format, &text).unwrap_or_default();
        configured.settings.extend(settings);
        let is_said = |it: &&str| !it.is_empty() && !it.starts_with(['#', ';']);
        let lines = text.lines().map(str::trim).filter(is_said);
        if config.format != Format::Policy {
            configured.lines.extend(lines.map(str::to_owned));
        }
    }
    configured
}

impl Configured {
    fn values<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a str> {
        settings::values(&self.settings, key.as_str())
    }
}

fn private_files(profile: &Profile, places: &Places) -> Vec<(PathBuf, u32)> {
    let rows = profile.private.iter().flat_map(|row| {
        let paths = places.of(&row.path).into_iter();
        paths.map(|path| (path, row.mode.0))
    });
    rows.collect()
}

fn listens(profile: &Profile, configured: &Configured) -> Vec<Listening> {
    let rows = profile.listens.iter().flat_map(|row| {
        let keyed = row.key.iter().flat_map(|it| configured.values(it));
        let in_lines = row.pattern.iter().flat_map(|pattern| {
            let words = configured.lines.iter().filter_map(|it| pattern.find(it));
            words.flatten().filter(|it| it.0 == "port").map(|it| it.1)
        });
        let mut ports: Vec<u16> = keyed.chain(in_lines).filter_map(port_in).collect();
        if ports.is_empty() {
            ports.extend(row.port.map(|it| it.0));
        }
        ports.into_iter().map(|port| Listening {
            port,
            protocol: row.protocol,
        })
    });
    let mut all: Vec<Listening> = Vec::new();
    for row in rows {
        if !all.contains(&row) {
            all.push(row);
        }
    }
    all
}

/// The number, or what stands behind the last colon.
fn port_in(value: &str) -> Option<u16> {
    let number = value.rsplit(':').next()?.trim();
    number.parse().ok().filter(|it| *it > 0)
}

fn paused(profile: &Profile, places: &Places, configured: &Configured) -> Option<String> {
    profile.paused.iter().find_map(|sign| match sign {
        Paused::File(path) => places
            .of(path)
            .into_iter()
            .find(|it| it.exists())
            .map(|it| format!("there is a file {}", it.display())),
        Paused::Setting { key, value } => configured
            .values(key)
            .last()
            .filter(|it| it.eq_ignore_ascii_case(value))
            .map(|it| format!("its configuration says {key} {it}")),
    })
}

fn targets(profile: &Profile, configured: &Configured, local: &Local) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for row in &profile.endpoints {
        let (servers, pin) = match row.source {
            Source::Caller => (local.server.iter().cloned().collect(), local.pin),
            _ => (servers(row, configured), None),
        };
        let is_meant = |it: &Endpoint| !row.ignored.contains(&it.host);
        for server in servers.into_iter().filter(is_meant) {
            let target = Target {
                server,
                pin,
                http: row.http.clone(),
                statuses: row.statuses.clone(),
                protocol: row.protocol,
                trust: row.trust,
            };
            let known = |it: &Target| it.server == target.server && it.protocol == target.protocol;
            if !targets.iter().any(known) {
                targets.push(target);
            }
        }
    }
    targets.truncate(TARGETS_MAX);
    targets
}

fn servers(row: &schema::Endpoint, configured: &Configured) -> Vec<Endpoint> {
    let is_true = |it: &str| {
        let yes = ["true", "yes", "on", "1", "https", "tls"];
        yes.iter().any(|word| it.eq_ignore_ascii_case(word))
    };
    let said = row
        .tls_key
        .as_ref()
        .and_then(|it| configured.values(it).last());
    let tls = said.map_or(row.tls, is_true);
    let ports = row.port_key.iter().flat_map(|it| configured.values(it));
    let ports: Vec<Option<u16>> = ports.map(port_in).collect();
    let usual = row.port.map(|it| it.0);
    let one = |text: &str, at: usize| {
        let port = ports.get(at).copied().flatten().or(usual);
        items(text)
            .into_iter()
            .filter_map(move |it| address(it, port, tls))
            .collect::<Vec<_>>()
    };
    match &row.source {
        Source::Caller => Vec::new(),
        Source::Fixed(text) => one(text, 0),
        Source::Setting {
            key,
            address,
            default,
        } => {
            let mut values: Vec<&str> = configured.values(key).collect();
            if values.is_empty() {
                values.extend(default.as_deref());
            }
            let rows = values.into_iter().enumerate();
            rows.flat_map(|(at, it)| one(&address.replace("{value}", it), at))
                .collect()
        }
        Source::Lines(pattern) => {
            let of_line = |line: &String| {
                let words = pattern.find(line)?;
                let word = |name| words.iter().find(|it| it.0 == name).map(|it| it.1);
                let port = word("port").and_then(port_in).or(usual);
                address(word("host")?, port, tls)
            };
            configured.lines.iter().filter_map(of_line).collect()
        }
    }
}

/// The elements of a list as configuration files write it.
fn items(text: &str) -> Vec<&str> {
    let list = text.trim().trim_start_matches('[');
    let list = if list.contains("]:") {
        text.trim()
    } else {
        list.trim_end_matches(']')
    };
    list.split([',', ';'])
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect()
}

/// `https://HOST:PORT/…`, `tcp://HOST:PORT`, `HOST:PORT`, `HOST` or `HOST PORT`, quoted or not.
/// What is no address of a server (a socket, a variable, all addresses) is passed over.
fn address(text: &str, usual_port: Option<u16>, tls: bool) -> Option<Endpoint> {
    let mut words = text
        .split_whitespace()
        .map(|it| it.trim_matches(['"', '\'']));
    let first = words.next()?;
    let second: Option<u16> = words.next().and_then(|it| it.parse().ok());
    let (scheme, rest) = first.split_once("://").unwrap_or(("", first));
    let (tls, usual_port) = match scheme {
        "" | "tcp" => (tls, usual_port),
        "http" => (false, usual_port.or(Some(80))),
        "https" | "wss" => (true, usual_port.or(Some(443))),
        "tls" | "ssl" => (true, usual_port),
        "udp" => (false, usual_port),
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    let authority = match scheme {
        "" => authority,
        _ => authority.rsplit('@').next()?,
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside.split_once(']')?;
            (host, behind.strip_prefix(':'))
        }
        None if authority.matches(':').count() > 1 => (authority, None),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => second.or(usual_port)?,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let everywhere = host.parse().is_ok_and(|it: IpAddr| it.is_unspecified());
    let usable = !host.is_empty() && host.chars().all(is_name) && !everywhere && port > 0;
    usable.then(|| Endpoint {
        tls,
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_the_forms_that_configurations_have() {
        for (text, port, tls, expected) in [
            (
                "https://a.example/path",
                None,
                false,
                Some("https://a.example:443"),
            ),
            (
                "http://a.example:9200",
                Some(1),
                true,
                Some("http://a.example:9200"),
            ),
            (
                "a.example",
                Some(10_051),
                false,
                Some("http://a.example:10051"),
            ),
            (
                "a.example:1",
                Some(10_051),
                true,
                Some("https://a.example:1"),
            ),
            (
                "\"a.example\" \"25826\"",
                Some(1),
                false,
                Some("http://a.example:25826"),
            ),
            (
                "ntp.example iburst",
                Some(123),
                false,
                Some("http://ntp.example:123"),
            ),
            ("[::1]:5044", None, false, Some("http://[::1]:5044")),
            (
                "tcp://user:secret@a.example:5",
                None,
                false,
                Some("http://a.example:5"),
            ),
            ("@a.example:5", None, false, None),
            ("${HOST}:1", None, false, None),
            ("unix:///run/x", None, false, None),
            ("0.0.0.0:5", None, false, None),
            ("a.example", None, false, None),
        ] {
            let found = address(text, port, tls).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        assert_eq!(items("[a:1, b:2]"), ["a:1", "b:2"]);
        assert_eq!(items("[::1]:5"), ["[::1]:5"]);
    }
}
