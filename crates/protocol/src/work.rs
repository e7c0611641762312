//! What an order asks a host to do: the validated part of `Param` that travels to the agent.

use std::collections::BTreeMap;

use model::{AssetItem, TaskType};
use serde::{Deserialize, Serialize};

/// The work of one order. Its JSON form is inside the signed order.
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

/// The work of `CLIENT_DEV_OPS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsWork {
    /// Without `args`: a line for `/bin/sh -c`. With `args`: the program to run.
    pub command: String,
    /// Arguments of the program; `None`: `command` is a shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// The user to run as; `None`: the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// Environment added to the agent's minimal one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
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
