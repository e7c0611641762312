//! Loaded kernel modules: `/proc/modules` (proc(5)).

use std::path::Path;

use protocol::answer::KernelModule;

use super::Unread;

const SUBJECT: &str = "kernel modules";

pub(super) fn collect(unread: &mut Unread) -> Vec<KernelModule> {
    let text = unread.text(SUBJECT, Path::new("/proc/modules"));
    unread.cap(SUBJECT, parse(&text))
}

fn parse(text: &str) -> Vec<KernelModule> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.next()?.to_owned();
        let size_bytes = fields.next()?.parse().ok()?;
        // `-` stands for none, `[permanent]` for a module that cannot be unloaded.
        let used_by = fields.nth(1)?.split(',');
        let used_by = used_by.filter(|user| !matches!(*user, "" | "-" | "[permanent]"));
        Some(KernelModule {
            name,
            size_bytes,
            used_by: used_by.map(str::to_owned).collect(),
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_with_their_users() {
        let text = "\
nf_nat 57344 2 nft_chain_nat,xt_MASQUERADE, Live 0x0000000000000000
virtio_net 86016 0 - Live 0x0000000000000000
ipv6 630784 36 [permanent], Live 0x0000000000000000
cut
";
        let modules = parse(text);
        let users: Vec<(&str, usize)> = modules
            .iter()
            .map(|it| (it.name.as_str(), it.used_by.len()))
            .collect();
        assert_eq!(users, [("nf_nat", 2), ("virtio_net", 0), ("ipv6", 0)]);
        assert_eq!(modules[0].used_by, ["nft_chain_nat", "xt_MASQUERADE"]);
        assert_eq!(modules[1].size_bytes, 86_016);
    }

    #[test]
    fn broken_tables_are_survived() {
        let sample = "nf_tables 372736 1 nft_compat, Live 0x0000000000000000\nx 1 0 - Live 0x0\n";
        crate::fuzz::text("modules", &[sample], |it| drop(parse(it)));
    }
}
