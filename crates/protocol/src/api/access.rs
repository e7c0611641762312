//! Answers of our own operations, RAM service `sickbay:`, in the style of the others.
//!
//! | operation | parameters | answer |
//! |---|---|---|
//! | `CreateUser` | `UserName` | [`Done`](super::Done) |
//! | `DeleteUser` | `UserName` | [`Done`](super::Done) |
//! | `ListUsers` | | [`ListUsers`] |
//! | `PutUserPolicy` | `UserName`, `PolicyName`, `PolicyDocument` | [`Done`](super::Done) |
//! | `DeleteUserPolicy` | `UserName`, `PolicyName` | [`Done`](super::Done) |
//! | `CreateAccessKey` | `UserName` | [`CreateAccessKey`] |
//! | `UpdateAccessKey` | `UserAccessKeyId`, `Status` (`Active`, `Inactive`) | [`Done`](super::Done) |
//! | `DeleteAccessKey` | `UserAccessKeyId` | [`Done`](super::Done) |
//! | `CreateToken` | `DurationSeconds`?, `Policy`?, `Bearer`? | [`CreateToken`] |
//! | `PreviewTargets` | `Selector` | [`PreviewTargets`](super::host::PreviewTargets) |
//! | `DescribeOnceTaskOutcomes` | `RootTaskId` | [`DescribeOnceTaskOutcomes`](super::task::DescribeOnceTaskOutcomes) |
//! | `DescribeHostSnapshots` | `Uuid`, `Items`? | [`DescribeHostSnapshots`](super::host::DescribeHostSnapshots) |
//! | `SetHostLabels` | `Uuids` or `Selector`, `Labels`, `Replace`? | [`SetHostLabels`](super::label::SetHostLabels) |
//! | `RemoveHost` | `Uuid` | [`Done`](super::Done) |
//! | `GetServerInfo` | | [`GetServerInfo`] |
//! | `VerifyStore` | | [`VerifyStore`] |

use serde::{Deserialize, Serialize};

/// Answer of `ListUsers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListUsers {
    /// All users, by name.
    pub users: Vec<User>,
}

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct User {
    /// Name.
    pub user_name: String,
    /// When it was created, in ms since the Unix epoch.
    pub create_time: i64,
    /// Its access keys.
    pub access_keys: Vec<AccessKey>,
    /// What it may do.
    pub policies: Vec<Policy>,
}

/// One access key, without its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AccessKey {
    /// Id.
    pub access_key_id: String,
    /// Whether it can be used.
    pub status: KeyStatus,
    /// When it was created, in ms since the Unix epoch.
    pub create_time: i64,
}

/// Whether an access key can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// It can.
    #[default]
    Active,
    /// It is switched off.
    Inactive,
}

impl KeyStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }

    /// From the word on the wire.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        [Self::Active, Self::Inactive]
            .into_iter()
            .find(|it| it.wire() == text)
    }
}

/// One policy of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Policy {
    /// Name, unique to the user.
    pub policy_name: String,
    /// JSON in the RAM policy language.
    pub policy_document: String,
}

/// Answer of `CreateAccessKey`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateAccessKey {
    /// Id.
    pub access_key_id: String,
    /// Secret. Shown this once.
    pub access_key_secret: String,
}

/// Answer of `CreateToken`: a temporary key with its token, or a bearer token.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateToken {
    /// Id of the temporary key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_secret: Option<String>,
    /// The token that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_token: Option<String>,
    /// The token that needs no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// When it expires, in ms since the Unix epoch.
    pub expiration_ms: i64,
}

/// Answer of `GetServerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetServerInfo {
    /// Version of the server.
    pub version: String,
    /// SHA-256 of the server's certificate, lower-case hexadecimal; absent where it speaks plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The address that agents are to use, if the server was told one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Hosts that are enrolled.
    pub hosts: u64,
    /// Hosts that are connected.
    pub hosts_online: u64,
    /// Roots that have not ended.
    pub roots_running: u32,
}

/// Answer of `VerifyStore`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifyStore {
    /// Whether it is still looking: ask again for what it finds.
    pub running: bool,
    /// Where what is stored differs from what the journals tell, one line each.
    pub differences: Vec<String>,
}
