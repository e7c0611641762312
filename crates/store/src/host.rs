//! Hosts as the store gives them.

use model::{HostUuid, Labels, UnixMillis};

/// A host's number: given by the store, from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostNo(pub i64);

/// A host to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHost {
    /// Its uuid.
    pub uuid: HostUuid,
    /// The agent's Ed25519 public key, 32 bytes.
    pub public_key: Vec<u8>,
    /// Host name, for people.
    pub name: String,
    /// Name of the group that the install code gives.
    pub group: String,
    /// The labels that the install code gives.
    pub labels: Labels,
    /// JSON of `HostFacts`.
    pub facts: String,
    /// Version of its agent.
    pub agent_version: String,
    /// When it enrolled.
    pub created_at: UnixMillis,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its number.
    pub number: HostNo,
    /// Its uuid.
    pub uuid: HostUuid,
    /// The agent's Ed25519 public key.
    pub public_key: Vec<u8>,
    /// Host name, for people; follows the facts' `hostname`.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its labels; none once it is removed.
    pub labels: Labels,
    /// JSON of `HostFacts`.
    pub facts: String,
    /// Version of its agent.
    pub agent_version: String,
    /// When it enrolled.
    pub created_at: UnixMillis,
    /// When it was last heard from.
    pub seen_at: UnixMillis,
    /// When it was removed.
    pub removed_at: Option<UnixMillis>,
}

/// Which hosts. Without criteria: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFilter {
    /// What to match.
    pub criteria: Vec<HostMatch>,
    /// Whether one match is enough; otherwise all must match.
    pub any: bool,
}

/// One criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// Exactly this uuid.
    Uuid(String),
    /// The name contains this.
    Name(String),
    /// One of the addresses of the facts is exactly this.
    Address(String),
    /// The operating system's name or id contains this, whatever the case.
    Os(String),
    /// Exactly this group.
    Group(String),
    /// The host is one of these (by number): online hosts, which only the node knows.
    OneOf(Vec<HostNo>),
    /// The host is none of these.
    NoneOf(Vec<HostNo>),
}
