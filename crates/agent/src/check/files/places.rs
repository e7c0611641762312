//! Places that the agent needs and that are not what they should be: looked at only where it does not run,
//! since what runs has what it needs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::wrong;
use crate::check::subject::{Place, Subject};

/// What is made when the agent starts, or is no file of its own.
const OTHERS: [&str; 6] = ["/run", "/var/run", "/tmp", "/proc", "/sys", "/dev"];

/// What stands in the way at the agent's places, each path once.
pub(super) fn faults(subject: &Subject) -> Vec<Finding> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut findings = Vec::new();
    for place in subject.places.iter().filter(|it| is_own(&it.path)) {
        let Some((path, cause, why)) = fault(place) else {
            continue;
        };
        if seen.contains(&path) {
            continue;
        }
        let named = match &place.key {
            Some(key) => format!("{why}; the setting {key} names {}", place.path.display()),
            None => why,
        };
        let sentence = cause.sentence().trim_end_matches('.');
        let summary = format!("{sentence} ({}).", path.display());
        findings.push(wrong(cause, &path, summary, named));
        seen.push(path);
    }
    findings
}

fn is_own(path: &Path) -> bool {
    !OTHERS.iter().any(|it| path.starts_with(it))
}

/// The path that is wrong, and how.
fn fault(place: &Place) -> Option<(PathBuf, Cause, String)> {
    let path = place.path.as_path();
    let shown = |it: &Path| it.display().to_string();
    let above = path.ancestors().skip(1);
    let mut above = above.filter_map(|it| Some((it, std::fs::metadata(it).ok()?)));
    let (nearest, about) = above.next()?;
    if !about.is_dir() {
        let why = format!("{} is a file and should be a directory", shown(nearest));
        return Some((nearest.to_owned(), Cause::PathNotAccessible, why));
    }
    let is_gone =
        |it: &Path| std::fs::metadata(it).is_err_and(|it| it.kind() == ErrorKind::NotFound);
    if std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink()) && is_gone(path) {
        let target = std::fs::read_link(path).ok()?;
        let target = path.parent()?.join(target);
        // What is written may make the file, but not its directory.
        if target.parent().is_none_or(|it| !is_gone(it)) {
            return None;
        }
        let why = format!(
            "{} is a link to {}, which does not exist",
            shown(path),
            shown(&target)
        );
        return Some((target, Cause::PathMissing, why));
    }
    let parent = path.parent()?;
    if place.key.is_some() && parent != nearest && is_gone(parent) {
        let why = format!("there is no directory {}", shown(parent));
        return Some((parent.to_owned(), Cause::PathMissing, why));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_place_of_a_directory_or_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("/nonexistent/x", at("dangling")).unwrap();
        std::os::unix::fs::symlink(at("later"), at("made-later")).unwrap();
        let cause = |name: &str, key: Option<&str>| {
            let key = key.map(str::to_owned);
            fault(&Place {
                path: at(name),
                key,
            })
            .map(|it| it.1)
        };
        assert_eq!(cause("file/a.log", None), Some(Cause::PathNotAccessible));
        assert_eq!(cause("dangling", None), Some(Cause::PathMissing));
        assert_eq!(cause("made-later", None), None, "the agent makes it");
        assert_eq!(
            cause("none/a.log", Some("LogFile")),
            Some(Cause::PathMissing)
        );
        assert_eq!(
            cause("none/a.log", None),
            None,
            "another place is usual too"
        );
        assert_eq!(cause("a.log", Some("LogFile")), None);
        assert!(!is_own(Path::new("/run/x/x.pid")), "made at its start");
        assert!(is_own(Path::new("/var/log/x/x.log")));
    }
}
