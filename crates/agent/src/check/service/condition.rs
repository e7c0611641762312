//! Which condition of a unit kept systemd from starting it, and what the host lacks that it asks for.

use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::{Subject, command};

/// Conditions on paths (systemd.unit(5)): what comes behind `Condition` or `Assert`.
const ON_PATHS: [&str; 6] = [
    "PathExists",
    "PathIsDirectory",
    "PathIsMountPoint",
    "FileNotEmpty",
    "DirectoryNotEmpty",
    "FileIsExecutable",
];

/// What the unit asks for and does not find. Only `systemctl status` says which condition it was.
pub(super) async fn unmet(subject: &Subject) -> Vec<Finding> {
    let arguments = ["status", "--no-pager", "--full", "--lines=0", &subject.unit];
    let shown = command::output("systemctl", &arguments, 3_000).await;
    let shown = shown.unwrap_or_default();
    let unmet = shown.lines().filter_map(|it| {
        let line = it.trim().trim_start_matches(['└', '├', '─', '`', '|', '-']);
        line.strip_suffix(" was not met")
    });
    unmet.filter_map(|it| lacking(it, subject)).collect()
}

/// The file that a condition such as `ConditionPathExists=/etc/x` asks for.
fn lacking(condition: &str, subject: &Subject) -> Option<Finding> {
    let (name, value) = condition.split_once('=')?;
    let kind = name
        .strip_prefix("Condition")
        .or_else(|| name.strip_prefix("Assert"))?;
    // `|` makes one of several enough; `!` asks for its absence.
    let path = value.trim_start_matches('|');
    let is_asked_for = ON_PATHS.contains(&kind) && path.starts_with('/');
    if !is_asked_for || Path::new(path).exists() {
        return None;
    }
    let is_config = subject.configs.iter().any(|it| it.path == Path::new(path));
    let cause = match is_config {
        true => Cause::ConfigurationMissing,
        false => Cause::PathMissing,
    };
    let sentence = cause.sentence().trim_end_matches('.');
    let evidence = format!("the unit is not started because {condition} is not met");
    let known = [("CONFIG", path), ("PATH", path)];
    Some(finding(
        cause,
        format!("{sentence} ({path})."),
        vec![evidence],
        &known,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_is_asked_for_and_absent_is_lacking() {
        let cause = |condition| {
            let found = lacking(condition, &Subject::default());
            found.and_then(|it| Cause::find(it.cause))
        };
        let missing = Some(Cause::PathMissing);
        assert_eq!(cause("ConditionPathExists=/nonexistent/x"), missing);
        assert_eq!(cause("ConditionPathExists=|/nonexistent/x"), missing);
        assert_eq!(cause("AssertPathIsDirectory=/nonexistent/x"), missing);
        assert_eq!(cause("ConditionPathExists=!/nonexistent/x"), None);
        assert_eq!(cause("ConditionPathExists=/etc/passwd"), None);
        assert_eq!(cause("ConditionVirtualization=no"), None);
    }
}
