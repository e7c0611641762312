//! Answers of the once family: root tasks, their leaves, and what each host said.
//!
//! The same fact has different JSON types in different operations, because clients in the field were generated so: counts are
//! strings in [`LeafRecord`] and numbers elsewhere, progress is `"10%"` in [`Task`] and `10` elsewhere.

use serde::{Deserialize, Serialize};

use super::PageInfo;
use crate::answer::{AssetReport, Detected, Finding, Limited, Output, ProbeRun};

/// Answer of `GenerateOnceTask`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GenerateOnceTask {
    /// Whether yet another task may be created.
    pub can_create: bool,
    /// When the task was created, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_time: Option<i64>,
    /// Leaves that have ended.
    pub finish_count: u32,
    /// Id of the newest root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_task: Option<String>,
    /// Id of the new root: 32 lower-case hexadecimal digits.
    pub task_id: String,
    /// Leaves in all.
    pub total_count: u32,
}

/// Answer of `DescribeOnceTask`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeOnceTask {
    /// Paging.
    pub page_info: PageInfo,
    /// Roots, newest first, or the leaves of one root by number.
    pub task_manage_response_list: Vec<Task>,
}

/// A root, or a leaf in the same shape: a leaf has a [`Task::total_count`] of 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// JSON of [`HostDetail`]s in a string; see [`write_details`].
    pub detail_data: String,
    /// Leaves that failed.
    pub fail_count: u32,
    /// Ended of total in percent, with the sign: `"10%"`; of a running leaf, how much of its work is done.
    pub progress: String,
    /// One line for a person.
    pub result_info: String,
    /// Leaves that ended well.
    pub success_count: u32,
    /// When it ended, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_end_time: Option<i64>,
    /// Id of the root or leaf.
    pub task_id: String,
    /// Name; clients send the type here.
    pub task_name: String,
    /// When it was created, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_start_time: Option<i64>,
    /// [`model::Status::wire_number`].
    pub task_status: u8,
    /// [`model::Status::wire`].
    pub task_status_text: String,
    /// [`model::TaskType::wire`].
    pub task_type: String,
    /// Ours: hosts in all.
    pub total_count: u32,
    /// Ours: leaves that did not end in time.
    pub timeout_count: u32,
    /// Ours: leaves that have not ended.
    pub unfinished_count: u32,
    /// Ours: who created it, as given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Ours: the root whose hosts this one runs again.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rerun_of: String,
    /// Ours: what a running leaf is at, in one line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress_note: String,
    /// Ours: the end of what a running command has written so far. It has as many bytes as it stands for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output_tail: String,
    /// Ours: bytes that a running command had written up to the end of [`Task::output_tail`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_length: Option<u64>,
}

/// Answer of `DescribeOnceTaskLeafRecordPage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeOnceTaskLeafRecordPage {
    /// Leaves, by number.
    pub once_tasks: Vec<LeafRecord>,
    /// Paging.
    pub page_info: PageInfo,
}

/// A leaf as `DescribeOnceTaskLeafRecordPage` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LeafRecord {
    /// When it ended, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// 1 if it has ended, else 0.
    pub finish: u8,
    /// `"1"` if it has ended, else `"0"`.
    pub finish_count: String,
    /// How much of its work is done, in percent, as far as that is known; 100 when it has ended.
    pub progress: u8,
    /// When the host had the order, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_run_time: Option<i64>,
    /// `SUCCESS`, or one line that says why it ended otherwise.
    pub result_info: String,
    /// When it was created, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// [`model::Status::wire_number`], as digits.
    pub status: String,
    /// [`model::Status::wire`].
    pub status_text: String,
    /// The host's uuid.
    pub target: String,
    /// `UUID`.
    pub target_type: String,
    /// Id of the leaf.
    pub task_id: String,
    /// Name of its root.
    pub task_name: String,
    /// Type of its root.
    pub task_type: String,
    /// `"1"`.
    pub total_count: String,
    /// Ours: [`model::Reason::wire`]; absent unless it ended badly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Ours: what it is at while it runs, in one line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress_note: String,
    /// Ours: bytes that its command has written so far, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_length: Option<u64>,
}

/// Answer of `DescribeOnceTaskOutcomes`, which is ours: the leaves of a root that have ended, by what they answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeOnceTaskOutcomes {
    /// The largest group first.
    pub outcomes: Vec<Outcome>,
}

/// Hosts that answered the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Outcome {
    /// [`model::OutcomeId`]: the same answer has the same one under every root.
    pub outcome_id: String,
    /// [`model::Status::wire`].
    pub status: String,
    /// [`model::Reason::wire`]; empty if they ended well, or for many reasons.
    pub reason: String,
    /// One short line for a person.
    pub label: String,
    /// Hosts.
    pub count: u32,
    /// Id of the leaf of the first of them.
    pub sample_task_id: String,
    /// Uuid of its host.
    pub sample_uuid: String,
    /// Name of its host.
    pub sample_name: String,
}

/// Answer of `ListUnfinishedOnceTask`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListUnfinishedOnceTask {
    /// Unfinished leaves of the host.
    pub once_tasks: Vec<UnfinishedTask>,
}

/// A leaf as `ListUnfinishedOnceTask` shows it: [`LeafRecord`] with numbers for strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UnfinishedTask {
    /// When it ended, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// 1 if it has ended, else 0.
    pub finish: u8,
    /// 1 if it has ended, else 0.
    pub finish_count: u32,
    /// How much of its work is done, in percent, as far as that is known.
    pub progress: u8,
    /// When the host had the order, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_run_time: Option<i64>,
    /// Empty while it has not ended.
    pub result_info: String,
    /// When it was created, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// [`model::Status::wire_number`].
    pub status: u8,
    /// [`model::Status::wire`].
    pub status_text: String,
    /// The host's uuid.
    pub target: String,
    /// `UUID`.
    pub target_type: String,
    /// Id of the leaf.
    pub task_id: String,
    /// Name of its root.
    pub task_name: String,
    /// Type of its root.
    pub task_type: String,
    /// 1.
    pub total_count: u32,
}

/// Answer of `GetLastOnceTaskInfo` and `GetOnceTaskResultInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OnceTaskInfo {
    /// When the task was created, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_time: Option<i64>,
    /// Leaves that have ended.
    pub finish_count: u32,
    /// Always 0: clients read a 64-bit integer here, which no id fits into.
    pub task_id: i64,
    /// Ours: the root's id; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_task_id: Option<String>,
    /// How it stands.
    pub task_info: TaskInfo,
    /// Leaves in all.
    pub total_count: u32,
}

/// How a task stands. `GetOnceTaskResultInfo` documents [`TaskInfo::status`] alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskInfo {
    /// Ended of total in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// `SUCCESS` or `TASK_NOT_EXISTS`; absent while the task runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// [`model::Status::wire`]; absent if there is no such task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// What one host said: a member of `DetailData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostDetail {
    /// How the order reached, or is to reach, the host.
    pub dispatch_type: DispatchType,
    /// Codes of [`model::Cause`], root causes first.
    pub cause_code: Vec<String>,
    /// One sentence per code.
    pub cause_msg: Vec<String>,
    /// Codes of [`model::Fix`]; 1003: run the command in `resMsg` by hand.
    pub res_code: Vec<String>,
    /// One sentence, or the command, per code.
    pub res_msg: Vec<String>,
    /// The complaint that was examined; empty for other tasks.
    pub problem_type: String,
    /// The host's uuid.
    pub uuid: String,
    /// The host's uuid again: it has no id of a cloud.
    pub instance_id: String,
    /// Host name.
    pub instance_name: String,
    /// Public address, if known.
    pub internet_ip: String,
    /// Private address, if known.
    pub intranet_ip: String,
    /// Where the log bundle can be had; empty if there is none.
    pub url: String,
    /// Ours: [`model::Status::wire`] of the leaf.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Ours: [`model::Reason::wire`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Ours: one line for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Ours: exit code of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Ours: the signal that ended the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Ours: standard output of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// Ours: standard error of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// Ours: the whole of standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_whole: Option<WholeOutput>,
    /// Ours: the whole of standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_whole: Option<WholeOutput>,
    /// Ours: wall time of the command, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Ours: the limits that the command ran under.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limited>,
    /// Ours: the causes with their evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Ours: every probe and how it went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeRun>,
    /// Ours: known agents that the host has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detected: Vec<Detected>,
    /// Ours: what is on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<AssetReport>,
    /// Ours: whether the host is connected now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
}

/// What is known of a whole output stream, whatever was kept of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WholeOutput {
    /// Length, in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Whether the middle was left out of the text.
    pub cut: bool,
    /// Whether the text has escapes: `\\xHH` for a byte that cannot be shown, `\\\\` for a backslash.
    pub escaped: bool,
}

impl From<&Output> for WholeOutput {
    fn from(output: &Output) -> Self {
        Self {
            bytes: output.bytes,
            sha256: output.sha256.clone(),
            cut: output.cut,
            escaped: output.escaped,
        }
    }
}

/// [`model::Dispatch`] on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchType {
    /// By the agent.
    #[default]
    Auto,
    /// By a command that a person pastes on the host.
    Manual,
}

impl From<model::Dispatch> for DispatchType {
    fn from(dispatch: model::Dispatch) -> Self {
        match dispatch {
            model::Dispatch::Auto => Self::Auto,
            model::Dispatch::Manual => Self::Manual,
        }
    }
}

/// The `DetailData` of these hosts.
///
/// # Errors
/// None in practice: the types have no map with keys other than strings.
pub fn write_details(details: &[HostDetail]) -> Result<String, serde_json::Error> {
    serde_json::to_string(details)
}

/// The hosts of a `DetailData`; an empty string holds none.
///
/// # Errors
/// It is not an array of such objects.
pub fn read_details(detail_data: &str) -> Result<Vec<HostDetail>, serde_json::Error> {
    if detail_data.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(detail_data)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn members_have_the_documented_names_and_types() {
        let page = DescribeOnceTask {
            task_manage_response_list: vec![Task {
                task_id: "e900f528f5a6229bb640ca27cb44c98e".to_owned(),
                progress: "10%".to_owned(),
                task_status: 1,
                ..Task::default()
            }],
            ..DescribeOnceTask::default()
        };
        let json = serde_json::to_value(&page).unwrap();
        assert_eq!(json["TaskManageResponseList"][0]["TaskStatus"], json!(1));
        assert_eq!(json["TaskManageResponseList"][0]["Progress"], json!("10%"));
        assert_eq!(json["PageInfo"]["TotalCount"], json!(0));

        let leaf = LeafRecord {
            status: "2".to_owned(),
            progress: 100,
            ..LeafRecord::default()
        };
        let json = serde_json::to_value(&leaf).unwrap();
        assert_eq!(
            (&json["Status"], &json["Progress"]),
            (&json!("2"), &json!(100))
        );

        let json = serde_json::to_value(OnceTaskInfo::default()).unwrap();
        assert_eq!(json["TaskId"], json!(0));
        assert_eq!(json.get("RootTaskId"), None);
    }

    #[test]
    fn a_documented_detail_reads_and_ours_are_written_only_when_known() {
        let sample = r#"[{"dispatchType":"manual","causeMsg":[],"causeCode":[],"resCode":["1003"],"resMsg":["sh -c …"],
            "problemType":"offline","uuid":"inet-1","instanceId":"i-1","instanceName":"a","internetIp":"","intranetIp":"","url":""}]"#;
        let details = read_details(sample).unwrap();
        assert_eq!(details[0].dispatch_type, DispatchType::Manual);
        let again: Value = serde_json::from_str(&write_details(&details).unwrap()).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(sample).unwrap());
        assert_eq!(read_details("").unwrap(), []);
    }
}
