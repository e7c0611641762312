//! What `rpm --verify` says of a package: its database is for rpm alone to read.

/// Attributes that no fault changes: times, and what administrators set (rpm(8), VERIFY OPTIONS).
pub(super) const ARGUMENTS: [&str; 8] = [
    "--verify",
    "--nomtime",
    "--nouser",
    "--nogroup",
    "--nomode",
    "--noscripts",
    "--nodeps",
    "--noghost",
];

/// One line: whether the file is missing, or else its content is another, and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage<'a> {
    pub(super) is_missing: bool,
    pub(super) path: &'a str,
}

/// `S.5......  c /path` or `missing     /path`; a letter before the path tells configuration (c),
/// documents (d, l, r), ghosts (g) and artefacts (a) from files that must be as they were.
pub(super) fn parse(said: &str) -> Vec<Damage<'_>> {
    let row = |line| -> Option<Damage<'_>> {
        let line: &str = line;
        let (head, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        if !rest.starts_with('/') {
            return None;
        }
        // `(Permission denied)` behind a path that is missing only for who looks.
        let path = rest.trim_end();
        let is_missing = head == "missing";
        let is_changed = head.len() >= 8 && head.as_bytes().get(2) == Some(&b'5');
        let is_seen = !path.ends_with(')');
        ((is_missing || is_changed) && is_seen).then_some(Damage { is_missing, path })
    };
    said.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_must_be_as_they_were_are_damaged() {
        let said = "S.5....T.  c /etc/zabbix_agentd.conf\n\
                    S.5....T.    /usr/sbin/zabbix_agentd\n\
                    .......T.    /usr/bin/zabbix_get\n\
                    .M.......    /var/log/zabbix\n\
                    missing     /usr/lib64/zabbix/x.so\n\
                    missing   d /usr/share/doc/zabbix/README\n\
                    missing     /root/x (Permission denied)\n\
                    package zabbix is not installed\n";
        let at = |is_missing, path| Damage { is_missing, path };
        assert_eq!(
            parse(said),
            [
                at(false, "/usr/sbin/zabbix_agentd"),
                at(true, "/usr/lib64/zabbix/x.so"),
            ]
        );
    }

    #[test]
    fn broken_answers_are_survived() {
        let sample =
            "S.5....T.  c /etc/x.conf\n.M.......    /var/log/x\nmissing     /usr/lib64/x.so\n";
        crate::fuzz::text("rpm", &[sample], |it| drop(parse(it)));
    }
}
