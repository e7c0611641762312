//! What the kernel has run out of: tracked connections and local ports.

use crate::check::procfs;

/// Share of the range of local ports from which on it is used up, in percent.
const PORTS_PERCENT: usize = 90;
/// Most of a table of sockets that is read, in bytes.
const TABLE_BYTES_MAX: u64 = 32 << 20;

/// Says so if the kernel's table of tracked connections is full.
pub(super) fn full_table() -> Option<String> {
    let of = |what: &str| procfs::number(format!("/proc/sys/net/netfilter/nf_conntrack_{what}"));
    judge_table(of("count")?, of("max")?)
}

/// The last entries come and go.
fn judge_table(count: u64, max: u64) -> Option<String> {
    let is_full = max > 0 && count >= max - max / 200;
    is_full.then(|| format!("{count} of {max} tracked connections are in use"))
}

/// Says so if the range of local ports is used up.
pub(super) fn no_ports() -> Option<String> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(read);
    judge_ports(&range, &tables)
}

fn read(path: &str) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What was read before a fault is as good as it gets.
        file.take(TABLE_BYTES_MAX).read_to_string(&mut text).ok();
    }
    text
}

fn judge_ports(range: &str, tables: &[String]) -> Option<String> {
    let mut bounds = range
        .split_whitespace()
        .filter_map(|it| it.parse::<u16>().ok());
    let (low, high) = (bounds.next()?, bounds.next()?);
    let size = usize::from(high.checked_sub(low)?) + 1;
    let (mut ports, mut waiting) = (std::collections::BTreeSet::new(), 0_usize);
    for line in tables.iter().flat_map(|it| it.lines().skip(1)) {
        let mut words = line.split_whitespace();
        let port = words
            .nth(1)
            .and_then(|it| u16::from_str_radix(it.rsplit_once(':')?.1, 16).ok());
        if let Some(port) = port.filter(|it| (low..=high).contains(it)) {
            ports.insert(port);
            // TIME_WAIT (net/tcp_states.h).
            waiting += usize::from(words.nth(1) == Some("06"));
        }
    }
    let used = ports.len();
    (used * 100 >= size * PORTS_PERCENT).then(|| {
        format!("{used} of the {size} local ports {low}-{high} are in use, {waiting} connections in TIME-WAIT")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_full_at_its_limit_only() {
        assert!(judge_table(262_144, 262_144).is_some());
        assert!(judge_table(261_900, 262_144).is_some());
        assert_eq!(judge_table(250_000, 262_144), None);
        assert_eq!(judge_table(0, 0), None);
    }

    #[test]
    fn ports_are_counted_once_and_within_the_range() {
        let head =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
        let line = |port: u16, state: &str| {
            format!(
                "   0: 0100007F:{port:04X} 0100007F:20FB {state} 00000000:00000000 00:00000000 00000000     0\n"
            )
        };
        let table = |ports: std::ops::Range<u16>| {
            let lines: String = ports.map(|it| line(it, "06")).collect();
            [
                format!("{head}{lines}"),
                format!("{head}{}", line(40_000, "01")),
            ]
        };
        let range = "40000\t40099\n";
        let said = judge_ports(range, &table(40_000..40_095)).unwrap();
        assert_eq!(
            said,
            "95 of the 100 local ports 40000-40099 are in use, 95 connections in TIME-WAIT"
        );
        assert_eq!(judge_ports(range, &table(40_000..40_050)), None);
        assert_eq!(judge_ports(range, &table(50_000..50_500)), None);
    }
}
