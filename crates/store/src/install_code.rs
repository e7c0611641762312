//! Install codes as the store gives them.

use model::UnixMillis;

/// A code with which agents enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallCode {
    /// The code.
    pub code: String,
    /// From then on it no longer works.
    pub expires_at: UnixMillis,
    /// Number of the group that hosts join; 0 is the default group.
    pub group_id: i64,
    /// Name of that group.
    pub group: String,
    /// Operating system, `linux` or `windows`.
    pub os: String,
    /// Vendor's name as it was given.
    pub vendor: String,
    /// Whether it is for building images.
    pub only_image: bool,
    /// Proxy cluster as it was given; may be empty.
    pub proxy_cluster: String,
    /// When it was made.
    pub created_at: UnixMillis,
}
