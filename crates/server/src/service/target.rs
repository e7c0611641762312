//! Which hosts a task is for: names and selectors become a list that does not change any more.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use model::selector::{Key, Selector};
use model::{HostUuid, LabelValue, limits};
use protocol::api::param::Targets;
use protocol::error::{Code, Fault};
use protocol::facts::HostFacts;
use store::{Host, HostFilter, HostNo, PageRequest, Store};

use super::Error;
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
    /// Some of them.
    pub(crate) sample: Vec<Host>,
}

impl Resolver {
    /// The hosts, ascending.
    pub(crate) async fn hosts(&self, targets: &Targets) -> Result<Vec<HostNo>, Error> {
        match targets {
            Targets::All => Ok(self.store.host_numbers().await?),
            Targets::Uuids(uuids) => self.named(uuids).await,
            Targets::Selector(selector) => {
                let mut found = Vec::new();
                self.select(selector, |host, _| found.push(host.number))
                    .await?;
                Ok(found)
            }
        }
    }

    /// The hosts of a new task, ascending: at least one, and no more than it may have.
    pub(crate) async fn resolve(&self, targets: &Targets) -> Result<Vec<HostNo>, Error> {
        let hosts = self.hosts(targets).await?;
        if hosts.is_empty() {
            return Err(illegal(match targets {
                Targets::Selector(_) => "no host matches the selector",
                Targets::All | Targets::Uuids(_) => "no host is enrolled yet",
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
        for uuid in uuids {
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
        Err(illegal(&format!(
            "{} of the {} uuids are not hosts of this control plane: {}",
            unknown.len(),
            uuids.len(),
            shown.join(", ")
        )))
    }

    /// What a selector means now.
    pub(crate) async fn preview(&self, selector: &Selector) -> Result<Preview, Error> {
        let mut preview = Preview::default();
        self.select(selector, |host, online| {
            preview.hosts += 1;
            preview.online += u64::from(online);
            if preview.sample.len() < SAMPLE {
                preview.sample.push(host.clone());
            }
        })
        .await?;
        Ok(preview)
    }

    /// Looks at every host, oldest first, and hands over those that match and whether each is online.
    async fn select(
        &self,
        selector: &Selector,
        mut take: impl FnMut(&Host, bool),
    ) -> Result<(), Error> {
        let filter = HostFilter::default();
        for number in 1.. {
            let page = PageRequest { number, size: PART };
            let rows = self.store.host_page(&filter, page).await?.rows;
            let is_last = rows.len() < usize::try_from(PART).unwrap_or(usize::MAX);
            for host in &rows {
                let online = self.engine.sessions.is_online(host.number);
                if matches(selector, host, online) {
                    take(host, online);
                }
            }
            if is_last {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn matches(selector: &Selector, host: &Host, online: bool) -> bool {
    let facts = OnceCell::<HostFacts>::new();
    let facts = || facts.get_or_init(|| serde_json::from_str(&host.facts).unwrap_or_default());
    selector.matches(&|key| match key {
        Key::Arch => vec![facts().architecture.as_str()],
        Key::Group => vec![host.group.as_str()],
        Key::Ip => facts().addresses.iter().map(String::as_str).collect(),
        Key::Kernel => vec![facts().kernel.as_str()],
        Key::Label(key) => host
            .labels
            .get(key)
            .map(LabelValue::as_str)
            .into_iter()
            .collect(),
        Key::Name => vec![host.name.as_str()],
        Key::Os => vec![facts().os_id.as_str(), facts().os_name.as_str()],
        Key::Status => vec![if online { "online" } else { "offline" }],
        Key::Uuid => vec![host.uuid.as_str()],
        Key::Version => vec![host.agent_version.as_str()],
    })
}

fn illegal(why: &str) -> Error {
    let text = format!("Illegal param: {why}. Nothing was done.");
    Fault::new(Code::IllegalParam, text).into()
}
