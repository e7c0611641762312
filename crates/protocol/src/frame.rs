//! The frames between an agent and a node: protobuf, one message per WebSocket binary frame.
//!
//! A session goes: the node sends [`Challenge`]; the agent answers with [`Hello`]; the node sends
//! [`Welcome`] or [`Refused`]. Then orders, cancellations and acknowledgements go down; receipts,
//! progress, results and bundle chunks go up. Fields are only ever added; numbers are never reused.

use prost::Message;

/// Version of this protocol. A node serves this one and the one before.
pub const PROTOCOL_VERSION: u32 = 1;

/// What an agent sends.
#[derive(Clone, PartialEq, Message)]
pub struct Up {
    /// The one message in it.
    #[prost(oneof = "UpFrame", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub frame: Option<UpFrame>,
}

/// The messages of an agent.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum UpFrame {
    /// Who it is.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// It has an order on disk.
    #[prost(message, tag = "2")]
    Receipt(Receipt),
    /// A leaf's work has ended.
    #[prost(message, tag = "3")]
    Result(LeafResult),
    /// A bundle is about to be sent: the node answers with [`BundleAck`].
    #[prost(message, tag = "4")]
    BundleOpen(BundleOpen),
    /// A piece of a bundle.
    #[prost(message, tag = "5")]
    BundleChunk(BundleChunk),
    /// Still here.
    #[prost(message, tag = "6")]
    Heartbeat(Heartbeat),
    /// What a leaf's work does now; only to a node that takes it: see [`Welcome::takes_progress`].
    #[prost(message, tag = "7")]
    Progress(Progress),
}

/// What a node sends.
#[derive(Clone, PartialEq, Message)]
pub struct Down {
    /// The one message in it.
    #[prost(oneof = "DownFrame", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub frame: Option<DownFrame>,
}

/// The messages of a node.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum DownFrame {
    /// Prove who you are.
    #[prost(message, tag = "1")]
    Challenge(Challenge),
    /// Accepted.
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    /// Not accepted.
    #[prost(message, tag = "3")]
    Refused(Refused),
    /// Work.
    #[prost(message, tag = "4")]
    Order(SignedOrder),
    /// Stop the work of a leaf.
    #[prost(message, tag = "5")]
    Cancel(Cancel),
    /// A result is durable: forget it.
    #[prost(message, tag = "6")]
    Ack(Ack),
    /// How much of a bundle has arrived.
    #[prost(message, tag = "7")]
    BundleAck(BundleAck),
    /// Still here.
    #[prost(message, tag = "8")]
    Heartbeat(Heartbeat),
}

/// The node's first frame.
#[derive(Clone, PartialEq, Message)]
pub struct Challenge {
    /// 32 random bytes to sign.
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    /// The node's clock, in ms since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub now_ms: i64,
    /// The newest protocol version that the node speaks.
    #[prost(uint32, tag = "3")]
    pub version: u32,
}

/// The agent's first frame. Exactly one of `install_code`, `ticket` and neither: enrolment, a
/// stand-alone checker, an enrolled agent.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// Protocol version of the agent.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Version of the agent's program.
    #[prost(string, tag = "2")]
    pub agent_version: String,
    /// The host; empty on enrolment.
    #[prost(string, tag = "3")]
    pub host_uuid: String,
    /// The agent's Ed25519 public key, 32 bytes; empty for a checker.
    #[prost(bytes = "vec", tag = "4")]
    pub public_key: Vec<u8>,
    /// Ed25519 over [`session_message`]; empty for a checker.
    #[prost(bytes = "vec", tag = "5")]
    pub signature: Vec<u8>,
    /// The install code, on enrolment.
    #[prost(string, tag = "6")]
    pub install_code: String,
    /// The token of a manual command.
    #[prost(string, tag = "7")]
    pub ticket: String,
    /// The leaf of that token.
    #[prost(string, tag = "8")]
    pub leaf_id: String,
    /// JSON of [`crate::facts::HostFacts`].
    #[prost(string, tag = "9")]
    pub facts: String,
    /// Leaves whose orders the agent has and whose results were not acknowledged.
    #[prost(string, repeated, tag = "10")]
    pub held_leaf_ids: Vec<String>,
}

/// What an agent signs to prove its key.
#[must_use]
pub fn session_message(nonce: &[u8], host_uuid: &str) -> Vec<u8> {
    let mut message = b"sickbay-session-v1\0".to_vec();
    message.extend_from_slice(nonce);
    message.extend_from_slice(host_uuid.as_bytes());
    message
}

/// The session is open.
#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    /// The host; new on enrolment.
    #[prost(string, tag = "1")]
    pub host_uuid: String,
    /// The keys whose orders are to be obeyed.
    #[prost(message, repeated, tag = "2")]
    pub order_keys: Vec<OrderKey>,
    /// Whether the node knows [`Progress`]: one from before it takes such a frame for misuse.
    #[prost(bool, tag = "3")]
    pub takes_progress: bool,
}

/// A key that signs orders.
#[derive(Clone, PartialEq, Message)]
pub struct OrderKey {
    /// First 16 hexadecimal digits of the SHA-256 of the public key.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Ed25519 public key, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
}

/// The session is not opened, or is closed.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// Stable word: see [`refusal`].
    #[prost(string, tag = "1")]
    pub code: String,
    /// A sentence for a person.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Whether trying again can help.
    #[prost(bool, tag = "3")]
    pub retry: bool,
    /// Wait at least this long before trying again, in ms.
    #[prost(uint64, tag = "4")]
    pub retry_after_ms: u64,
}

/// The stable words of [`Refused::code`].
pub mod refusal {
    /// The install code does not exist.
    pub const BAD_INSTALL_CODE: &str = "bad_install_code";
    /// The install code has expired.
    pub const EXPIRED_INSTALL_CODE: &str = "expired_install_code";
    /// The host is not known, or was removed.
    pub const UNKNOWN_HOST: &str = "unknown_host";
    /// The signature or key is not the host's.
    pub const BAD_IDENTITY: &str = "bad_identity";
    /// The same identity connected again: this older session is closed.
    pub const REPLACED: &str = "replaced";
    /// The token of a manual command is wrong, used or no longer needed.
    pub const BAD_TICKET: &str = "bad_ticket";
    /// The protocol version is not served.
    pub const BAD_VERSION: &str = "bad_version";
    /// A frame that makes no sense.
    pub const BAD_FRAME: &str = "bad_frame";
    /// The node is stopping or busy.
    pub const BUSY: &str = "busy";
}

/// An order with its signature.
#[derive(Clone, PartialEq, Message)]
pub struct SignedOrder {
    /// Protobuf of [`crate::order::Order`], exactly as it was signed.
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// Id of the key.
    #[prost(string, tag = "2")]
    pub key_id: String,
    /// Ed25519 over [`crate::order::signed_message`].
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
    /// The way from this order to the top of the hash tree that was signed: 32 bytes each.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub path: Vec<Vec<u8>>,
}

/// An order is on the agent's disk.
#[derive(Clone, PartialEq, Message)]
pub struct Receipt {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
}

/// What a leaf's work does now. Only the newest counts, and none is said again: whoever is busy drops
/// it. At most one per leaf in the time that its order names.
#[derive(Clone, PartialEq, Message)]
pub struct Progress {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// How much is done, in percent, where that is known.
    #[prost(uint32, optional, tag = "2")]
    pub percent: Option<u32>,
    /// What it is at, in one line; at most [`model::limits::PROGRESS_NOTE_BYTES_MAX`].
    #[prost(string, tag = "3")]
    pub note: String,
    /// The end of what its command has written so far, both streams as they came; at most
    /// [`model::limits::PROGRESS_OUTPUT_BYTES_MAX`].
    #[prost(bytes = "vec", tag = "4")]
    pub output: Vec<u8>,
    /// Bytes that the command has written up to the end of `output`.
    #[prost(uint64, tag = "5")]
    pub output_length: u64,
}

/// The end of a leaf's work.
#[derive(Clone, PartialEq, Message)]
pub struct LeafResult {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// 2 success, 3 fail, 4 timeout, as [`model::Status::wire_number`].
    #[prost(uint32, tag = "2")]
    pub status: u32,
    /// Word of [`model::Reason`].
    #[prost(string, tag = "3")]
    pub reason: String,
    /// JSON of [`crate::answer::Answer`].
    #[prost(bytes = "vec", tag = "4")]
    pub answer: Vec<u8>,
    /// When it ended by the host's clock, in ms since the Unix epoch.
    #[prost(int64, tag = "5")]
    pub ended_ms: i64,
}

/// Stop the work of a leaf.
#[derive(Clone, PartialEq, Message)]
pub struct Cancel {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
}

/// A result is durable.
#[derive(Clone, PartialEq, Message)]
pub struct Ack {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
}

/// A bundle is about to be sent.
#[derive(Clone, PartialEq, Message)]
pub struct BundleOpen {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// Size, in bytes.
    #[prost(uint64, tag = "2")]
    pub size: u64,
    /// SHA-256 of the whole, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub sha256: Vec<u8>,
}

/// A piece of a bundle, at most [`model::limits::BUNDLE_CHUNK_BYTES`].
#[derive(Clone, PartialEq, Message)]
pub struct BundleChunk {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// Where it belongs, in bytes from the start.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// The bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// How much of a bundle has arrived; go on from there.
#[derive(Clone, PartialEq, Message)]
pub struct BundleAck {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// Bytes that have arrived in one piece from the start. Equal to the size: complete and verified.
    #[prost(uint64, tag = "2")]
    pub received: u64,
    /// Not empty: the bundle is not wanted, and why. Do not send more.
    #[prost(string, tag = "3")]
    pub refused: String,
}

/// A sign of life. After [`Welcome`] the agent sends one at once: only then is the session its host's.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Heartbeat {
    /// The node's clock, in ms since the Unix epoch; 0 from an agent.
    #[prost(int64, tag = "1")]
    pub now_ms: i64,
}

impl From<UpFrame> for Up {
    fn from(frame: UpFrame) -> Self {
        Self { frame: Some(frame) }
    }
}

impl From<DownFrame> for Down {
    fn from(frame: DownFrame) -> Self {
        Self { frame: Some(frame) }
    }
}
