//! What an order asks a host to do: the validated part of `Param` that travels to the agent.

use std::collections::BTreeMap;

use model::{AssetItem, TaskType};
use serde::{Deserialize, Serialize};

/// The work of one order. Its JSON form is inside the signed order.
#[expect(
    clippy::large_enum_variant,
    reason = "few are held at a time, and the largest is what most of them are"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Diagnose.
    Check(CheckWork),
    /// Run a command.
    Ops(OpsWork),
    /// Collect asset information.
    Assets(AssetsWork),
}

/// The work of `CLIENT_PROBLEM_CHECK`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckWork {
    /// A name of [`model::ProblemType`].
    pub problem_type: String,
    /// 1 standard, 2 deep.
    pub mode: u8,
    /// Name of the profile of the agent to examine; `sickbay` is Sickbay's own.
    pub subject: String,
}

/// The work of `CLIENT_DEV_OPS`. What an agent does not know in it, it refuses: half of an order is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct OpsWork {
    /// Without `args`: a line for `/bin/sh -c`. With `args`: the program to run. Empty with `script`.
    pub command: String,
    /// Text that names its interpreter in its first line (`#!`), instead of `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Arguments of the program or script; `None`: `command` is a shell line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// The user to run as; `None`: the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// Environment added to the agent's minimal one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The working directory; `None`: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// What it reads on its standard input; `None`: the end at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// What it may use.
    #[serde(skip_serializing_if = "OpsLimits::is_none")]
    pub limits: OpsLimits,
    /// A shell line that must succeed, or nothing is started. It only reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A shell line that must succeed after the command has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The runbook that all of it was made of, so that a host can make it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookUse>,
}

/// Which runbook, with which values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RunbookUse {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text, lower-case hexadecimal.
    pub sha256: String,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// What a command may use; `None`: no limit but the agent's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct OpsLimits {
    /// Memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// CPU time, in hundredths of one CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// Length of an output stream at which the command is stopped, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

impl OpsLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The work of `ASSET_SECURITY_CHECK` and `ASSETS_COLLECTION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetsWork {
    /// What to collect, in the order asked.
    #[serde(with = "crate::asset")]
    pub items: Vec<AssetItem>,
}

impl Work {
    /// Whether this is work of that task type.
    #[must_use]
    pub const fn is_of(&self, task_type: TaskType) -> bool {
        matches!(
            (self, task_type),
            (Self::Check(_), TaskType::ClientProblemCheck)
                | (Self::Ops(_), TaskType::ClientDevOps)
                | (
                    Self::Assets(_),
                    TaskType::AssetSecurityCheck | TaskType::AssetsCollection
                )
        )
    }
}
