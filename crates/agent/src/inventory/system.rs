//! Facts of this host: names, processor, memory, addresses, disks.
//!
//! Cheap enough for every connect: a few small files of `/proc` and `/sys`. Asks local file systems
//! alone for their size, since a dead network file system would never answer.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

use protocol::facts::{Disk, HostFacts};
use ring::digest::{SHA256, digest};

use super::{processes, read};

/// Stands before the machine id in its digest, so that the id itself cannot be looked up.
const FINGERPRINT_PREFIX: &str = "sickbay-machine-v1\0";
const ENTRIES_MAX: usize = 256;
const FIELD_BYTES_MAX: usize = 256;
/// A router's routes are many; a host's addresses stand in the first of them.
const ROUTES_BYTES_MAX: u64 = 4 << 20;
/// File systems on local devices that answer from the kernel alone.
const LOCAL_FILE_SYSTEMS: [&str; 16] = [
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ntfs", "ntfs3",
    "reiserfs", "ubifs", "vfat", "xfs", "zfs",
];

/// Facts of this host. Blocking, for some milliseconds. What cannot be read stays empty.
#[must_use]
pub fn facts() -> HostFacts {
    let text = |path: &str| read::text(Path::new(path)).unwrap_or_default();
    let uname = rustix::system::uname();
    let release =
        read::text(Path::new("/etc/os-release")).unwrap_or_else(|_| text("/usr/lib/os-release"));
    let processors = text("/proc/cpuinfo");
    let machine_id = read::text(Path::new("/etc/machine-id"))
        .unwrap_or_else(|_| text("/var/lib/dbus/machine-id"));
    let routes = read::text_up_to(Path::new("/proc/net/fib_trie"), ROUTES_BYTES_MAX);
    let mut addresses = parse_ipv4(&routes.unwrap_or_default());
    addresses.extend(parse_ipv6(&text("/proc/net/if_inet6")));
    addresses.truncate(ENTRIES_MAX);
    HostFacts {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        os_name: release_value(&release, "PRETTY_NAME"),
        os_id: release_value(&release, "ID"),
        kernel: uname.release().to_string_lossy().into_owned(),
        architecture: uname.machine().to_string_lossy().into_owned(),
        cpu_model: processor_model(&processors),
        cpu_count: processor_count(&processors),
        memory_bytes: memory_bytes(&text("/proc/meminfo")),
        booted_ms: processes::booted_ms(),
        machine_fingerprint: fingerprint(&machine_id),
        addresses,
        mac_addresses: mac_addresses(),
        disks: disks(&text("/proc/self/mounts")),
        is_root: rustix::process::geteuid().is_root(),
    }
}

/// A value of os-release(5), without its quotes.
fn release_value(text: &str, key: &str) -> String {
    let value = read::value(text, key, '=').unwrap_or_default();
    read::clip(value.trim_matches(['"', '\'']), FIELD_BYTES_MAX)
}

/// Architectures name their processors under different keys; some do not at all.
fn processor_model(text: &str) -> String {
    ["model name", "cpu model", "Processor", "cpu", "Model"]
        .iter()
        .find_map(|key| read::value(text, key, ':'))
        .map(|model| read::clip(model, FIELD_BYTES_MAX))
        .unwrap_or_default()
}

fn processor_count(text: &str) -> u32 {
    let is_processor = |line: &&str| line.starts_with("processor");
    let listed = text.lines().filter(is_processor).count();
    let count = if listed > 0 {
        listed
    } else {
        std::thread::available_parallelism().map_or(0, usize::from)
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn memory_bytes(text: &str) -> u64 {
    let value = read::value(text, "MemTotal", ':').unwrap_or_default();
    let kib = value.split_ascii_whitespace().next().unwrap_or_default();
    kib.parse::<u64>().unwrap_or(0).saturating_mul(1_024)
}

fn fingerprint(machine_id: &str) -> String {
    let id = machine_id.trim();
    // So an image says that its first start has still to make the id (machine-id(5)).
    if id.is_empty() || id == "uninitialized" {
        return String::new();
    }
    let text = format!("{FINGERPRINT_PREFIX}{id}");
    data_encoding::HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

/// The addresses that a routing table calls the host's own.
fn parse_ipv4(routes: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    let mut seen = BTreeSet::new();
    let mut latest: Option<Ipv4Addr> = None;
    for line in routes.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            latest = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = latest
            && !address.is_loopback()
            && !address.is_link_local()
            && seen.insert(address)
        {
            addresses.push(address.to_string());
        }
    }
    addresses
}

/// Address, interface number, prefix length, scope, flags, interface; numbers in hexadecimal.
fn parse_ipv6(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let address = line.split_ascii_whitespace().next()?;
        let address = Ipv6Addr::from_bits(u128::from_str_radix(address, 16).ok()?);
        let is_own = !address.is_loopback() && !address.is_unicast_link_local();
        is_own.then(|| address.to_string())
    };
    text.lines().filter_map(line).collect()
}

/// Of network cards; of whatever interfaces there are where none is a card, as in a container.
fn mac_addresses() -> Vec<String> {
    let interfaces = read::folder(Path::new("/sys/class/net")).unwrap_or_default();
    let of = |is_wanted: &dyn Fn(&Path) -> bool| {
        let mut addresses = BTreeSet::new();
        for interface in interfaces.iter().filter(|path| is_wanted(path)) {
            let address = read::text(&interface.join("address")).unwrap_or_default();
            let address = address.trim();
            if address.bytes().any(|byte| !matches!(byte, b'0' | b':')) {
                addresses.insert(read::clip(address, FIELD_BYTES_MAX));
            }
        }
        addresses
    };
    let mut addresses = of(&|path| path.join("device").exists());
    if addresses.is_empty() {
        addresses = of(&|_| true);
    }
    addresses.into_iter().take(ENTRIES_MAX).collect()
}

fn disks(mounts: &str) -> Vec<Disk> {
    let mut disks = parse_mounts(mounts);
    disks.truncate(ENTRIES_MAX);
    for disk in &mut disks {
        if let Ok(size) = rustix::fs::statvfs(disk.mount.as_str()) {
            let used = size.f_blocks.saturating_sub(size.f_bfree);
            disk.total_bytes = size.f_blocks.saturating_mul(size.f_frsize);
            disk.used_bytes = used.saturating_mul(size.f_frsize);
        }
        disk.mount = read::clip(&disk.mount, FIELD_BYTES_MAX);
    }
    disks
}

/// The first mount of each local device, without sizes: the others show the same disk.
fn parse_mounts(text: &str) -> Vec<Disk> {
    let mut seen = BTreeSet::new();
    let mut disks = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(' ').map(unescape);
        let (Some(device), Some(mount), Some(file_system)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let is_local = LOCAL_FILE_SYSTEMS.contains(&file_system.as_str());
        if is_local && seen.insert(device.clone()) {
            disks.push(Disk {
                device: read::clip(&device, FIELD_BYTES_MAX),
                mount,
                file_system,
                ..Disk::default()
            });
        }
    }
    disks
}

/// Space, tab, line feed and backslash are written as octal numbers (fstab(5)).
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_once_and_without_loopback_and_link_local() {
        let routes = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     |-- 169.254.7.7
        /32 host LOCAL
Local:
        |-- 192.0.2.2
           /32 host LOCAL
";
        assert_eq!(parse_ipv4(routes), ["192.0.2.2"]);
        let ipv6 = "\
fd000000000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
";
        assert_eq!(parse_ipv6(ipv6), ["fd00::2"]);
    }

    #[test]
    fn disks_are_local_devices_once_with_readable_paths() {
        let mounts = "\
proc /proc proc rw 0 0
/dev/vda / ext4 rw,relatime 0 0
/dev/vda /srv/bound ext4 rw,relatime 0 0
/dev/vdb1 /mnt/my\\040disk xfs rw 0 0
server:/export /nfs nfs4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
";
        let disks = parse_mounts(mounts);
        let mounts: Vec<&str> = disks.iter().map(|disk| disk.mount.as_str()).collect();
        assert_eq!(mounts, ["/", "/mnt/my disk"]);
    }

    #[test]
    fn clones_share_a_fingerprint_and_a_missing_id_gives_none() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(fingerprint(&format!("{id}\n")), fingerprint(id));
        assert_eq!(fingerprint(id).len(), 64);
        assert!(!fingerprint(id).contains(id));
        assert_eq!(fingerprint("uninitialized\n"), "");
        assert_eq!(fingerprint(""), "");
    }

    #[test]
    fn the_system_is_named_as_its_release_file_has_it() {
        let text = "NAME=\"Debian GNU/Linux\"\nID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(
            release_value(text, "PRETTY_NAME"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(release_value(text, "ID"), "debian");
    }

    #[test]
    fn processors_and_memory_are_read_from_their_tables() {
        let processors =
            "processor\t: 0\nmodel name\t: Xeon\n\nprocessor\t: 1\nmodel name\t: Xeon\n";
        assert_eq!(processor_model(processors), "Xeon");
        assert_eq!(processor_count(processors), 2);
        assert_eq!(memory_bytes("MemTotal:       16384 kB\n"), 16 << 20);
    }

    #[test]
    fn broken_tables_are_survived() {
        let samples = [
            "/dev/sda1 /mnt\\040x ext4 rw,relatime 0 0\n",
            "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.7\n        /32 host LOCAL\n",
            "fe800000000000000000000000000001 02 40 20 80     eth0\n",
            "PRETTY_NAME=\"x\"\nmodel name\t: y\nprocessor\t: 0\nMemTotal: 12 kB\n",
        ];
        crate::fuzz::text("system", &samples, |it| {
            drop((parse_mounts(it), parse_ipv4(it), parse_ipv6(it)));
            drop((release_value(it, "PRETTY_NAME"), processor_model(it)));
            drop((processor_count(it), memory_bytes(it), fingerprint(it)));
        });
    }
}
