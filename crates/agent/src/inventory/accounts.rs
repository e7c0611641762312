//! Accounts: `/etc/passwd`, `/etc/group`, `/etc/shadow` (passwd(5), group(5), shadow(5)), who may use `sudo`, and
//! last logins.
//!
//! Knows local accounts alone; accounts of a directory service are not asked for, since that goes
//! over the network. Password hashes are looked at for their first sign and never kept.

use std::{collections::HashMap, path::Path};

use protocol::answer::{Account, Expiry};

use super::logins::Logins;
use super::sudo::Sudoers;
use super::{Unread, read};

const SUBJECT: &str = "accounts";
const FIELD_BYTES_MAX: usize = 256;
const GROUPS_MAX: usize = 200;
const DAY_MS: i64 = 86_400_000;
/// Days after which a password that must be changed counts as one that need not: chage(1) says `never`.
const DAYS_MAX: i64 = 10_000;

/// One line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswdEntry {
    /// Name.
    pub(crate) name: String,
    /// User id.
    pub(crate) uid: u32,
    /// Primary group id.
    pub(crate) gid: u32,
    /// Home directory.
    pub(crate) home: String,
    /// Login shell.
    pub(crate) shell: String,
    /// State of a password that stands here and not in `/etc/shadow`.
    is_locked: Option<bool>,
}

/// The entries of `/etc/passwd`; lines that are none are passed over.
pub(crate) fn parse_passwd(text: &str) -> Vec<PasswdEntry> {
    text.lines().filter_map(parse_passwd_line).collect()
}

fn parse_passwd_line(line: &str) -> Option<PasswdEntry> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?;
    let shell = fields.next().unwrap_or_default();
    Some(PasswdEntry {
        name: name.to_owned(),
        uid,
        gid,
        home: home.to_owned(),
        shell: shell.to_owned(),
        is_locked: (password != "x").then(|| is_locked(password)),
    })
}

/// Group ids of a user: its own and those of which the text of `/etc/group` says that it is a member.
pub(crate) fn groups_of(text: &str, user: &PasswdEntry) -> Vec<u32> {
    let mut gids = vec![user.gid];
    for line in text.lines() {
        let mut fields = line.split(':');
        let gid = fields.nth(2).and_then(|it| it.parse().ok());
        let members = fields.next().unwrap_or_default();
        let is_member = members.split(',').any(|it| it == user.name);
        gids.extend(gid.filter(|it| is_member && !gids.contains(it)));
    }
    gids
}

pub(super) fn collect(unread: &mut Unread) -> Vec<Account> {
    let passwd = parse_passwd(&unread.text(SUBJECT, Path::new("/etc/passwd")));
    let groups = Groups::parse(&unread.more(SUBJECT, Path::new("/etc/group")));
    let path = Path::new("/etc/shadow");
    let shadow = match read::text(path) {
        Ok(text) => Some(parse_shadow(&text)),
        Err(error) => {
            unread.say(&super::unreadable(
                "accounts: locked passwords",
                path,
                &error,
            ));
            None
        }
    };
    let (sudoers, logins) = (Sudoers::read(unread), Logins::read(unread));
    let mut accounts: Vec<Account> = passwd
        .iter()
        .map(|entry| account(entry, &groups, shadow.as_ref()))
        .collect();
    for account in &mut accounts {
        account.sudoer = sudoers.allow(&account.name, account.uid, &account.groups);
        if let Some(login) = logins.of(&account.name, account.uid) {
            account.last_login_ms = Some(login.at_ms);
            account.last_login_from = read::clip(&login.from, FIELD_BYTES_MAX);
        }
    }
    unread.cap(SUBJECT, accounts)
}

fn account(
    entry: &PasswdEntry,
    groups: &Groups,
    shadow: Option<&HashMap<String, Shadow>>,
) -> Account {
    let in_shadow = || {
        // No line in a readable shadow file: there is no password that could be right.
        let own = |it: &HashMap<String, Shadow>| it.get(&entry.name).is_none_or(|it| it.is_locked);
        shadow.map(own)
    };
    Account {
        name: read::clip(&entry.name, FIELD_BYTES_MAX),
        uid: entry.uid,
        gid: entry.gid,
        groups: groups.of(entry),
        home: read::clip(&entry.home, FIELD_BYTES_MAX),
        shell: read::clip(&entry.shell, FIELD_BYTES_MAX),
        can_login: can_login(&entry.shell),
        password_locked: entry.is_locked.or_else(in_shadow),
        expiry: shadow.map(|it| it.get(&entry.name).copied().unwrap_or_default().expiry),
        sudoer: None,
        last_login_ms: None,
        last_login_from: String::new(),
    }
}

/// An empty field is no lock: it lets anyone in.
fn is_locked(password: &str) -> bool {
    password.starts_with(['!', '*'])
}

/// What a line of the shadow file tells.
#[derive(Clone, Copy, Debug, Default)]
struct Shadow {
    is_locked: bool,
    expiry: Expiry,
}

fn parse_shadow(text: &str) -> HashMap<String, Shadow> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let (name, password) = (fields.next()?.to_owned(), fields.next()?);
        let days: Vec<Option<i64>> = fields.map(|it| it.parse().ok()).collect();
        let day = |at: usize| days.get(at).copied().flatten();
        let shadow = Shadow {
            is_locked: is_locked(password),
            expiry: Expiry {
                password_ms: password_ends(day(0), day(2)),
                account_ms: day(5).map(|it| it.saturating_mul(DAY_MS)),
            },
        };
        Some((name, shadow))
    };
    text.lines().filter_map(line).collect()
}

/// From the day of the last change, and for how many days a password is good. A change on day 0 means that the
/// next login has to change it.
fn password_ends(changed: Option<i64>, good_for: Option<i64>) -> Option<i64> {
    match (changed, good_for) {
        (Some(0), _) => Some(0),
        (Some(changed), Some(days)) if (0..DAYS_MAX).contains(&days) => {
            Some(changed.saturating_add(days).saturating_mul(DAY_MS))
        }
        _ => None,
    }
}

/// An empty shell means `/bin/sh`.
fn can_login(shell: &str) -> bool {
    let program = shell.rsplit('/').next().unwrap_or_default();
    !matches!(program, "nologin" | "false" | "sync" | "shutdown" | "halt")
}

struct Groups {
    names: HashMap<u32, String>,
    of_member: HashMap<String, Vec<String>>,
}

impl Groups {
    fn parse(text: &str) -> Self {
        let mut groups = Self {
            names: HashMap::new(),
            of_member: HashMap::new(),
        };
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(gid)) = (fields.next(), fields.nth(1)) else {
                continue;
            };
            let Ok(gid) = gid.parse() else { continue };
            let name = read::clip(name, FIELD_BYTES_MAX);
            let members = fields.next().unwrap_or_default();
            for member in members.split(',').filter(|member| !member.is_empty()) {
                let list = groups.of_member.entry(member.to_owned()).or_default();
                list.push(name.clone());
            }
            groups.names.entry(gid).or_insert(name);
        }
        groups
    }

    /// The primary group, then the others.
    fn of(&self, entry: &PasswdEntry) -> Vec<String> {
        let mut names: Vec<String> = self.names.get(&entry.gid).into_iter().cloned().collect();
        for name in self.of_member.get(&entry.name).into_iter().flatten() {
            if names.len() < GROUPS_MAX && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
ada:x:1000:1000:Ada,,,:/home/ada:/bin/zsh
old:$6$salt$hash:1001:1001::/home/old:
+nis
broken:x:minus:1:::
";
    const GROUP: &str = "root:x:0:\nada:x:1000:ada\nsudo:x:27:ada,bob\ndaemon:x:1:\n";
    const SHADOW: &str = "root:*:19000:0:99999:7:::\nada:$y$j9T$abc:19000::::::\nopen::1::::::\n";

    fn accounts(shadow: Option<&str>) -> Vec<Account> {
        let groups = Groups::parse(GROUP);
        let shadow = shadow.map(parse_shadow);
        let entries = parse_passwd(PASSWD);
        let accounts = entries
            .iter()
            .map(|it| account(it, &groups, shadow.as_ref()));
        accounts.collect()
    }

    #[test]
    fn lines_that_are_no_accounts_are_passed_over() {
        let names: Vec<String> = accounts(None).into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["root", "daemon", "ada", "old"]);
    }

    #[test]
    fn passwords_and_accounts_end_as_chage_says() {
        let text =
            "a:*:19000:0:90:7:::\nb:*:19000:0:99999:7::19500:\nc:*:0:0:99999::::\nd:*:::::::\n";
        let shadow = parse_shadow(text);
        let ends = |name: &str| {
            let Expiry {
                password_ms,
                account_ms,
            } = shadow[name].expiry;
            (
                password_ms.map(|it| it / DAY_MS),
                account_ms.map(|it| it / DAY_MS),
            )
        };
        assert_eq!(ends("a"), (Some(19_090), None));
        assert_eq!(ends("b"), (None, Some(19_500)));
        assert_eq!(ends("c"), (Some(0), None));
        assert_eq!(ends("d"), (None, None));
        let known: Vec<bool> = accounts(None)
            .iter()
            .map(|it| it.expiry.is_some())
            .collect();
        assert_eq!(known, [false; 4]);
    }

    #[test]
    fn groups_are_the_primary_one_and_those_that_list_the_member_once() {
        assert_eq!(accounts(None)[2].groups, ["ada", "sudo"]);
    }

    #[test]
    fn a_shell_that_lets_nobody_in_is_no_login() {
        let logins: Vec<bool> = accounts(None).iter().map(|it| it.can_login).collect();
        assert_eq!(logins, [true, false, true, true]);
    }

    #[test]
    fn locks_come_from_the_shadow_file_and_are_unknown_without_it() {
        let locks = |shadow| -> Vec<Option<bool>> {
            let accounts = accounts(shadow);
            accounts.iter().map(|it| it.password_locked).collect()
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(locks(Some(SHADOW)), [yes, yes, no, no]);
        assert_eq!(locks(None), [None, None, None, no]);
        assert!(!parse_shadow(SHADOW)["open"].is_locked);
    }

    #[test]
    fn broken_accounts_are_survived() {
        let samples = [
            "root:x:0:0:root:/root:/bin/bash\nx:y:1000:1000::/:/bin/sh\n",
            "root:!:19000:0:99999:7:::\nx:$6$a$b:1:::::\n",
        ];
        crate::fuzz::text("accounts", &samples, |it| {
            drop((parse_passwd(it), parse_shadow(it)));
        });
    }
}
