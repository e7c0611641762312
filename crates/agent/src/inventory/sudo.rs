//! Who may become root by `sudo`: `/etc/sudoers` and what it includes (sudoers(5)).
//!
//! Knows users and groups by name or id, lists with commas and the aliases of users. A rule for some hosts or
//! some commands counts like one for all: who may run anything as root is named. What stands in a directory
//! service or a plugin is not seen.

use std::collections::HashMap;
use std::path::Path;

use super::{Unread, read};

const SUDOERS: &str = "/etc/sudoers";
const SUBJECT: &str = "accounts: sudo rights";
/// Files that are read, with those that are included.
const FILES_MAX: usize = 100;
/// How often aliases are looked up in aliases.
const DEPTH_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Sudoers {
    /// The users of each rule, as they stand in it.
    rules: Vec<Vec<String>>,
    aliases: HashMap<String, Vec<String>>,
    /// Whether all of it was read; a host without `sudo` has nothing to read.
    is_known: bool,
    files: usize,
}

impl Sudoers {
    /// Reads the rules of this host.
    pub(super) fn read(unread: &mut Unread) -> Self {
        let mut sudoers = Self {
            is_known: true,
            ..Self::default()
        };
        let path = Path::new(SUDOERS);
        if path.exists() {
            sudoers.add_file(path, unread);
        }
        sudoers
    }

    /// Whether an account may become root; `None` if not all rules could be read and none of them says so.
    pub(super) fn allow(&self, name: &str, uid: u32, groups: &[String]) -> Option<bool> {
        let names = |rule: &Vec<String>| self.names(rule, name, uid, groups, 0);
        let is_allowed = self.rules.iter().any(names);
        (is_allowed || self.is_known).then_some(is_allowed)
    }

    fn add_file(&mut self, path: &Path, unread: &mut Unread) {
        self.files += 1;
        if self.files > FILES_MAX {
            self.is_known = false;
            return;
        }
        match read::text(path) {
            Ok(text) => self.add(&text, unread),
            Err(error) => {
                self.is_known = false;
                unread.say(&super::unreadable(SUBJECT, path, &error));
            }
        }
    }

    fn add(&mut self, text: &str, unread: &mut Unread) {
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            let mut words = line.split_ascii_whitespace();
            let Some(first) = words.next() else { continue };
            match (first, words.next()) {
                ("#include" | "@include", Some(path)) => self.add_file(Path::new(path), unread),
                ("#includedir" | "@includedir", Some(path)) => {
                    self.add_folder(Path::new(path), unread)
                }
                ("User_Alias", Some(_)) => self.add_aliases(line),
                ("Host_Alias" | "Runas_Alias" | "Cmnd_Alias" | "Cmd_Alias", _) => {}
                _ if first.starts_with("Defaults") => {}
                // A user's id stands behind the sign that begins a comment.
                _ if is_comment(first) => {}
                _ => self.rules.push(users_of_rule(line)),
            }
        }
    }

    /// Names with a dot or a tilde at the end are passed over, as sudo does.
    fn add_folder(&mut self, folder: &Path, unread: &mut Unread) {
        for path in read::folder(folder).unwrap_or_default() {
            let name = read::file_name(&path);
            if !name.contains('.') && !name.ends_with('~') {
                self.add_file(&path, unread);
            }
        }
    }

    fn add_aliases(&mut self, line: &str) {
        let definitions = line.trim_start_matches("User_Alias").split(':');
        for (name, members) in definitions.filter_map(|it| it.split_once('=')) {
            self.aliases.insert(name.trim().to_owned(), list(members));
        }
    }

    fn names(
        &self,
        users: &[String],
        name: &str,
        uid: u32,
        groups: &[String],
        depth: usize,
    ) -> bool {
        // The last entry that speaks of somebody counts.
        let mut is_named = false;
        for user in users {
            let (user, says) = match user.strip_prefix('!') {
                Some(user) => (user, false),
                None => (user.as_str(), true),
            };
            let is_meant = if let Some(group) = user.strip_prefix('%') {
                groups.iter().any(|it| it == group)
            } else if let Some(id) = user.strip_prefix('#') {
                id.parse() == Ok(uid)
            } else {
                let alias = self.aliases.get(user).filter(|_| depth < DEPTH_MAX);
                user == "ALL"
                    || user == name
                    || alias.is_some_and(|it| self.names(it, name, uid, groups, depth + 1))
            };
            if is_meant {
                is_named = says;
            }
        }
        is_named
    }
}

/// A user's id stands behind the sign that begins a comment.
fn is_comment(word: &str) -> bool {
    let rest = word.strip_prefix('#');
    rest.is_some_and(|it| !it.starts_with(|sign: char| sign.is_ascii_digit()))
}

/// The users of a rule: all up to the first blank that follows no comma.
fn users_of_rule(line: &str) -> Vec<String> {
    let Some((before, _)) = line.split_once('=') else {
        return Vec::new();
    };
    let mut users = String::new();
    for word in before.split_ascii_whitespace() {
        if !users.is_empty() && !users.ends_with(',') && !word.starts_with(',') {
            break;
        }
        users.push_str(word);
    }
    list(&users)
}

fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "\
Defaults env_reset
# a comment
#1007 ALL=(ALL) ALL
User_Alias ADMINS = ada, bob : OTHERS = %wheel, \\
    eve
root ALL=(ALL:ALL) ALL
ADMINS, OTHERS , !mallory ALL = NOPASSWD: ALL
%sudo,carol ALL=(ALL) /bin/true
Cmnd_Alias EDIT = /bin/ed
";

    fn sudoers(text: &str, is_known: bool) -> Sudoers {
        let mut sudoers = Sudoers {
            is_known,
            ..Sudoers::default()
        };
        sudoers.add(text, &mut Unread::default());
        sudoers
    }

    #[test]
    fn users_groups_ids_and_aliases_are_named_by_rules() {
        let sudoers = sudoers(RULES, true);
        let may = |name: &str, uid: u32, group: &str| {
            sudoers.allow(name, uid, &[group.to_owned()]) == Some(true)
        };
        for name in ["root", "ada", "bob", "eve", "carol"] {
            assert!(may(name, 1, "users"), "{name}");
        }
        assert!(may("x", 1, "wheel") && may("x", 1, "sudo") && may("x", 1_007, "users"));
        assert!(!may("x", 1, "users") && !may("mallory", 1, "wheel") && !may("EDIT", 1, "users"));
    }

    #[test]
    fn what_could_not_be_read_leaves_it_open() {
        let part = sudoers("root ALL=(ALL) ALL\n", false);
        assert_eq!(part.allow("root", 0, &[]), Some(true));
        assert_eq!(part.allow("ada", 1, &[]), None);
        assert_eq!(sudoers("", true).allow("ada", 1, &[]), Some(false));
    }

    #[test]
    fn included_files_are_read_and_left_over_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("ops", "ada ALL=ALL\n"), ("old.bak", "eve ALL=ALL\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let text = format!(
            "@includedir {}\n#include /nowhere/at/all\n",
            folder.path().display()
        );
        let sudoers = sudoers(&text, true);
        assert_eq!(sudoers.allow("ada", 1, &[]), Some(true));
        assert_eq!(
            sudoers.allow("eve", 1, &[]),
            None,
            "one file could not be read"
        );
    }
}
