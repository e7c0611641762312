//! Answers about hosts: the list, one host in full, and whether its agent is installed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PageInfo;

/// Answer of `DescribeCloudCenterInstances`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeCloudCenterInstances {
    /// The hosts.
    pub instances: Vec<Instance>,
    /// Paging.
    pub page_info: PageInfo,
    /// Always true in an answer that is no error.
    pub success: bool,
}

/// One host of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    /// `online`, `offline` or `pause`.
    pub client_status: String,
    /// The same with `uninstalled` and `stopped`.
    pub client_sub_status: String,
    /// Logical processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Processor model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_info: Option<String>,
    /// When the host enrolled, in ms since the Unix epoch.
    pub created_time: i64,
    /// 1: not a host of Alibaba Cloud.
    pub flag: u8,
    /// The host's uuid again: it has no id of a cloud.
    pub instance_id: String,
    /// Host name.
    pub instance_name: String,
    /// Public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_ip: Option<String>,
    /// Private address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intranet_ip: Option<String>,
    /// The address to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// All addresses, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_list_string: Option<String>,
    /// Kernel release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Last contact with the agent, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_timestamp: Option<i64>,
    /// All hardware addresses, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_list_string: Option<String>,
    /// Memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<u64>,
    /// Kind of operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Operating system and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_name: Option<String>,
    /// `Running` if the host is connected; else unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The host's uuid.
    pub uuid: String,
    /// Ours: version of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// Ours: labels that operators have given the host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Answer of `GetAssetDetailByUuid`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetAssetDetailByUuid {
    /// The host.
    pub asset_detail: AssetDetail,
}

/// One host in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AssetDetail {
    /// `0`: a server.
    pub asset_type: String,
    /// `online`, `offline` or `pause`.
    pub client_status: String,
    /// The same with `uninstalled` and `stopped`.
    pub client_sub_status: String,
    /// Version of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// Logical processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Processor model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_info: Option<String>,
    /// When the host enrolled, in ms since the Unix epoch.
    pub create_time: i64,
    /// Its file systems.
    pub disk_info_list: Vec<DiskInfo>,
    /// 1: not a host of Alibaba Cloud.
    pub flag: u8,
    /// The group of the install code that it enrolled with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_trace: Option<String>,
    /// Host name.
    pub host_name: String,
    /// The host's uuid again: it has no id of a cloud.
    pub instance_id: String,
    /// Host name again.
    pub instance_name: String,
    /// Public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_ip: Option<String>,
    /// Private address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intranet_ip: Option<String>,
    /// The address to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// All addresses.
    pub ip_list: Vec<String>,
    /// Kernel release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// All hardware addresses.
    pub mac_list: Vec<String>,
    /// Memory, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<u64>,
    /// Memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Kind of operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Operating system and architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_detail: Option<String>,
    /// Operating system and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_name: Option<String>,
    /// The same again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sys_info: Option<String>,
    /// The host's uuid.
    pub uuid: String,
    /// Ours: last contact with the agent, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_timestamp: Option<i64>,
    /// Ours: labels that operators have given the host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskInfo {
    /// Device.
    pub disk_name: String,
    /// Size, in GiB.
    pub total_size: u64,
    /// Size, in bytes.
    pub total_size_byte: u64,
    /// Used, in GiB.
    pub use_size: u64,
    /// Used, in bytes.
    pub use_size_byte: u64,
}

/// Answer of `RefreshAssets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RefreshAssets {
    /// Ours: the task that collects; absent if no host is connected, or nothing of that kind is collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// Answer of `ModifyPushAllTask`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyPushAllTask {
    /// What came of it.
    pub push_task_rsp: PushTask,
    /// Ours: the task that collects; absent if no host takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// What came of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PushTask {
    /// Host by host, as asked.
    pub push_task_result_list: Vec<PushTaskResult>,
}

/// What came of a push to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PushTaskResult {
    /// The host's uuid again: it has no id of a cloud.
    pub instance_id: String,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// The address to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// `successful`, or why not.
    pub message: String,
    /// Whether its agent is connected.
    pub online: bool,
    /// Kind of operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Whether it is asked now.
    pub success: bool,
    /// The host's uuid.
    pub uuid: String,
}

/// Answer of `PreviewTargets`, which is ours: what a `Selector` means now; without one, all hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PreviewTargets {
    /// Hosts that match.
    pub total_count: u64,
    /// Of these, hosts that are connected.
    pub online_count: u64,
    /// Hosts beside them of which the inventory that the selector asks for is not known: they do not
    /// match.
    pub unknown_count: u64,
    /// Some of them, oldest first.
    pub sample: Vec<Target>,
}

/// Answer of `DescribeHostSnapshots`, which is ours: what the last inventories of a host said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeHostSnapshots {
    /// One per item that is known.
    pub snapshots: Vec<HostSnapshot>,
}

/// A list of what is on a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostSnapshot {
    /// The item, such as `PORT_SNAPSHOT`.
    pub item: String,
    /// When it came, in ms since the Unix epoch.
    pub taken_time: i64,
    /// How long ago that is.
    pub age_seconds: i64,
    /// The leaf with whose result it came, which may have been dropped since.
    pub task_id: String,
    /// Whether entries may be missing.
    pub is_partial: bool,
    /// The list as the leaf's `assets` have it.
    pub entries: serde_json::Value,
}

/// A host that a task would be for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Target {
    /// Its uuid.
    pub uuid: String,
    /// Its name.
    pub name: String,
}

/// Answer of `DescribeAgentInstallStatus`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAgentInstallStatus {
    /// One entry per uuid asked for.
    pub aegis_client_invoke_status_response_list: Vec<InstallStatus>,
}

/// Whether one host has an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstallStatus {
    /// One line for a person.
    pub message: String,
    /// `"0"` installed, `"-1"` not installed. The misspelling is the documented name.
    #[serde(rename = "ResuleCode")]
    pub result_code: String,
    /// 1 installed, -1 not installed.
    pub result: i32,
    /// The host's uuid.
    pub uuid: String,
}
