//! Last logins: `/var/log/lastlog` (lastlog(8)) and the end of `/var/log/wtmp` (wtmp(5)).
//!
//! The first has one record for each user id, the second one for each login; the later of both counts. Records
//! are as glibc writes them on Linux with 64 bits.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{Unread, read};

const LASTLOG: &str = "/var/log/lastlog";
const WTMP: &str = "/var/log/wtmp";
/// Time, line and host (struct lastlog of lastlog.h).
const LASTLOG_BYTES: usize = 4 + 32 + LOGIN_HOST_BYTES;
const LOGIN_HOST_BYTES: usize = 256;
/// struct utmp of utmp(5).
const UTMP_BYTES: usize = 384;
/// `ut_type` of a login by a user.
const USER_PROCESS: i16 = 7;
/// Part of wtmp that is read, from its end: some 10,000 logins.
const WTMP_BYTES_MAX: u64 = 10_922 * 384;

/// When and from where somebody came last.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Login {
    /// In ms since the Unix epoch.
    pub(super) at_ms: i64,
    /// Address or name of the other machine; empty for a login at the machine itself.
    pub(super) from: String,
}

/// See the module.
pub(super) struct Logins {
    lastlog: Option<File>,
    wtmp: HashMap<String, Login>,
}

impl Logins {
    /// Opens the one and reads the other. Hosts may lack either: then nothing is said.
    pub(super) fn read(unread: &mut Unread) -> Self {
        let mut open = |path: &str| match read::open_file(Path::new(path)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                unread.say(&super::unreadable(
                    "accounts: last logins",
                    Path::new(path),
                    &error,
                ));
                None
            }
        };
        let lastlog = open(LASTLOG);
        let wtmp = open(WTMP).and_then(|it| end_of(&it).ok());
        Self {
            lastlog,
            wtmp: parse_wtmp(&wtmp.unwrap_or_default()),
        }
    }

    /// The last login of an account, if one is known.
    pub(super) fn of(&self, name: &str, uid: u32) -> Option<Login> {
        let mut record = [0; LASTLOG_BYTES];
        let length = u64::try_from(LASTLOG_BYTES).unwrap_or(u64::MAX);
        let place = u64::from(uid).saturating_mul(length);
        let is_read = |file: &File| file.read_exact_at(&mut record, place).is_ok();
        let is_there = self.lastlog.as_ref().is_some_and(is_read);
        let by_id = is_there.then(|| parse_lastlog(&record)).flatten();
        by_id.max(self.wtmp.get(name).cloned())
    }
}

/// The last whole records.
fn end_of(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let record = u64::try_from(UTMP_BYTES).unwrap_or(u64::MAX);
    let whole = length - length % record;
    let first = whole.saturating_sub(WTMP_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(whole - first).unwrap_or_default()];
    file.read_exact_at(&mut bytes, first)?;
    Ok(bytes)
}

fn parse_lastlog(record: &[u8]) -> Option<Login> {
    let at = seconds(record, 0).filter(|it| *it > 0)?;
    Some(Login {
        at_ms: at * 1_000,
        from: text(record, 4 + 32, LOGIN_HOST_BYTES),
    })
}

fn parse_wtmp(bytes: &[u8]) -> HashMap<String, Login> {
    let mut last = HashMap::new();
    for record in bytes.chunks_exact(UTMP_BYTES) {
        let kind = record.first_chunk().map(|it| i16::from_ne_bytes(*it));
        let Some(at) = seconds(record, 340).filter(|_| kind == Some(USER_PROCESS)) else {
            continue;
        };
        let login = Login {
            at_ms: at * 1_000,
            from: text(record, 76, LOGIN_HOST_BYTES),
        };
        let known: &mut Login = last.entry(text(record, 44, 32)).or_default();
        if login > *known {
            *known = login;
        }
    }
    last
}

fn seconds(record: &[u8], at: usize) -> Option<i64> {
    let bytes = record.get(at..)?.first_chunk()?;
    Some(i64::from(u32::from_ne_bytes(*bytes)))
}

/// A text that ends with its field or a zero.
fn text(record: &[u8], at: usize, length: usize) -> String {
    let field = record.get(at..at + length).unwrap_or_default();
    let end = field.iter().position(|it| *it == 0).unwrap_or(length);
    String::from_utf8_lossy(field.get(..end).unwrap_or(field)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
        record[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn utmp(kind: i16, user: &str, from: &str, at: u32) -> Vec<u8> {
        let mut record = vec![0; UTMP_BYTES];
        put(&mut record, 0, &kind.to_ne_bytes());
        put(&mut record, 44, user.as_bytes());
        put(&mut record, 76, from.as_bytes());
        put(&mut record, 340, &at.to_ne_bytes());
        record
    }

    fn login(at_ms: i64, from: &str) -> Login {
        Login {
            at_ms,
            from: from.to_owned(),
        }
    }

    #[test]
    fn the_last_login_of_a_user_counts_and_nothing_else_does() {
        let records = [
            utmp(USER_PROCESS, "ada", "192.0.2.1", 10),
            utmp(USER_PROCESS, "ada", "192.0.2.2", 12),
            utmp(USER_PROCESS, "ada", "192.0.2.3", 11),
            utmp(8, "ada", "", 99),
            utmp(USER_PROCESS, "bob", "", 5),
        ];
        let mut bytes = records.concat();
        bytes.push(7);
        let last = parse_wtmp(&bytes);
        assert_eq!(last.len(), 2);
        assert_eq!(last["ada"], login(12_000, "192.0.2.2"));
        assert_eq!(last["bob"], login(5_000, ""));
    }

    #[test]
    fn a_record_of_an_id_is_found_at_its_place_and_the_later_of_both_files_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lastlog");
        let mut record = [0; LASTLOG_BYTES];
        put(&mut record, 0, &20_u32.to_ne_bytes());
        put(&mut record, 36, b"198.51.100.7");
        let mut bytes = vec![0; LASTLOG_BYTES * 3];
        bytes.extend_from_slice(&record);
        std::fs::write(&path, bytes).unwrap();
        let logins = Logins {
            lastlog: Some(File::open(&path).unwrap()),
            wtmp: parse_wtmp(&[utmp(7, "ada", "here", 19), utmp(7, "eve", "there", 21)].concat()),
        };
        let old = Some(login(20_000, "198.51.100.7"));
        assert_eq!(logins.of("ada", 3), old);
        assert_eq!(logins.of("eve", 3), Some(login(21_000, "there")));
        assert_eq!(logins.of("never", 1), None, "a hole in the file");
        assert_eq!(logins.of("beyond", u32::MAX), None);
    }
}
