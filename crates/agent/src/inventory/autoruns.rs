//! What starts by itself: enabled units of systemd, init scripts, `rc.local`, profiles of shells.
//!
//! "Enabled" is read from the links that make it so; units that others pull in are not followed.

use std::{
    collections::BTreeSet,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use protocol::answer::Autorun;

use super::{Unread, read};

const SUBJECT: &str = "autoruns";
const FIELD_BYTES_MAX: usize = 256;
/// Folders of units, and of the links that enable them (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/etc/systemd/user",
];
/// Folders of links `S20name` of the levels that a host runs in: Debian, Red Hat.
const START_LINKS: [&str; 2] = ["/etc", "/etc/rc.d"];
/// Folders of links `name`: OpenRC.
const RUN_LEVELS: [&str; 3] = [
    "/etc/runlevels/sysinit",
    "/etc/runlevels/boot",
    "/etc/runlevels/default",
];

pub(super) fn collect(unread: &mut Unread) -> Vec<Autorun> {
    let mut found = Found::default();
    for folder in UNITS {
        for links in entries(Path::new(folder), unread) {
            let name = read::file_name(&links);
            if name.ends_with(".wants") || name.ends_with(".requires") {
                for path in entries(&links, unread) {
                    found.add("systemd", &path, read::file_name(&path));
                }
            }
        }
    }
    for folder in START_LINKS {
        for level in ["S", "2", "3", "4", "5"] {
            let folder = Path::new(folder).join(format!("rc{level}.d"));
            for path in entries(&folder, unread) {
                if let Some(name) = start_link(&read::file_name(&path)) {
                    found.add("init.d", &path, name);
                }
            }
        }
    }
    for folder in RUN_LEVELS {
        for path in entries(Path::new(folder), unread) {
            found.add("init.d", &path, read::file_name(&path));
        }
    }
    for path in ["/etc/rc.local", "/etc/rc.d/rc.local"].map(Path::new) {
        if is_executable(path) {
            found.add("rc.local", path, read::file_name(path));
        }
    }
    let profiles = ["/etc/profile", "/etc/bash.bashrc", "/etc/bashrc"].map(PathBuf::from);
    let scripts = entries(Path::new("/etc/profile.d"), unread);
    for path in profiles.iter().chain(&scripts) {
        if path.is_file() {
            found.add("profile", path, read::file_name(path));
        }
    }
    unread.cap(SUBJECT, found.autoruns)
}

/// That there is no such folder is no fault: no host has all of them.
fn entries(folder: &Path, unread: &mut Unread) -> Vec<PathBuf> {
    read::folder(folder).unwrap_or_else(|error| {
        let kind = error.kind();
        if kind != io::ErrorKind::NotFound && kind != io::ErrorKind::NotADirectory {
            unread.failed(SUBJECT, folder, &error);
        }
        Vec::new()
    })
}

/// `S20ssh` starts `ssh`; `K01ssh` and a plain file start nothing.
fn start_link(name: &str) -> Option<String> {
    let name = name.strip_prefix('S')?;
    let rest = name.trim_start_matches(|sign: char| sign.is_ascii_digit());
    (rest.len() < name.len() && !rest.is_empty()).then(|| rest.to_owned())
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Each thing once, however many links start it.
#[derive(Default)]
struct Found {
    autoruns: Vec<Autorun>,
    seen: BTreeSet<(&'static str, String)>,
}

impl Found {
    fn add(&mut self, kind: &'static str, path: &Path, name: String) {
        let key = match kind {
            "profile" => path.to_string_lossy().into_owned(),
            _ => name.clone(),
        };
        if self.seen.insert((kind, key)) {
            self.autoruns.push(Autorun {
                kind: kind.to_owned(),
                path: read::clip(&path.to_string_lossy(), FIELD_BYTES_MAX),
                name: read::clip(&name, FIELD_BYTES_MAX),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_start_links_start_something() {
        assert_eq!(start_link("S20ssh").as_deref(), Some("ssh"));
        for name in ["K01ssh", "Server", "README", "S20"] {
            assert_eq!(start_link(name), None, "{name}");
        }
    }

    #[test]
    fn a_script_that_several_levels_start_is_told_once() {
        let mut found = Found::default();
        for level in ["/etc/rc2.d/S20ssh", "/etc/rc3.d/S20ssh"] {
            found.add("init.d", Path::new(level), "ssh".to_owned());
        }
        found.add("systemd", Path::new("/etc/x.wants/ssh"), "ssh".to_owned());
        assert_eq!(found.autoruns.len(), 2);
    }
}
