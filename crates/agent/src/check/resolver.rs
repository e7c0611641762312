//! Why a name is not resolved: asks each configured name server one small question.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::resolve::config::Config;
use crate::resolve::exchange::{self, Said};
use crate::resolve::message::{Kind, NAME_ERROR, Question};

/// Time that a name server has to answer, in ms.
const ANSWER_MS: u64 = 1_200;

/// What one name server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing within the time limit.
    Silence,
    /// It answered with that response code and so many addresses.
    Answer { code: u8, addresses: usize },
}

impl Reply {
    /// Whether this says that the name has no address.
    pub(super) const fn denies(self) -> bool {
        matches!(
            self,
            Self::Answer {
                code: NAME_ERROR,
                ..
            } | Self::Answer {
                code: 0,
                addresses: 0
            }
        )
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => write!(f, "does not answer"),
            Self::Answer {
                code: NAME_ERROR, ..
            } => write!(f, "answers that there is no such name"),
            Self::Answer { code: 0, addresses } => write!(f, "answers with {addresses} addresses"),
            Self::Answer { code, .. } => write!(f, "answers with error code {code}"),
        }
    }
}

impl From<Said> for Reply {
    fn from(said: Said) -> Self {
        match said {
            Said::Nothing => Self::Silence,
            Said::Answer(answer) => Self::Answer {
                code: answer.code,
                addresses: answer.addresses.len(),
            },
        }
    }
}

/// Asks every configured name server for the IPv4 addresses of `name`, side by side.
pub(super) async fn ask_all(name: &str) -> Vec<(IpAddr, Reply)> {
    let Some(question) = Question::new(name, Kind::A) else {
        return Vec::new();
    };
    let config = Config::read(Path::new("/etc/resolv.conf"));
    let asked = config.servers.iter().map(async |server| {
        let limit = Duration::from_millis(ANSWER_MS);
        let said = exchange::ask(*server, &question, limit).await;
        (server.ip(), said.into())
    });
    futures_util::future::join_all(asked).await
}
