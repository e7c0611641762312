//! Answers about what is on hosts, entry by entry over all hosts: processes, ports, accounts, software.
//!
//! Owns their documented names, the misspelt `Propertys` included. What a host does not tell is absent.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// An answer: entries of one kind, by host and in the order of the host's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Properties<T> {
    /// Paging.
    pub page_info: PropertyPage,
    /// The entries.
    pub propertys: Vec<T>,
}

/// Which page this is: by number, with how many there are in all, or up to a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PropertyPage {
    /// Entries on this page.
    pub count: u32,
    /// Number of this page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_page: Option<u64>,
    /// Entries that a page holds.
    pub page_size: u32,
    /// Matches in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<u64>,
    /// What asks for the entries after this page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The host of an entry, and when the host told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Origin {
    /// When the list came that the entry is in, in ms since the Unix epoch.
    pub create_timestamp: i64,
    /// The host's uuid again: it has no id of a cloud.
    pub instance_id: String,
    /// Host name.
    pub instance_name: String,
    /// Public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_ip: Option<String>,
    /// Private address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intranet_ip: Option<String>,
    /// The address to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The host's uuid.
    pub uuid: String,
}

/// One process; `DescribePropertyProcDetail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessProperty {
    /// The host.
    #[serde(flatten)]
    pub origin: Origin,
    /// Command line, with secrets redacted.
    pub cmdline: String,
    /// Short name.
    pub name: String,
    /// Path of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Process id.
    pub pid: String,
    /// Short name of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pname: Option<String>,
    /// Start, UTC.
    pub start_time: String,
    /// Start, in ms since the Unix epoch.
    pub start_time_dt: i64,
    /// What it does, in a word, as `/proc/PID/status` has it.
    pub state: String,
    /// User name.
    pub user: String,
}

/// One listening socket; `DescribePropertyPortDetail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortProperty {
    /// The host.
    #[serde(flatten)]
    pub origin: Origin,
    /// Local address.
    pub bind_ip: String,
    /// The process that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// Local port.
    pub port: String,
    /// Short name of that process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proc_name: Option<String>,
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub proto: String,
}

/// One account; `DescribePropertyUserDetail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserProperty {
    /// The host.
    #[serde(flatten)]
    pub origin: Origin,
    /// Day on which the account ends, or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts_expiration_date: Option<String>,
    /// Names of its groups.
    pub group_names: Vec<String>,
    /// 1: its shell lets one log in. Misspelt on the wire.
    pub is_could_login: u8,
    /// 1: its password had to be changed when the list was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_passwd_expired: Option<u8>,
    /// 1: its password is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_passwd_locked: Option<u8>,
    /// `1`: its user id is 0.
    pub is_root: String,
    /// 1: it may become root by `sudo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_sudoer: Option<u8>,
    /// 1: the account had ended when the list was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_user_expired: Option<u8>,
    /// Where the last login came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_ip: Option<String>,
    /// Last login, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_time: Option<String>,
    /// Last login, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_time_dt: Option<i64>,
    /// The same again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_timestamp: Option<i64>,
    /// Day on which its password has to be changed, or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_expiration_date: Option<String>,
    /// Name.
    pub user: String,
}

/// One installed package; `DescribePropertySoftwareDetail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SoftwareProperty {
    /// The host.
    #[serde(flatten)]
    pub origin: Origin,
    /// When it was installed, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_time: Option<String>,
    /// The same, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_time_dt: Option<i64>,
    /// Name.
    pub name: String,
    /// Where it lies, if it is a library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version.
    pub version: String,
}

/// A time as the API writes it where it is a text: `2019-08-07 10:09:05`, UTC. Empty if it is out of range.
#[must_use]
pub fn time_text(ms: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1_000)) else {
        return String::new();
    };
    let ((year, month, day), (hour, minute, second)) = (time.to_calendar_date(), time.to_hms());
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_flat_object_without_what_is_not_known() {
        let port = PortProperty {
            port: "22".to_owned(),
            ..PortProperty::default()
        };
        let json = serde_json::to_value(&port).unwrap();
        assert_eq!((&json["Port"], &json["Uuid"]), (&"22".into(), &"".into()));
        assert!(json.get("Pid").is_none() && json.get("Ip").is_none());
        assert_eq!(serde_json::from_value::<PortProperty>(json).unwrap(), port);
    }

    #[test]
    fn a_time_is_written_in_utc() {
        assert_eq!(time_text(1_565_172_545_999), "2019-08-07 10:09:05");
        assert_eq!(time_text(i64::MAX), "");
    }
}
