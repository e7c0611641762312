//! Every limit has a name here, a test at it and one past it, and a clear error.
//!
//! Most significant word first; the unit is in the name.

/// Longest host uuid, in bytes.
pub const HOST_UUID_BYTES_MAX: usize = 64;
/// Labels of one host.
pub const HOST_LABELS_MAX: usize = 64;
/// Longest key of a label, in bytes.
pub const LABEL_KEY_BYTES_MAX: usize = 63;
/// Longest value of a label, in characters.
pub const LABEL_VALUE_CHARS_MAX: usize = 63;
/// Most hosts of one root task.
pub const ROOT_HOSTS_MAX: usize = 1_048_576;
/// Root tasks that may be unfinished at the same time, unless the node is told otherwise.
pub const ROOTS_RUNNING_MAX: usize = 10;
/// Answers that one list may show, in bytes; the rest is shown leaf by leaf.
pub const LIST_ANSWERS_BYTES_MAX: usize = 4 << 20;
/// Hosts that a root's `DetailData` covers; beyond, the leaves are paged by `RootTaskId`.
pub const ROOT_DETAIL_HOSTS_MAX: usize = 100;
/// Longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4_096;
/// Parentheses and `not` inside one another in a selector.
pub const SELECTOR_DEPTH_MAX: usize = 32;
/// Shortest time that a task may take, in ms.
pub const TASK_TIMEOUT_MS_MIN: i64 = 1_000;
/// Time that a task may take unless `timeoutSeconds` says otherwise, in ms.
pub const TASK_TIMEOUT_MS_DEFAULT: i64 = 3_600_000;
/// Longest time that a task may take, in ms.
pub const TASK_TIMEOUT_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// Most waves of a paced task.
pub const WAVES_MAX: usize = 16;
/// Time that a connected host has after the deadline to say how its work ended, in ms: longer than
/// it takes to stop it.
pub const DEADLINE_GRACE_MS: i64 = 10_000;
/// Time after its start that a node gives hosts to come back before it ends what waits for them, in
/// ms: longer than the longest pause of an agent.
pub const SETTLE_MS: i64 = 75_000;
/// Time that a host has to confirm a cancellation before the leaf ends without it, in ms.
pub const CANCEL_GRACE_MS: i64 = 30_000;

/// Smallest and largest page of a list.
pub const PAGE_SIZE_MAX: u32 = 100;
/// Largest page of `DescribeOnceTaskLeafRecordPage` and `DescribeCloudCenterInstances`.
pub const LEAF_PAGE_SIZE_MAX: u32 = 500;
/// Page size where none is asked for, of entries of what is on hosts.
pub const PROPERTY_PAGE_SIZE_DEFAULT: u32 = 10;
/// Page size where none is asked for.
pub const PAGE_SIZE_DEFAULT: u32 = 20;

/// Largest request body, in bytes: a task names 100,000 hosts in it.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 << 20;
/// Request bodies of one node that are being taken in or worked on, together, in bytes.
pub const BODIES_BYTES_MAX: usize = 64 << 20;
/// A long body whose head names no access key is taken in only while all bodies hold less than this, in bytes.
pub const BLIND_BODIES_BYTES_MAX: usize = BODIES_BYTES_MAX / 2;
/// Bodies of one IPv4 address or IPv6 /64; loopback addresses may take all.
pub const ADDRESS_BODIES_BYTES_MAX: usize = 16 << 20;
/// A larger body is not read if its head names an access key that does not exist, in bytes.
pub const REQUEST_BODY_UNASKED_BYTES_MAX: u64 = 16 << 10;
/// Time that a client has to send a body, in ms, besides what its length takes at the slowest speed.
pub const REQUEST_BODY_MS_MAX: u64 = 10_000;
/// Slowest speed of a body.
pub const REQUEST_BODY_BYTES_PER_SECOND_MIN: u64 = 128 << 10;
/// Largest form of the console that needs nobody to be signed in, in bytes.
pub const OPEN_FORM_BYTES_MAX: usize = 16 << 10;
/// Largest request line and headers together, in bytes.
pub const REQUEST_HEAD_BYTES_MAX: usize = 32 << 10;
/// Most headers of a request.
pub const REQUEST_HEADERS_MAX: usize = 100;
/// Most parameters of a request, query and form together.
pub const REQUEST_PARAMETERS_MAX: usize = 1_000;
/// Time that a client has to send a request's head, in ms.
pub const REQUEST_HEAD_MS_MAX: u64 = 10_000;
/// Most connections that one node accepts at once, agents and clients together.
pub const CONNECTIONS_MAX: usize = 18_000;
/// Time that a TLS handshake may take, in ms.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Agents whose TLS handshake may wait for its turn; more are turned away and come back. As many again
/// for everybody else.
pub const HANDSHAKES_WAITING_MAX: usize = 4_096;
/// Longest task name, source and other short text that is stored, in bytes.
pub const SHORT_TEXT_BYTES_MAX: usize = 256;

/// A request may be this much older or newer than the node's clock, in ms.
pub const CLOCK_WINDOW_MS: i64 = 15 * 60_000;
/// A nonce is remembered for this long, in ms.
pub const NONCE_MS: i64 = 31 * 60_000;
/// Longest nonce, in bytes.
pub const NONCE_BYTES_MAX: usize = 128;
/// Most nonces remembered at once; beyond, requests are throttled.
pub const NONCES_MAX: usize = 16_000_000;
/// Most nonces of one access key remembered at once; beyond, its requests are throttled.
pub const NONCES_OF_KEY_MAX: usize = 8_000_000;

/// Largest answer of the API that is kept for the next who asks, in bytes.
pub const KEPT_ANSWER_BYTES_MAX: usize = 1 << 20;
/// All answers that are kept, in bytes.
pub const KEPT_ANSWERS_BYTES_MAX: usize = 64 << 20;

/// Largest frame between an agent and a node, in bytes.
pub const FRAME_BYTES_MAX: usize = 2 << 20;
/// Largest answer of one leaf, in bytes of JSON.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Longest list of what is on a host that is kept, in bytes of JSON: as long as an answer may be.
pub const SNAPSHOT_BYTES_MAX: usize = ANSWER_BYTES_MAX;
/// Hosts whose lists are read at the same time when a selector asks for them.
pub const SNAPSHOT_HOSTS_MAX: usize = 8;
/// Lists that are read at the same time to learn what has changed on the hosts.
pub const SNAPSHOT_CHANGES_MAX: u32 = 32;
/// Lists of hosts by selector that are kept while they are paged through.
pub const LISTINGS_MAX: usize = 16;
/// Such a list is cut into pages for this long, in ms.
pub const LISTING_MS: i64 = 60_000;
/// Part of each output stream of a command that is kept: half from its head, half from its tail.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Longest command with its arguments and environment, in bytes.
pub const COMMAND_BYTES_MAX: usize = 64 << 10;
/// Longest script, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 64 << 10;
/// Longest standard input of a command, in bytes.
pub const STDIN_BYTES_MAX: usize = 64 << 10;
/// Longest path of a working directory, in bytes: that of Linux.
pub const DIRECTORY_BYTES_MAX: usize = 4_096;
/// Least memory that a command can be limited to, in bytes: a shell starts in it.
pub const COMMAND_MEMORY_BYTES_MIN: u64 = 8 << 20;
/// Most memory that a limit can name, in bytes.
pub const COMMAND_MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Most processes and threads that a limit can name: as many as Linux has ids.
pub const COMMAND_PIDS_MAX: u64 = 1 << 22;
/// Most CPU that a limit can name, in hundredths of one CPU.
pub const COMMAND_CPU_PERCENT_MAX: u64 = 100 * 4_096;
/// Length of an output stream at which a command is stopped, in bytes.
pub const STREAM_BYTES_MAX: u64 = 1 << 30;
/// Most limits that a command's answer tells of.
pub const COMMAND_LIMITS_MAX: usize = 8;
/// Longest runbook, in bytes.
pub const RUNBOOK_BYTES_MAX: usize = 32 << 10;
/// Most parameters of a runbook.
pub const RUNBOOK_PARAMETERS_MAX: usize = 16;
/// Time that a runbook's check, before or after, may take, in ms.
pub const RUNBOOK_CHECK_MS_MAX: u64 = 60_000;
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

/// Shortest time between two progress frames of a leaf, and before its first, in ms: of work that is
/// done sooner only the result is sent.
pub const PROGRESS_MS_MIN: u64 = 1_000;
/// Progress frames that all hosts of one root together send in a second.
pub const PROGRESS_PER_SECOND_MAX: u64 = 1_000;
/// Longest note of what a leaf's work is at, in bytes.
pub const PROGRESS_NOTE_BYTES_MAX: usize = 256;
/// Longest end of a running command's output that is sent and shown, in bytes.
pub const PROGRESS_OUTPUT_BYTES_MAX: usize = 4 << 10;
/// What running leaves do, as far as a node remembers it, in bytes; beyond, what is oldest is forgotten.
pub const PROGRESS_BYTES_MAX: usize = 32 << 20;
/// Answers of the API show what running leaves do at most this late, in ms.
pub const PROGRESS_SHOWN_MS: i64 = 500;
/// Progress frames of one session that are taken at once; beyond, they are dropped.
pub const SESSION_PROGRESS_FRAMES_MAX: u32 = 64;
/// Progress frames of one session that are taken per second, on average.
pub const SESSION_PROGRESS_PER_SECOND: u32 = 16;

/// Results of one group commit.
pub const COMMIT_EVENTS_MAX: usize = 5_000;
/// Bytes of one group commit.
pub const COMMIT_BYTES_MAX: usize = 3 << 20;
/// Events of one journal block.
pub const JOURNAL_BLOCK_EVENTS_MAX: usize = 32;
/// Answers of one root that are in memory while they are put into the order of its leaves, in bytes.
pub const PACK_BYTES_MAX: usize = 48 << 20;
/// Journal blocks that are written anew, or put together, in one commit.
pub const PACK_COMMIT_BLOCKS: usize = 64;
/// Bytes of such blocks in one commit, where answers are long.
pub const PACK_COMMIT_BYTES: usize = 1 << 20;
/// A root with fewer leaves is never packed: its journal is small and lies together.
pub const PACK_LEAVES_MIN: usize = 256;
/// A root is packed if a page of its leaves needs more journal blocks than this.
pub const PACK_PAGE_BLOCKS: usize = 4;
/// While others write, packing rests this many times as long as it works.
pub const PACK_REST: u32 = 9;
/// Leaves of one packed segment of states or hosts.
pub const SEGMENT_LEAVES: u32 = 256;
/// Leaves of one block of counts.
pub const COUNT_BLOCK_LEAVES: u32 = 1_024;

/// Outcomes that a root tells apart; beyond, there is one more per status for all others.
pub const ROOT_OUTCOMES_MAX: usize = 1_000;
/// Longest label of an outcome, in bytes.
pub const OUTCOME_LABEL_BYTES_MAX: usize = 120;

/// Root tasks are kept for this long unless the node is told otherwise, in days.
pub const ROOT_DAYS_DEFAULT: u32 = 90;
/// Rows that are deleted in one commit when old roots are dropped.
pub const DROP_ROWS_MAX: u32 = 200;

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
/// Hosts that may enrol with an install code unless `MaxUses` says otherwise.
pub const INSTALL_CODE_USES_DEFAULT: u32 = 1_000;
/// Install codes that exist at once.
pub const INSTALL_CODES_MAX: usize = 1_000;

/// Largest JSON of a host's facts, in bytes.
pub const FACTS_BYTES_MAX: usize = 64 << 10;
/// Most addresses, hardware addresses and disks of a host's facts, of each.
pub const FACT_ENTRIES_MAX: usize = 64;
/// Longest host name, in bytes.
pub const HOST_NAME_BYTES_MAX: usize = 253;
/// Longest message, summary or piece of evidence of an answer, in bytes.
pub const ANSWER_LINE_BYTES_MAX: usize = 1 << 10;
/// Most findings of one check.
pub const CHECK_FINDINGS_MAX: usize = 32;
/// Most pieces of evidence of one finding.
pub const FINDING_EVIDENCE_MAX: usize = 16;
/// Most probes of one check: those of [`CHECK_SUBJECTS_MAX`] agents with four servers each, and of the
/// host.
pub const CHECK_PROBES_MAX: usize = 256;
/// Most agents that one check examines.
pub const CHECK_SUBJECTS_MAX: usize = 8;
/// Most known agents that a check lists.
pub const CHECK_DETECTED_MAX: usize = 64;
/// Most signs of one known agent.
pub const DETECTED_SIGNS_MAX: usize = 8;
/// Longest name of a profile, in bytes.
pub const SUBJECT_NAME_BYTES_MAX: usize = 64;
/// Longest note of a probe, in bytes.
pub const PROBE_NOTE_BYTES_MAX: usize = 512;
/// Longest text of an inventory, such as a command line, in bytes.
pub const ASSET_TEXT_BYTES_MAX: usize = 4 << 10;
/// Longest kept output once what may not be shown is escaped, in bytes: a byte becomes up to four,
/// and there is the line that says how much was left out.
pub const OUTPUT_CLEAN_BYTES_MAX: usize = 4 * OUTPUT_BYTES_MAX + 128;

/// Largest frame until the greeting is done, in bytes.
pub const GREETING_BYTES_MAX: usize = 128 << 10;
/// Time that a request may take from its head to the head of its answer, in ms.
pub const REQUEST_MS_MAX: u64 = 60_000;
/// A connection whose other end takes nothing for this long is given up, in ms.
pub const WRITE_STALL_MS_MAX: u64 = 30_000;
/// Connections of one IPv4 address or IPv6 /64 that are not sessions of known hosts.
pub const ADDRESS_CONNECTIONS_MAX: usize = 256;
/// The same for a loopback address, behind which are tunnels, proxies and tests.
pub const LOOPBACK_CONNECTIONS_MAX: usize = 4_096;
/// Open files of a node that are not connections.
pub const FILES_RESERVED: usize = 256;
/// A node's readiness is looked at again after this long, in ms.
pub const READY_MS: i64 = 1_000;

/// Log bundles of one node, in bytes.
pub const BUNDLES_BYTES_MAX: u64 = 10 << 30;
/// Log bundles of one host, in bytes.
pub const HOST_BUNDLES_BYTES_MAX: u64 = 256 << 20;
/// A log bundle is kept for this long, in days.
pub const BUNDLE_DAYS_MAX: i64 = 30;
/// A bundle of which nothing more has come for this long is given up, in ms.
pub const BUNDLE_PART_MS_MAX: i64 = 3_600_000;
/// Time between two searches for bundles that are too old, in ms.
pub const BUNDLE_SWEEP_MS: i64 = 3_600_000;
/// Log bundles that one session may send side by side.
pub const SESSION_BUNDLES_MAX: usize = 16;
/// Pieces of bundles that are written at the same time.
pub const BUNDLE_WRITES_MAX: usize = 32;

/// Enrolments from one IPv4 address or IPv6 /64 in a minute; loopback addresses are not counted.
pub const ADDRESS_ENROLMENTS_PER_MINUTE: i64 = 600;
/// Enrolments with one install code in a minute.
pub const CODE_ENROLMENTS_PER_MINUTE: i64 = 6_000;
/// Downloads of the checker, and sessions of checkers, from one IPv4 address or IPv6 /64 in a minute;
/// loopback addresses are not counted.
pub const ADDRESS_CHECKERS_PER_MINUTE: i64 = 120;
/// Attempts to sign in at the console from one address.
pub const ADDRESS_SIGN_INS_PER_MINUTE: i64 = 20;
/// Kinds of requests that the audit log counts apart within a minute.
pub const AUDIT_COUNTED_MAX: usize = 10_000;
/// How long a session of the console lasts, in s.
pub const CONSOLE_SESSION_SECONDS: i64 = 12 * 3_600;
/// Addresses or codes whose rate is remembered at once; beyond, others are refused.
pub const RATES_MAX: usize = 65_536;
