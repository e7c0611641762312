//! Which hosts a task is for: names and selectors become a list that does not change any more.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use model::selector::{Key, Selector, Values};
use model::{AssetItem, HostUuid, LabelValue, limits};
use protocol::api::param::Targets;
use protocol::error::{Code, Fault};
use protocol::facts::HostFacts;
use store::{Host, HostFilter, HostNo, PageRequest, Store};

use super::Error;
use super::inventory::Inventory;
use crate::engine::Engine;

/// Hosts that are read at a time.
const PART: u32 = 500;
/// Hosts that a preview shows.
const SAMPLE: usize = 5;

/// Resolves targets.
pub(crate) struct Resolver {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Arc<Engine>,
}

/// What a task for these targets would mean now.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    pub(crate) hosts: u64,
    pub(crate) online: u64,
    /// Hosts beside them of which what the selector asks for is not known.
    pub(crate) unknown: u64,
    /// Some of those that match.
    pub(crate) sample: Vec<Host>,
}

/// What targets mean now.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The hosts, ascending.
    pub(crate) hosts: Vec<HostNo>,
    /// Hosts beside them of which what the selector asks for is not known.
    unknown: u64,
}

/// A host and whether a selector means it, if that can be told.
struct Candidate<'a> {
    host: &'a Host,
    online: bool,
    is_meant: Option<bool>,
}

impl Resolver {
    /// The hosts that are meant now.
    pub(crate) async fn hosts(&self, targets: &Targets) -> Result<Resolved, Error> {
        let mut resolved = Resolved::default();
        match targets {
            Targets::All => resolved.hosts = self.store.host_numbers().await?,
            Targets::Uuids(uuids) => resolved.hosts = self.named(uuids).await?,
            Targets::Selector(selector) => {
                let hosts = &mut resolved.hosts;
                let taken = self.select(Some(selector), |host, _| hosts.push(host.number));
                resolved.unknown = taken.await?;
            }
        }
        Ok(resolved)
    }

    /// The hosts of a new task, ascending: at least one, and no more than it may have.
    pub(crate) async fn resolve(&self, targets: &Targets) -> Result<Vec<HostNo>, Error> {
        let Resolved { hosts, unknown } = self.hosts(targets).await?;
        if hosts.is_empty() {
            return Err(illegal(&match targets {
                Targets::Selector(_) if unknown > 0 => format!(
                    "no host is known to match the selector; of {unknown} hosts there is no inventory that tells: run ASSET_SECURITY_CHECK on them"
                ),
                Targets::Selector(_) => "no host matches the selector".to_owned(),
                Targets::All | Targets::Uuids(_) => "no host is enrolled yet".to_owned(),
            }));
        }
        if hosts.len() > limits::ROOT_HOSTS_MAX {
            let most = limits::ROOT_HOSTS_MAX;
            return Err(illegal(&format!("a task has at most {most} hosts")));
        }
        Ok(hosts)
    }

    async fn named(&self, uuids: &[HostUuid]) -> Result<Vec<HostNo>, Error> {
        let mut found = BTreeSet::new();
        let mut unknown = Vec::new();
        for (at, uuid) in uuids.iter().enumerate() {
            if at % usize::try_from(PART).unwrap_or(usize::MAX) == 0 {
                tokio::task::yield_now().await;
            }
            match self.store.host_get(uuid).await? {
                Some(host) if host.removed_at.is_none() => {
                    found.insert(host.number);
                }
                _ => unknown.push(uuid.as_str()),
            }
        }
        if unknown.is_empty() {
            return Ok(found.into_iter().collect());
        }
        let shown: Vec<&str> = unknown.iter().take(SAMPLE).copied().collect();
        let others = match unknown.len().saturating_sub(shown.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(illegal(&format!(
            "not known to this control plane: {}{others}",
            shown.join(", ")
        )))
    }

    /// What a selector means now; none means all hosts.
    pub(crate) async fn preview(&self, selector: Option<&Selector>) -> Result<Preview, Error> {
        let mut preview = Preview::default();
        let taken = self.select(selector, |host, online| {
            preview.hosts += 1;
            preview.online += u64::from(online);
            if preview.sample.len() < SAMPLE {
                preview.sample.push(host.clone());
            }
        });
        let unknown = taken.await?;
        Ok(Preview { unknown, ..preview })
    }

    /// What naming these hosts means now.
    pub(crate) async fn preview_named(&self, uuids: &[HostUuid]) -> Result<Preview, Error> {
        let numbers = self.named(uuids).await?;
        let online = |it: &&HostNo| self.engine.sessions.is_online(**it);
        let online = numbers.iter().filter(online).count();
        let first = numbers.get(..SAMPLE).unwrap_or(&numbers);
        Ok(Preview {
            hosts: u64::try_from(numbers.len()).unwrap_or(u64::MAX),
            online: u64::try_from(online).unwrap_or(u64::MAX),
            unknown: 0,
            sample: self.store.host_get_many(first).await?,
        })
    }

    /// Looks at every host, oldest first, and hands over those that match and whether each is online.
    /// Returns of how many others that cannot be told.
    async fn select(
        &self,
        selector: Option<&Selector>,
        mut take: impl FnMut(&Host, bool),
    ) -> Result<u64, Error> {
        let items = selector.map(Selector::items).unwrap_or_default();
        let items: Vec<AssetItem> = items.into_iter().collect();
        let filter = HostFilter::default();
        let mut unknown = 0;
        for number in 1.. {
            let page = PageRequest { number, size: PART };
            let rows = self.store.host_page(&filter, page).await?.rows;
            let is_last = rows.len() < usize::try_from(PART).unwrap_or(usize::MAX);
            let mut candidates: Vec<_> =
                rows.iter().map(|it| self.candidate(selector, it)).collect();
            if let (Some(selector), false) = (selector, items.is_empty()) {
                self.look_up(selector, &items, &mut candidates).await?;
            }
            for it in candidates {
                match it.is_meant {
                    Some(true) => take(it.host, it.online),
                    Some(false) => {}
                    None => unknown += 1,
                }
            }
            if is_last {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(unknown)
    }

    /// What can be told without an inventory.
    fn candidate<'a>(&self, selector: Option<&Selector>, host: &'a Host) -> Candidate<'a> {
        let online = self.engine.sessions.is_online(host.number);
        Candidate {
            host,
            online,
            is_meant: match selector {
                Some(selector) => matches(selector, host, online, &Inventory::default()),
                None => Some(true),
            },
        }
    }

    /// Asks the inventories of the hosts of which nothing else tells, some hosts at a time: lists are
    /// long.
    async fn look_up(
        &self,
        selector: &Selector,
        items: &[AssetItem],
        candidates: &mut [Candidate<'_>],
    ) -> Result<(), Error> {
        let mut open: Vec<_> = candidates
            .iter_mut()
            .filter(|it| it.is_meant.is_none())
            .collect();
        for part in open.chunks_mut(limits::SNAPSHOT_HOSTS_MAX) {
            let hosts: Vec<HostNo> = part.iter().map(|it| it.host.number).collect();
            let lists = self.store.snapshot_list(&hosts, items).await?;
            for it in part {
                let own = lists.iter().filter(|list| list.host == it.host.number);
                it.is_meant = matches(selector, it.host, it.online, &Inventory::of(own)?);
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

fn matches(selector: &Selector, host: &Host, online: bool, inventory: &Inventory) -> Option<bool> {
    let facts = OnceCell::<HostFacts>::new();
    let facts = || facts.get_or_init(|| serde_json::from_str(&host.facts).unwrap_or_default());
    selector.matches(&|key| match key {
        Key::Arch => Values::all([facts().architecture.as_str()]),
        Key::Group => Values::all([host.group.as_str()]),
        Key::Ip => Values::all(facts().addresses.iter().map(String::as_str)),
        Key::Kernel => Values::all([facts().kernel.as_str()]),
        Key::Label(key) => Values::all(host.labels.get(key).map(LabelValue::as_str)),
        Key::Name => Values::all([host.name.as_str()]),
        Key::Os => Values::all([facts().os_id.as_str(), facts().os_name.as_str()]),
        Key::Status => Values::all([if online { "online" } else { "offline" }]),
        Key::Uuid => Values::all([host.uuid.as_str()]),
        Key::Version => Values::all([host.agent_version.as_str()]),
        Key::Account
        | Key::KernelModule
        | Key::Package(_)
        | Key::PackageName
        | Key::Port
        | Key::ProcessName => inventory.values(key),
    })
}

fn illegal(why: &str) -> Error {
    let text = format!("Illegal param: {why}. Nothing was done.");
    Fault::new(Code::IllegalParam, text).into()
}
