//! What an agent says of its host when it connects, and what `SYSTEM_SNAPSHOT` returns.

use serde::{Deserialize, Serialize};

/// Facts of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFacts {
    /// Host name.
    pub hostname: String,
    /// Operating system and version, as `/etc/os-release` has it in `PRETTY_NAME`.
    pub os_name: String,
    /// `ID` of `/etc/os-release`, such as `debian`.
    pub os_id: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture, such as `x86_64`.
    pub architecture: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical processors.
    pub cpu_count: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// When the host started, in ms since the Unix epoch.
    pub booted_ms: i64,
    /// SHA-256 of `/etc/machine-id` with a fixed prefix, lower-case hexadecimal; empty if there is
    /// none. Two hosts with the same value are clones of one image.
    pub machine_fingerprint: String,
    /// Addresses, without loopback and link-local ones.
    pub addresses: Vec<String>,
    /// Hardware addresses.
    pub mac_addresses: Vec<String>,
    /// Mounted real file systems.
    pub disks: Vec<Disk>,
    /// Whether the agent runs as root.
    pub is_root: bool,
}

/// Of [`HostFacts`] the addresses alone: a row of a list shows no more, and the rest costs most of the reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HostAddresses {
    /// [`HostFacts::addresses`].
    pub addresses: Vec<String>,
}

/// One mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Disk {
    /// Device.
    pub device: String,
    /// Where it is mounted.
    pub mount: String,
    /// Kind of file system.
    pub file_system: String,
    /// Size, in bytes.
    pub total_bytes: u64,
    /// Used, in bytes.
    pub used_bytes: u64,
}
