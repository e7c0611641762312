//! Install codes as the store gives them. The codes themselves come and go sealed.

use model::{Labels, UnixMillis};

/// A code with which agents enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallCode {
    /// SHA-256 of the code, lower-case hexadecimal: how it is found.
    pub id: String,
    /// The code, sealed, so that it can be listed.
    pub sealed_code: Vec<u8>,
    /// From then on it no longer works.
    pub expires_at: UnixMillis,
    /// Hosts that may enrol with it.
    pub uses_max: u32,
    /// Hosts that have.
    pub uses: u32,
    /// Number of the group that hosts join; 0 is the default group.
    pub group_id: i64,
    /// Name of that group.
    pub group: String,
    /// Labels that hosts get.
    pub labels: Labels,
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
