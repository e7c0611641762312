//! Can everyone use the directories for temporary files?

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::probe::{Verdict, finding};

/// Where every program expects one (hier(7)).
const DIRECTORIES: [&str; 2] = ["tmp", "var/tmp"];
/// What everyone needs to make a file there.
const WRITE_AND_ENTER: u32 = 0o003;

/// `/tmp` and `/var/tmp`.
pub(super) fn probe(_: &Context) -> Verdict {
    look(Path::new("/"))
}

fn look(root: &Path) -> Verdict {
    let findings: Vec<Finding> = DIRECTORIES
        .iter()
        .filter_map(|it| judge(&root.join(it)))
        .collect();
    Verdict::of("/tmp and /var/tmp", findings)
}

fn judge(path: &Path) -> Option<Finding> {
    let what = match std::fs::metadata(path) {
        Ok(about) if !about.is_dir() => "is no directory".to_owned(),
        Ok(about) if about.mode() & WRITE_AND_ENTER != WRITE_AND_ENTER => {
            format!("has the mode {:04o}", about.mode() & 0o7777)
        }
        // A small image may do without /var/tmp; nothing does without /tmp.
        Err(error) if error.kind() == ErrorKind::NotFound && path.ends_with("var/tmp") => {
            return None;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => "is missing".to_owned(),
        _ => return None,
    };
    let shown = path.display().to_string();
    let cause = Cause::TemporaryDirectoryUnusable;
    let evidence = vec![format!("{shown} {what}")];
    let known = [("PATH", &*shown)];
    Some(finding(cause, cause.sentence(), evidence, &known))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_is_closed_or_missing_is_found() {
        let root = tempfile::tempdir().unwrap();
        let lines = || {
            let found = look(root.path()).findings;
            let all = found.into_iter().flat_map(|it| it.evidence);
            all.collect::<Vec<String>>()
        };
        assert_eq!(lines().len(), 1, "an image without /tmp");
        let tmp = root.path().join("tmp");
        std::fs::create_dir(&tmp).unwrap();
        let set = |mode| std::fs::set_permissions(&tmp, PermissionsExt::from_mode(mode)).unwrap();
        set(0o1777);
        assert!(lines().is_empty());
        set(0o777);
        assert!(lines().is_empty(), "unsafe, but it can be used");
        set(0o755);
        assert!(lines()[0].ends_with("tmp has the mode 0755"));
        std::fs::create_dir(root.path().join("var")).unwrap();
        std::fs::write(root.path().join("var/tmp"), "").unwrap();
        assert_eq!(lines().len(), 2);
    }
}
