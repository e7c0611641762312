//! The database of apk (Alpine): which files of a package were installed, with their SHA-1.
//!
//! Its rows are a letter, a colon and a value (apk-tools: doc/apk.5, installed database): `P` names a
//! package, `F` a directory, `R` a file in it and `Z` that file's digest.

use std::path::{Path, PathBuf};

/// Where it lies.
pub(super) const DATABASE: &str = "/lib/apk/db/installed";
/// Before a digest of SHA-1 in base 64.
const SHA1: &str = "Q1";
/// Configuration is the administrator's to change.
const CONFIGURATION: &str = "etc";

/// Digests and paths of the files of that package; `None`: it is not installed.
pub(super) fn files<'a>(database: &'a str, name: &str) -> Option<Vec<(&'a str, PathBuf)>> {
    let is_it = |it: &&str| it.lines().any(|row| row.strip_prefix("P:") == Some(name));
    let stanza = database.split("\n\n").find(is_it)?;
    let (mut dir, mut file) = ("", "");
    let mut files = Vec::new();
    for row in stanza.lines() {
        match row.split_once(':') {
            Some(("F", value)) => dir = value,
            Some(("R", value)) => file = value,
            Some(("Z", value)) => {
                let digest = value.strip_prefix(SHA1);
                let is_configuration = Path::new(dir).starts_with(CONFIGURATION);
                if let (Some(digest), false) = (digest, is_configuration) {
                    files.push((digest, Path::new("/").join(dir).join(file)));
                }
            }
            _ => {}
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_package_are_read_without_configuration() {
        let database = "C:Q1a=\nP:other\nF:usr\nR:x\nZ:Q1b=\n\n\
                        P:zabbix-agent\nV:7.0\nF:etc/zabbix\nR:zabbix_agentd.conf\nZ:Q1c=\nF:usr/sbin\nM:0:0:755\n\
                        R:zabbix_agentd\na:0:0:755\nZ:Q1d=\nR:link\nZ:odd\n";
        let read = files(database, "zabbix-agent").unwrap();
        assert_eq!(read, [("d=", PathBuf::from("/usr/sbin/zabbix_agentd"))]);
        assert!(files(database, "zabbix").is_none());
    }

    #[test]
    fn a_broken_database_is_survived() {
        let sample = "P:x\nF:usr/sbin\nM:0:0:755\nR:x\nZ:Q1d=\nR:link\nZ:odd\n\nP:other\nF:usr\n";
        crate::fuzz::text("apk", &[sample], |it| drop(files(it, "x")));
    }
}
