//! `property`: entries of the inventories of many hosts, asked for by the API on one connection.
//!
//! The hosts are of a few images, as in a fleet: most entries of a host are those of others too. Each
//! question of a kind asks for another page. The first question is by itself: the node learns all lists then.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::{AssetItem, Event, Reason, RootId, Said, TaskType, UnixMillis, Verdict};
use protocol::asset;
use serde_json::{Map, Value, json};
use store::{HostNo, LeafAnswer, LeafEvent, NewSnapshot, SqliteStore, Store as _};

use crate::api::{host, now_ms, signed};
use crate::house::{self, House};
use crate::idle::{cpu_ticks, share};
use crate::ingest::new_root;
use crate::load::{self, ms};

/// Entries of one host.
const PACKAGES: u32 = 190;
const PROCESSES: u32 = 70;
const PORTS: u32 = 12;
const ACCOUNTS: u32 = 28;
/// Images that the hosts are of: each has versions of its own of some packages.
const IMAGES: u32 = 8;
/// Results of one commit while the store is filled, and hosts stored at the same time.
const BATCH: u32 = 500;
/// Milliseconds of one clock tick: USER_HZ is 100 on Linux.
const TICK_MS: u64 = 10;

/// A name, the operation that is asked, and its parameters.
type Kind = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const KINDS: [Kind; 8] = [
    ("all_software", "Software", &[]),
    ("software_on_all", "Software", &[("Name", "package-7")]),
    (
        "software_of_version",
        "Software",
        &[("Name", "package-8"), ("SoftwareVersion", "1.8.3-1")],
    ),
    (
        "software_like",
        "Software",
        &[("Name", "AGE-17"), ("Extend", "1")],
    ),
    ("processes_of_root", "Proc", &[("User", "root")]),
    (
        "processes_since",
        "Proc",
        &[("User", "root"), ("ProcTimeStart", "1600000030000")],
    ),
    ("one_port", "Port", &[("Port", "1007")]),
    ("roots", "User", &[("IsRoot", "1")]),
];

/// Measures.
pub(crate) async fn run(hosts: u32, requests: usize) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    fill(&house::data(folder.path()), hosts).await?;
    let filling = started.elapsed();
    let house = House::start_in(folder)?;
    let authority = house.url.trim_start_matches("http://").to_owned();
    let (memory, ticks) = (share(house.pid())?, cpu_ticks(house.pid())?);
    let first = ask(&authority, 1, "Software", &[]).await?.p50_ms;
    let first_cpu = cpu_ticks(house.pid())? - ticks;
    let mut kinds = Map::new();
    for (name, operation, params) in KINDS {
        let before = cpu_ticks(house.pid())?;
        let figures = ask(&authority, requests, operation, params).await?;
        let used = (cpu_ticks(house.pid())? - before) * TICK_MS * 1_000;
        let each = used / u64::try_from(requests.max(1))?;
        kinds.insert(
            name.to_owned(),
            json!({ "p50_ms": figures.p50_ms, "p99_ms": figures.p99_ms, "server_cpu_us": each }),
        );
    }
    Ok(json!({
        "workload": "property",
        "n": hosts,
        "entries": u64::from(hosts) * u64::from(PACKAGES + PROCESSES + PORTS + ACCOUNTS),
        "fill_ms": ms(filling),
        "first_ms": first,
        "first_cpu_ms": first_cpu * TICK_MS,
        "memory_bytes": share(house.pid())?.saturating_sub(memory),
        "kinds": kinds,
    }))
}

/// Asks for pages of 20, each another one, one after the other.
async fn ask(
    authority: &str,
    requests: usize,
    operation: &str,
    params: &'static [(&'static str, &'static str)],
) -> anyhow::Result<load::Figures> {
    let host = authority.to_owned();
    let action = format!("DescribeProperty{operation}Detail");
    load::run(authority, requests, 1, move |number| {
        let own = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut params: Vec<_> = own.collect();
        params.push(("PageSize".to_owned(), "20".to_owned()));
        params.push(("CurrentPage".to_owned(), (1 + number).to_string()));
        signed(&host, &action, &params)
    })
    .await
}

/// Stores hosts, each with one inventory.
async fn fill(data: &Path, hosts: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(data)?;
    let store = SqliteStore::open(data)?;
    let added = futures_util::stream::iter(0..hosts)
        .map(|number| store.host_add(host(number)))
        .buffered(usize::try_from(BATCH)?);
    added.try_for_each(async |_| Ok(())).await?;
    let now = UnixMillis(now_ms());
    let root = RootId::new(now, [1; 6]);
    let numbers = (1..=i64::from(hosts)).map(HostNo).collect();
    let new = new_root(root, TaskType::AssetSecurityCheck, now);
    store.root_create(new, numbers).await?;
    for first in (1..=hosts).step_by(usize::try_from(BATCH)?) {
        let leaves = first..(first + BATCH).min(hosts + 1);
        let events: anyhow::Result<Vec<_>> = leaves.map(|it| result(root, it)).collect();
        for applied in store.leaf_apply_many(events?, now.plus(1)).await? {
            applied?;
        }
    }
    store.close().await;
    Ok(())
}

fn result(root: RootId, number: u32) -> anyhow::Result<LeafEvent> {
    let report = serde_json::from_value(json!({
        "packages": (0..PACKAGES).map(|it| package(number, it)).collect::<Vec<_>>(),
        "processes": (0..PROCESSES).map(|it| process(number, it)).collect::<Vec<_>>(),
        "ports": (0..PORTS).map(port).collect::<Vec<_>>(),
        "accounts": (0..ACCOUNTS).map(account).collect::<Vec<_>>(),
    }));
    let lists = asset::lists(&report?).context("writing lists")?;
    let snapshots: Result<Vec<_>, store::Error> = lists
        .into_iter()
        .map(|(item, json): (AssetItem, Vec<u8>)| NewSnapshot::new(item, &json))
        .collect();
    Ok(LeafEvent {
        leaf: root.leaf(number),
        event: Event::Ended {
            verdict: Verdict::Success,
            reason: Reason::None,
        },
        answer: Some(LeafAnswer {
            json: b"{}".to_vec(),
            said: Said::new([0; 14], "well".to_owned()),
            snapshots: snapshots?,
        }),
    })
}

fn package(host: u32, number: u32) -> Value {
    // One in four differs between images.
    let patch = if number.is_multiple_of(4) {
        host % IMAGES
    } else {
        0
    };
    json!({
        "name": format!("package-{number}"),
        "version": format!("1.{number}.{patch}-1"),
        "architecture": "amd64",
        "manager": "dpkg",
    })
}

fn process(host: u32, number: u32) -> Value {
    // One in three has an argument that no other host has.
    let own = if number.is_multiple_of(3) { host } else { 0 };
    let user = if number.is_multiple_of(2) {
        "root"
    } else {
        "service"
    };
    json!({
        "pid": number + 1, "ppid": 1, "name": format!("process-{number}"), "user": user, "state": "S",
        "path": format!("/usr/sbin/process-{number}"), "rssBytes": 1 << 20,
        "cmdline": format!("/usr/sbin/process-{number} --instance {own} --configuration /etc/process-{number}.conf"),
        "startedMs": 1_600_000_000_000_i64 + i64::from(host) + i64::from(number) * 1_000,
    })
}

fn port(number: u32) -> Value {
    json!({
        "protocol": "tcp", "address": "0.0.0.0", "port": 1_000 + number, "pid": number + 1,
        "process": format!("process-{number}"),
    })
}

fn account(number: u32) -> Value {
    json!({
        "name": format!("account-{number}"), "uid": number, "gid": number, "groups": ["users"],
        "home": "/home", "shell": "/bin/sh", "canLogin": true, "passwordLocked": false,
    })
}
