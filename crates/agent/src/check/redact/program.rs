//! Flags with which programs are given a secret.

use super::Span;
use super::value::{self, strip_quote};

/// A program, and its flags that bear a secret.
pub(super) struct Program {
    names: &'static [&'static str],
    /// Letters of such flags.
    short: &'static str,
    /// Such flags with more than a letter.
    long: &'static [&'static str],
    /// Letters of flags without a value, that may stand before it in one word.
    cluster: &'static str,
}

const fn program(names: &'static [&'static str], short: &'static str) -> Program {
    Program {
        names,
        short,
        long: &[],
        cluster: "",
    }
}

static PROGRAMS: [Program; 17] = [
    program(
        &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlcheck",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
        ],
        "p",
    ),
    program(&["sshpass", "login", "useradd", "usermod"], "p"),
    program(&["mongo", "mongosh", "mongodump", "mongorestore"], "p"),
    program(&["7z", "7za", "rar", "unrar"], "p"),
    program(&["redis-cli"], "a"),
    program(
        &[
            "ldapsearch",
            "ldapadd",
            "ldapmodify",
            "ldapdelete",
            "ldapwhoami",
        ],
        "w",
    ),
    program(&["ldappasswd"], "wsa"),
    program(&["ipmitool"], "PKy"),
    program(
        &[
            "snmpwalk",
            "snmpget",
            "snmpgetnext",
            "snmpset",
            "snmpbulkwalk",
            "snmpbulkget",
            "snmptrap",
            "snmpstatus",
        ],
        "AXc",
    ),
    program(&["smbclient", "rpcclient", "smbget", "smbcacls"], "U"),
    program(&["sqlcmd", "bcp", "isql"], "P"),
    program(&["ssh-keygen"], "NP"),
    program(&["zip", "unzip"], "P"),
    program(&["lftp", "ncftp"], "u"),
    program(&["sickbay-agent", "checker"], "b"),
    Program {
        names: &["curl"],
        short: "uU",
        long: &["--user", "--proxy-user", "--oauth2-bearer"],
        cluster: "sSLkfvigINO#0123456jlanpqRG",
    },
    Program {
        names: &["openssl"],
        short: "kK",
        long: &["-pass", "-passin", "-passout"],
        cluster: "",
    },
];

/// The program of that name, if it has such flags.
pub(super) fn find(word: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|it| it.names.contains(&word))
}

impl Program {
    /// Whether it takes only one such flag; what follows may be another program with its own.
    pub(super) const fn is_done_after_one(&self) -> bool {
        self.short.len() == 1
    }

    /// The secret that the flag `word`, which ends at `end`, bears in itself or behind it.
    pub(super) fn secret(&self, text: &str, word: &str, end: usize) -> Option<Span> {
        let rest = text.get(end..)?;
        if self.long.contains(&word) {
            return match rest.strip_prefix('=') {
                Some(_) => value::glued(text, end + 1),
                None => value::argument(text, end),
            };
        }
        let letters = word.strip_prefix('-')?;
        let at = letters.find(|it| self.short.contains(it))?;
        if !letters
            .get(..at)?
            .chars()
            .all(|it| self.cluster.contains(it))
        {
            return None;
        }
        let start = end - letters.len() + at + 1;
        let span = if start < end || strip_quote(&mut { rest }).is_some() {
            value::glued(text, start)
        } else {
            value::argument(text, end).filter(|it| !is_port(text, *it))
        }?;
        // A user, and the password only behind a `%`.
        if self.short == "U" {
            let user = text.get(span.start..span.end)?.find('%')?;
            let start = span.start + user + 1;
            return (start < span.end).then_some(Span { start, ..span });
        }
        Some(span)
    }
}

/// Whether it is `3306:3306`, as of a container that has the name of the program.
fn is_port(text: &str, span: Span) -> bool {
    let value = text.get(span.start..span.end).unwrap_or_default();
    value.contains(':')
        && value
            .bytes()
            .all(|it| it.is_ascii_digit() || matches!(it, b':' | b'.'))
}

/// The value in `--from-literal=name=value`, behind the flag that ends at `end`.
pub(super) fn literal(text: &str, end: usize) -> Option<Span> {
    let span = match text.get(end..)?.strip_prefix('=') {
        Some(_) => value::glued(text, end + 1),
        None => value::argument(text, end),
    }?;
    let name = text.get(span.start..span.end)?.find('=')?;
    let start = span.start + name + 1;
    value::inner_quote(text, Span { start, ..span })
}
