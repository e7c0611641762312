//! What this host says about names: `/etc/hosts` and `/etc/resolv.conf` (hosts(5), resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

/// Port of name servers.
const PORT: u16 = 53;
/// Name servers that are asked.
const SERVERS_MAX: usize = 3;
/// Domains that are searched.
const DOMAINS_MAX: usize = 32;
/// Largest file that is read, in bytes: block lists in `/etc/hosts` are long.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// How this host asks for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Whom to ask, in this order; never empty.
    pub(crate) servers: Vec<SocketAddr>,
    /// Domains under which a short name is looked for.
    pub(super) search: Vec<String>,
    /// So many dots make a name that is asked for as it is first.
    pub(super) ndots: usize,
    /// Time that a server has for its answer.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: u32,
}

impl Config {
    /// Reads `resolv.conf`; a file that cannot be read is an empty one.
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&text(path))
    }

    /// Without any name server, it is the one on this host.
    pub(crate) fn parse(text: &str) -> Self {
        let mut config = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = words(line);
            match words.next() {
                Some("nameserver") => config.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => {
                    // The last such line counts.
                    config.search = words.take(DOMAINS_MAX).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|it| config.option(it)),
                _ => {}
            }
        }
        config.servers.truncate(SERVERS_MAX);
        if config.servers.is_empty() {
            config.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        config
    }

    /// Options that are not known, and values that are no numbers, change nothing.
    fn option(&mut self, option: &str) {
        let Some((name, Ok(value))) = option.split_once(':').map(|(n, v)| (n, v.parse::<u8>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = usize::from(value.min(15)),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5).into(),
            _ => {}
        }
    }

    /// The full names that `host` may stand for, in the order in which they are asked for.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(full) = host.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|it| it.trim_matches('.'))
            .filter(|it| !it.is_empty())
            .map(|domain| format!("{host}.{domain}"))
            .collect();
        let is_long = host.matches('.').count() >= self.ndots;
        names.insert(if is_long { 0 } else { names.len() }, host.to_owned());
        names
    }
}

/// The addresses of a name, in lower case, in `hosts`.
pub(super) fn in_hosts(path: &Path, name: &str) -> Vec<IpAddr> {
    let text = text(path);
    let lines = text.lines().filter_map(|line| {
        let mut words = words(line);
        let address = words.next()?;
        let named = words.any(|it| it.trim_end_matches('.').eq_ignore_ascii_case(name));
        named.then(|| address.parse().ok()).flatten()
    });
    lines.collect()
}

/// The words of a line before its comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let said = line.split(['#', ';']).next().unwrap_or_default();
    said.split_whitespace()
}

/// A server's address, with the number or name of its interface where it is a link-local one.
fn server(word: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = word.split_once('%') else {
        return Some((word.parse::<IpAddr>().ok()?, PORT).into());
    };
    let number = interface.parse().ok().or_else(|| {
        let index = Path::new("/sys/class/net").join(interface).join("ifindex");
        std::fs::read_to_string(index).ok()?.trim().parse().ok()
    });
    let scope = number.unwrap_or_default();
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into())
}

fn text(path: &Path) -> String {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_domains_and_options_are_read() {
        let text = "# by hand\n\
                    domain old.example\n\
                    search a.example b.example. ; both\n\
                    nameserver 10.0.0.2\n\
                    nameserver\tfe80::1%7\n\
                    nameserver nonsense\n\
                    nameserver 9.9.9.9 # x\n\
                    nameserver 1.1.1.1\n\
                    options ndots:2 timeout:1 attempts:200 rotate edns0 ndots:x\n";
        let config = Config::parse(text);
        let servers: Vec<String> = config.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2:53", "[fe80::1%7]:53", "9.9.9.9:53"]);
        assert_eq!(config.timeout, Duration::from_secs(1));
        assert_eq!(config.attempts, 5);
        for (host, names) in [
            ("www", &["www.a.example", "www.b.example", "www"][..]),
            ("www.x", &["www.x.a.example", "www.x.b.example", "www.x"]),
            ("a.b.c", &["a.b.c", "a.b.c.a.example", "a.b.c.b.example"]),
            ("www.", &["www"]),
        ] {
            assert_eq!(config.candidates(host), names, "{host}");
        }
    }

    #[test]
    fn without_a_name_server_it_is_this_host() {
        let config = Config::parse("options edns0\n");
        assert_eq!(config.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(config.candidates("a.b"), ["a.b"]);
        assert_eq!(Config::read(Path::new("/nonexistent")), Config::parse(""));
    }

    #[test]
    fn a_name_may_stand_in_several_lines_of_hosts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n\
                    10.0.0.9 Sickbay.Example sickbay # node.example\nbad sickbay\n";
        std::fs::write(file.path(), text).unwrap();
        let found = |name| in_hosts(file.path(), name);
        assert_eq!(found("localhost").len(), 2);
        assert_eq!(found("sickbay.example"), found("sickbay"));
        assert_eq!(found("sickbay"), ["10.0.0.9".parse::<IpAddr>().unwrap()]);
        assert!(found("node.example").is_empty());
    }

    #[test]
    fn a_broken_configuration_is_survived() {
        let sample = "# x\nnameserver fe80::1%eth0\nnameserver 10.0.0.1\nsearch a.example b.example\noptions ndots:5 timeout:1 attempts:9\n";
        crate::fuzz::text("resolv.conf", &[sample], |it| {
            drop(Config::parse(it).candidates("host.example"));
        });
    }
}
