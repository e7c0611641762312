//! How the agent's connection stands, in a small file: the one place where the agent tells others on its
//! host what its server last said to it. `sickbay-agent status` shows it, a check judges it.
//!
//! A file that is missing, old or unreadable harms nothing: nobody depends on it.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use protocol::frame::refusal;

use super::{Error, chain};
use crate::config::{self, DataDir};

/// When to stop serving.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Only when told to.
    Stopped,
    /// When some work was done and the node has its result.
    Settled,
}

/// How the connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Whether a session is open.
    pub is_online: bool,
    /// Since when, in ms since the Unix epoch.
    pub since_ms: i64,
    /// Why it is not; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Why the server does not want this agent: a word of [`refusal`]; empty: it does, or does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refusal: String,
    /// When another agent last took this one's place, in ms since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_ms: Option<i64>,
    /// Which policy the agent started with; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    #[serde(skip)]
    path: PathBuf,
}

impl State {
    /// Nothing is known yet; what an earlier agent wrote goes.
    pub(super) fn new(data: &DataDir) -> Self {
        let path = data.state();
        fs::remove_file(&path).ok();
        Self {
            path,
            ..Self::default()
        }
    }

    /// What the agent wrote last.
    #[must_use]
    pub fn load(data: &DataDir) -> Option<Self> {
        serde_json::from_slice(&fs::read(data.state()).ok()?).ok()
    }

    pub(super) fn online(&mut self) {
        self.change(true, "", String::new());
    }

    pub(super) fn offline(&mut self, error: &Error) {
        let refusal = match error {
            Error::Refused { code, .. } => code,
            Error::Replaced => refusal::REPLACED,
            _ => "",
        };
        self.change(false, refusal, chain(error));
    }

    pub(super) fn stopped(&mut self) {
        self.change(false, "", "the agent was stopped".to_owned());
    }

    fn change(&mut self, is_online: bool, refusal: &str, message: String) {
        let is_replaced = refusal == refusal::REPLACED;
        if self.is_online != is_online || self.since_ms == 0 {
            self.since_ms = config::now().0;
        } else if self.message == message && self.refusal == refusal && !is_replaced {
            return;
        }
        if is_replaced {
            self.replaced_ms = Some(config::now().0);
        }
        self.is_online = is_online;
        refusal.clone_into(&mut self.refusal);
        self.message = message;
        // Not synced: nobody depends on it, and a disk at rest should stay at rest.
        let json = serde_json::to_vec(self).unwrap_or_default();
        fs::write(&self.path, json).ok();
    }
}
