//! Every limit has a name here, a test at it and one past it, and a clear error.
//!
//! Most significant word first; the unit is in the name.

/// Longest host uuid, in bytes.
pub const HOST_UUID_BYTES_MAX: usize = 64;
/// Most hosts of one root task.
pub const ROOT_HOSTS_MAX: usize = 1_048_576;
/// Root tasks that may be unfinished at the same time, unless the node is told otherwise.
pub const ROOTS_RUNNING_MAX: usize = 10;
/// Hosts that a root's `DetailData` covers; beyond, the leaves are paged by `RootTaskId`.
pub const ROOT_DETAIL_HOSTS_MAX: usize = 100;
/// Shortest time that a task may take, in ms.
pub const TASK_TIMEOUT_MS_MIN: i64 = 1_000;
/// Time that a task may take unless `timeoutSeconds` says otherwise, in ms.
pub const TASK_TIMEOUT_MS_DEFAULT: i64 = 3_600_000;
/// Longest time that a task may take, in ms.
pub const TASK_TIMEOUT_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// Time that a host has to confirm a cancellation before the leaf ends without it, in ms.
pub const CANCEL_GRACE_MS: i64 = 30_000;

/// Smallest and largest page of a list.
pub const PAGE_SIZE_MAX: u32 = 100;
/// Largest page of `DescribeOnceTaskLeafRecordPage` and `DescribeCloudCenterInstances`.
pub const LEAF_PAGE_SIZE_MAX: u32 = 500;
/// Page size where none is asked for.
pub const PAGE_SIZE_DEFAULT: u32 = 20;

/// Largest request body, in bytes.
pub const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;
/// Largest request line and headers together, in bytes.
pub const REQUEST_HEAD_BYTES_MAX: usize = 64 << 10;
/// Most headers of a request.
pub const REQUEST_HEADERS_MAX: usize = 100;
/// Most parameters of a request, query and form together.
pub const REQUEST_PARAMETERS_MAX: usize = 1_000;
/// Time that a client has to send a request's head, in ms.
pub const REQUEST_HEAD_MS_MAX: u64 = 15_000;
/// Most connections that one node accepts at once, agents and clients together.
pub const CONNECTIONS_MAX: usize = 18_000;
/// Time that a TLS handshake may take, in ms.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Longest task name, source and other short text that is stored, in bytes.
pub const SHORT_TEXT_BYTES_MAX: usize = 256;

/// A request may be this much older or newer than the node's clock, in ms.
pub const CLOCK_WINDOW_MS: i64 = 15 * 60_000;
/// A nonce is remembered for this long, in ms.
pub const NONCE_MS: i64 = 31 * 60_000;
/// Longest nonce, in bytes.
pub const NONCE_BYTES_MAX: usize = 128;
/// Most nonces remembered at once; beyond, requests are throttled.
pub const NONCES_MAX: usize = 4_000_000;

/// Largest frame between an agent and a node, in bytes.
pub const FRAME_BYTES_MAX: usize = 2 << 20;
/// Largest answer of one leaf, in bytes of JSON.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Part of each output stream of a command that is kept: half from its head, half from its tail.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Longest command, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 << 10;
/// Largest log bundle, in bytes.
pub const BUNDLE_BYTES_MAX: u64 = 64 << 20;
/// Piece of a bundle that goes into one frame, in bytes.
pub const BUNDLE_CHUNK_BYTES: usize = 128 << 10;
/// A download address of a bundle is good for this long, in ms.
pub const BUNDLE_URL_MS: i64 = 3_600_000;
/// Frames that may wait for one agent before its session is closed as too slow.
pub const SESSION_QUEUE_FRAMES_MAX: usize = 256;
/// An agent that says nothing for this long is taken for gone, in ms.
pub const SESSION_SILENCE_MS_MAX: u64 = 90_000;
/// An agent says something at least this often, in ms.
pub const SESSION_HEARTBEAT_MS: u64 = 30_000;
/// Time that an agent has for its greeting, in ms.
pub const SESSION_GREETING_MS_MAX: u64 = 10_000;
/// Shortest and longest wait of an agent before it connects again, in ms.
pub const RECONNECT_MS_MIN: u64 = 500;
/// See [`RECONNECT_MS_MIN`].
pub const RECONNECT_MS_MAX: u64 = 60_000;

/// Results of one group commit.
pub const COMMIT_EVENTS_MAX: usize = 5_000;
/// Bytes of one group commit.
pub const COMMIT_BYTES_MAX: usize = 3 << 20;
/// Events of one journal block.
pub const JOURNAL_BLOCK_EVENTS_MAX: usize = 32;
/// Leaves of one packed segment of states or hosts.
pub const SEGMENT_LEAVES: u32 = 256;
/// Leaves of one block of counts.
pub const COUNT_BLOCK_LEAVES: u32 = 1_024;

/// Longest RAM policy document, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 10;
/// Access keys of one user.
pub const USER_KEYS_MAX: usize = 2;
/// Shortest and longest life of a temporary token, in seconds.
pub const TOKEN_SECONDS_MIN: i64 = 60;
/// See [`TOKEN_SECONDS_MIN`].
pub const TOKEN_SECONDS_MAX: i64 = 12 * 3_600;
/// Life of an install code unless `ExpiredDate` says otherwise, in ms.
pub const INSTALL_CODE_MS_DEFAULT: i64 = 7 * 24 * 3_600_000;
/// Install codes that exist at once.
pub const INSTALL_CODES_MAX: usize = 1_000;
