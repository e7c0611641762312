//! The lists of an inventory: their names in JSON, and the form in which each is kept by itself.
//!
//! Owns what a kept list looks like. Where it is kept is not known here.

use model::AssetItem;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::answer::{Account, AssetReport, Package, Port, Process};

/// Writes items by their names on the wire.
pub(crate) fn serialize<S: Serializer>(items: &[AssetItem], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(items.iter().map(|it| it.wire()))
}

/// Reads items by their names on the wire.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<AssetItem>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let item = |name: &String| {
        let found = AssetItem::from_wire(name);
        found.ok_or_else(|| D::Error::custom(format!("`{name}` is not an item")))
    };
    names.iter().map(item).collect()
}

/// A list as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept<T> {
    /// What is in it.
    pub entries: T,
    /// Whether some of the host's may be missing: it could not read all, or it did not fit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
}

/// The lists of a report, each in JSON to be kept by itself.
///
/// # Errors
/// It cannot be written as JSON.
pub fn lists(report: &AssetReport) -> Result<Vec<(AssetItem, Vec<u8>)>, serde_json::Error> {
    let mut lists = Vec::new();
    for item in AssetItem::ALL {
        let is_partial = report.partial.contains(&item);
        let json = match item {
            AssetItem::System => kept(report.system.as_ref(), is_partial),
            AssetItem::Accounts => kept(report.accounts.as_ref(), is_partial),
            AssetItem::Ports => kept(report.ports.as_ref(), is_partial),
            AssetItem::Processes => kept(report.processes.as_ref(), is_partial),
            AssetItem::Packages => kept(report.packages.as_ref(), is_partial),
            AssetItem::CronJobs => kept(report.cron_jobs.as_ref(), is_partial),
            AssetItem::KernelModules => kept(report.kernel_modules.as_ref(), is_partial),
            AssetItem::Autoruns => kept(report.autoruns.as_ref(), is_partial),
        };
        lists.extend(json.transpose()?.map(|it| (item, it)));
    }
    Ok(lists)
}

fn kept<T: Serialize>(
    entries: Option<&T>,
    is_partial: bool,
) -> Option<Result<Vec<u8>, serde_json::Error>> {
    let entries = entries?;
    Some(serde_json::to_vec(&Kept {
        entries,
        is_partial,
    }))
}

/// A kept list of any kind, to be shown.
///
/// # Errors
/// It is not one.
pub fn any(json: &[u8]) -> Result<Kept<Value>, serde_json::Error> {
    serde_json::from_slice(json)
}

/// An entry of most lists, as far as a selector looks at it.
#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Numbered {
    port: u16,
}

/// What a selector looks at in a kept list: names with versions, of which those of other things than
/// packages are empty; ports by number.
///
/// # Errors
/// It is not a list of that item.
pub fn names(
    item: AssetItem,
    json: &[u8],
) -> Result<Kept<Vec<(String, String)>>, serde_json::Error> {
    match item {
        AssetItem::Ports => mapped(json, |it: Numbered| (it.port.to_string(), String::new())),
        AssetItem::Accounts
        | AssetItem::Processes
        | AssetItem::Packages
        | AssetItem::KernelModules => mapped(json, |it: Named| (it.name, it.version)),
        // No selector looks at these.
        AssetItem::System | AssetItem::CronJobs | AssetItem::Autoruns => Ok(Kept::default()),
    }
}

/// What the operations about properties choose an entry by: its texts, which entries of many hosts have in
/// common, and its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// Of accounts the name and whether it is root's (`1`, `0`); of ports the number, the address and the
    /// process; of processes name, user and command line; of packages name, version and path.
    pub texts: [String; 3],
    /// In ms since the Unix epoch: of accounts the last login, of processes the start, of packages when
    /// it was installed; none if that is not known.
    pub at: Option<i64>,
}

/// What the operations about properties look at in a kept list, in its order; nothing of items that
/// have no such operation.
///
/// # Errors
/// It is not a list of that item.
pub fn properties(
    item: AssetItem,
    json: &[u8],
) -> Result<Option<Vec<Property>>, serde_json::Error> {
    let entries = match item {
        AssetItem::Accounts => mapped(json, |it: Account| Property {
            texts: [it.name, u8::from(it.uid == 0).to_string(), String::new()],
            at: it.last_login_ms,
        }),
        AssetItem::Ports => mapped(json, |it: Port| Property {
            texts: [it.port.to_string(), it.address, it.process],
            at: None,
        }),
        AssetItem::Processes => mapped(json, |it: Process| Property {
            texts: [it.name, it.user, it.cmdline],
            at: Some(it.started_ms),
        }),
        AssetItem::Packages => mapped(json, |it: Package| Property {
            texts: [it.name, it.version, it.path],
            at: it.installed_ms,
        }),
        AssetItem::System
        | AssetItem::CronJobs
        | AssetItem::KernelModules
        | AssetItem::Autoruns => return Ok(None),
    };
    entries.map(|it| Some(it.entries))
}

/// A kept list, whose entries are of this type.
///
/// # Errors
/// It is not one.
pub fn typed<T: DeserializeOwned>(json: &[u8]) -> Result<Kept<Vec<T>>, serde_json::Error> {
    serde_json::from_slice(json)
}

fn mapped<T: DeserializeOwned, N>(
    json: &[u8],
    map: impl Fn(T) -> N,
) -> Result<Kept<Vec<N>>, serde_json::Error> {
    let list: Kept<Vec<T>> = serde_json::from_slice(json)?;
    Ok(Kept {
        entries: list.entries.into_iter().map(map).collect(),
        is_partial: list.is_partial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_list_by_list() {
        let report = r#"{"packages":[{"name":"bash","version":"5.2","architecture":"amd64","manager":"dpkg"}],
            "kernelModules":[],"unread":["x"],"partial":["SOFTWARE_SNAPSHOT"]}"#;
        let report: AssetReport = serde_json::from_str(report).unwrap();
        let lists = lists(&report).unwrap();
        let items: Vec<AssetItem> = lists.iter().map(|it| it.0).collect();
        assert_eq!(items, [AssetItem::Packages, AssetItem::KernelModules]);
        let packages = names(lists[0].0, &lists[0].1).unwrap();
        assert_eq!(packages.entries, [("bash".to_owned(), "5.2".to_owned())]);
        assert!(packages.is_partial);
        let modules = names(lists[1].0, &lists[1].1).unwrap();
        assert!(modules.entries.is_empty() && !modules.is_partial);
        assert_eq!(any(&lists[0].1).unwrap().entries[0]["manager"], "dpkg");
        assert!(names(AssetItem::Ports, &lists[0].1).is_err());
    }
}
