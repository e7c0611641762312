//! Answers of the install code operations. An install code lets a host enrol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `AddInstallCode`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddInstallCode {
    /// Ours: the new code. Other clients list the codes to find it.
    pub captcha_code: String,
}

/// Answer of `DescribeInstallCodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstallCodes {
    /// All codes that can still be used.
    pub install_codes: Vec<InstallCode>,
}

/// One install code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstallCode {
    /// The code itself.
    pub captcha_code: String,
    /// When it expires, in ms since the Unix epoch.
    pub expired_date: i64,
    /// The group that hosts join, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i64>,
    /// Name of that group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Ours: labels that hosts get.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it is for building an image.
    pub only_image: bool,
    /// `linux` or `windows`.
    pub os: String,
    /// The private link, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_link_endpoint_id: Option<i64>,
    /// The proxy, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_cluster: Option<String>,
    /// The vendor, as it was given.
    pub vendor_name: String,
}
