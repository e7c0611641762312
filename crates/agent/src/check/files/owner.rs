//! Whether the user that the agent runs as may write its log files, from owner, group and mode alone:
//! said only of an agent that does not run, and only where nothing else could allow it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::wrong;
use crate::check::subject::Subject;

/// Log files, or the directory of one, that the agent's user may not write. Those in `/var/log` itself
/// may be written by others for it.
pub(super) fn logs(subject: &Subject) -> Vec<Finding> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
    let named = subject.users.iter();
    let Some(user) = named
        .into_iter()
        .find_map(|it| User::find(it, &users, &groups))
    else {
        return Vec::new();
    };
    if user.id == 0 {
        return Vec::new();
    }
    let is_own = |it: &&std::path::PathBuf| it.parent() != Some(Path::new("/var/log"));
    let paths = subject.log_files.iter().filter(is_own);
    let found = paths.filter_map(|path| {
        let about = std::fs::metadata(path).ok()?;
        // Where it may write the directory, somebody else writes this one file for it.
        let dir = path.parent()?;
        let above = std::fs::metadata(dir).ok()?;
        let is_open = user.may_write(above.uid(), above.gid(), above.mode());
        let is_closed = !is_open && !has_acl(path) && !has_acl(dir);
        is_closed.then(|| user.judge(path, &about))?
    });
    found.collect()
}

/// An access control list may allow more than the mode says (acl(5)).
fn has_acl(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0][..]).is_ok()
}

#[derive(Debug, PartialEq, Eq)]
struct User {
    name: String,
    id: u32,
    groups: Vec<u32>,
}

impl User {
    /// From passwd(5) and group(5).
    fn find(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = |line: &str| -> Vec<String> { line.split(':').map(str::to_owned).collect() };
        let row = users
            .lines()
            .map(fields)
            .find(|it| it.first().is_some_and(|it| it == name))?;
        let number = |it: &[String], at: usize| it.get(at)?.parse::<u32>().ok();
        let mut member_of = vec![number(&row, 3)?];
        for group in groups.lines().map(fields) {
            let members = group.get(3).map_or("", String::as_str);
            if members.split(',').any(|it| it == name) {
                member_of.extend(number(&group, 2));
            }
        }
        Some(Self {
            name: name.to_owned(),
            id: number(&row, 2)?,
            groups: member_of,
        })
    }

    /// As the kernel decides: the first of owner, group and others that fits (path_resolution(7)).
    fn may_write(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bit = if owner == self.id {
            0o200
        } else if self.groups.contains(&group) {
            0o020
        } else {
            0o002
        };
        mode & bit != 0
    }

    fn judge(&self, path: &Path, about: &Metadata) -> Option<Finding> {
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        // Whoever wrote it last could, unless owner or mode were changed since.
        let written = (about.mtime(), about.mtime_nsec());
        let was_changed = (about.ctime(), about.ctime_nsec()) > written;
        if !about.is_file() || !was_changed || self.may_write(owner, about.gid(), mode) {
            return None;
        }
        let (shown, name) = (path.display(), &self.name);
        let evidence = format!(
            "{shown} has mode {mode:04o} and belongs to user {owner}, the agent runs as {name} ({})",
            self.id
        );
        let (cause, what) = if owner == self.id {
            (Cause::PathWrongMode, "its mode forbids")
        } else {
            (Cause::PathWrongOwner, "it belongs to another user than")
        };
        let summary = format!("The log file {shown} cannot be written: {what} {name}.");
        let mut found = wrong(cause, path, summary, evidence);
        found.known.insert("USER".to_owned(), name.clone());
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_write_is_decided_as_by_the_kernel() {
        let users = "root:x:0:0::/root:/bin/sh\nzabbix:x:115:120::/:/bin/false\n";
        let groups = "adm:x:4:syslog,zabbix\nzabbix:x:120:\n";
        let user = User::find("zabbix", users, groups).unwrap();
        assert_eq!((user.id, user.groups.as_slice()), (115, &[120, 4][..]));
        assert_eq!(User::find("zab", users, groups), None);
        assert!(user.may_write(115, 0, 0o644));
        assert!(user.may_write(0, 4, 0o664));
        assert!(user.may_write(0, 0, 0o666));
        assert!(!user.may_write(0, 0, 0o644));
        assert!(!user.may_write(115, 120, 0o466), "the owner's bits decide");
    }
}
