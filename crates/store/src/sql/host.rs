//! Hosts.
//!
//! Owns the host table and what a filter means. The numbers of the hosts that are not removed are in
//! memory, so that pages without criteria are cut by position.

use std::collections::HashSet;

use model::{HostUuid, LabelChange, Labels, UnixMillis};
use serde_json::Value;

use super::batch::Batch;
use super::db::{Db, Row, params};
use super::snapshot;
use super::task::View;
use crate::{Error, Host, HostFilter, HostMatch, HostNo, NewHost, Page, PageRequest};

const COLUMNS: &str = "no, uuid, public_key, name, group_name, labels, agent_version, created_ms, \
                       seen_ms, removed_ms, facts";

fn host_of(row: Row<'_>) -> Result<Host, Error> {
    let uuid: String = row.get(1)?;
    Ok(Host {
        number: HostNo(row.get(0)?),
        uuid: uuid
            .parse()
            .map_err(|error| Error::Corrupt(format!("host `{uuid}`: {error}")))?,
        public_key: row.get(2)?,
        name: row.get(3)?,
        group: row.get(4)?,
        labels: labels_of(row.get(5)?)?,
        agent_version: row.get(6)?,
        created_at: UnixMillis(row.get(7)?),
        seen_at: UnixMillis(row.get(8)?),
        removed_at: row.get::<Option<_>>(9)?.map(UnixMillis),
        facts: row.get(10)?,
    })
}

/// Labels in the form that a row has them in.
pub(super) fn labels_of(text: String) -> Result<Labels, Error> {
    text.parse()
        .map_err(|error| Error::Corrupt(format!("labels of a row: {error}")))
}

/// See [`crate::Store::host_add`].
pub(super) fn add(batch: &mut Batch<'_>, host: &NewHost) -> Result<HostNo, Error> {
    let added = batch.tx.row(
        "INSERT INTO host (no, uuid, public_key, name, group_name, labels, agent_version, created_ms,
           seen_ms, facts)
         VALUES ((SELECT coalesce(max(no), 0) + 1 FROM host), ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING no",
        params![
            host.uuid.as_str(),
            &host.public_key,
            &host.name,
            &host.group,
            &host.labels.to_string(),
            &host.agent_version,
            host.created_at.0,
            host.created_at.0,
            &host.facts,
        ],
        |row| Ok(HostNo(row.get(0)?)),
    )?;
    let number = added.ok_or_else(|| Error::Corrupt("a new host is not there".into()))?;
    batch.host_added(number);
    Ok(number)
}

/// See [`crate::Store::host_seen`].
pub(super) fn seen(
    tx: &dyn Db,
    host: HostNo,
    agent_version: &str,
    facts: Option<&str>,
    now: UnixMillis,
) -> Result<(), Error> {
    let name = facts.and_then(|it| {
        let facts: Value = serde_json::from_str(it).ok()?;
        let name = facts.get("hostname")?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    let changed = tx.execute(
        "UPDATE host SET seen_ms = CASE WHEN seen_ms < ? THEN ? ELSE seen_ms END,
           agent_version = ?, facts = coalesce(?, facts), name = coalesce(?, name)
         WHERE no = ? AND removed_ms IS NULL",
        params![now.0, now.0, agent_version, facts, name.as_ref(), host.0],
    )?;
    if changed == 0 {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// See [`crate::Store::host_label`].
pub(super) fn label(tx: &dyn Db, hosts: &[HostNo], change: &LabelChange) -> Result<u64, Error> {
    let mut changed = 0;
    for host in hosts {
        let sql = "SELECT labels FROM host WHERE no = ? AND removed_ms IS NULL";
        let Some(before) = tx.row(sql, params![host.0], |row| labels_of(row.get(0)?))? else {
            continue;
        };
        let after = change.apply(&before).map_err(|_| Error::Conflict)?;
        if after != before {
            let sql = "UPDATE host SET labels = ? WHERE no = ?";
            changed += tx.execute(sql, params![&after.to_string(), host.0])?;
        }
    }
    Ok(changed)
}

/// See [`crate::Store::host_remove`].
pub(super) fn remove(
    batch: &mut Batch<'_>,
    uuid: &HostUuid,
    now: UnixMillis,
) -> Result<bool, Error> {
    let removed = batch.tx.row(
        "UPDATE host SET removed_ms = ?, labels = '' WHERE uuid = ? AND removed_ms IS NULL RETURNING no",
        params![now.0, uuid.as_str()],
        |row| row.get(0),
    )?;
    if let Some(number) = removed {
        batch.host_removed(HostNo(number));
        snapshot::delete(batch.tx, HostNo(number))?;
    }
    Ok(removed.is_some())
}

/// One host, whether removed or not.
pub(super) fn get(tx: &dyn Db, uuid: &str) -> Result<Option<Host>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM host WHERE uuid = ?");
    tx.row(&sql, params![uuid], host_of)
}

/// See [`crate::Store::host_of_key`].
pub(super) fn of_key(tx: &dyn Db, public_key: &[u8]) -> Result<Option<Host>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM host WHERE public_key = ? AND removed_ms IS NULL ORDER BY no LIMIT 1"
    );
    tx.row(&sql, params![public_key], host_of)
}

/// Hosts by number, in that order.
pub(super) fn get_many(tx: &dyn Db, numbers: &[HostNo]) -> Result<Vec<Host>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM host WHERE no = ?");
    let mut hosts = Vec::with_capacity(numbers.len());
    for number in numbers {
        hosts.extend(tx.row(&sql, params![number.0], host_of)?);
    }
    Ok(hosts)
}

/// The numbers of hosts that are not removed, ascending, from the file.
pub(super) fn numbers(tx: &dyn Db) -> Result<Vec<HostNo>, Error> {
    let sql = "SELECT no FROM host WHERE removed_ms IS NULL ORDER BY no";
    tx.rows(sql, &[], |row| Ok(HostNo(row.get(0)?)))
}

impl View<'_> {
    /// See [`crate::Store::host_page`].
    pub(super) fn host_page(
        self,
        filter: &HostFilter,
        page: PageRequest,
    ) -> Result<Page<Host>, Error> {
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let room = usize::try_from(page.size).unwrap_or(usize::MAX);
        let (rows, total) = if filter.criteria.is_empty() {
            let hosts = self.active.hosts();
            let numbers: Vec<_> = hosts.iter().skip(skip).take(room).copied().collect();
            (get_many(self.tx, &numbers)?, hosts.len())
        } else {
            self.matching(filter, skip, room)?
        };
        Ok(Page {
            rows,
            total: u64::try_from(total).unwrap_or(u64::MAX),
        })
    }

    fn matching(
        self,
        filter: &HostFilter,
        skip: usize,
        room: usize,
    ) -> Result<(Vec<Host>, usize), Error> {
        let tests: Vec<Test<'_>> = filter.criteria.iter().map(Test::new).collect();
        let uuid = filter.criteria.iter().find_map(|it| match it {
            HostMatch::Uuid(uuid) if !filter.any || tests.len() == 1 => Some(uuid),
            _ => None,
        });
        let (mut rows, mut total) = (Vec::new(), 0);
        let mut consider = |host: Host| {
            if host.removed_at.is_none() && accepts(&tests, filter.any, &host) {
                if total >= skip && rows.len() < room {
                    rows.push(host);
                }
                total += 1;
            }
        };
        if let Some(uuid) = uuid {
            get(self.tx, uuid)?.map(consider);
        } else {
            let sql = format!("SELECT {COLUMNS} FROM host WHERE removed_ms IS NULL ORDER BY no");
            self.tx.query(&sql, &[], &mut |row| {
                consider(host_of(row)?);
                Ok(())
            })?;
        }
        Ok((rows, total))
    }
}

fn accepts(tests: &[Test<'_>], any: bool, host: &Host) -> bool {
    let needs_facts = tests.iter().any(Test::needs_facts);
    let facts = needs_facts
        .then(|| serde_json::from_str(&host.facts).ok())
        .flatten()
        .unwrap_or(Value::Null);
    let mut results = tests.iter().map(|it| it.accepts(host, &facts));
    if any {
        results.any(|it| it)
    } else {
        results.all(|it| it)
    }
}

/// A criterion made ready for many hosts.
enum Test<'a> {
    Uuid(&'a str),
    Name(&'a str),
    Address(&'a str),
    Os(String),
    Group(&'a str),
    Listed(HashSet<HostNo>, bool),
}

impl<'a> Test<'a> {
    fn new(criterion: &'a HostMatch) -> Self {
        match criterion {
            HostMatch::Uuid(it) => Self::Uuid(it),
            HostMatch::Name(it) => Self::Name(it),
            HostMatch::Address(it) => Self::Address(it),
            HostMatch::Os(it) => Self::Os(it.to_lowercase()),
            HostMatch::Group(it) => Self::Group(it),
            HostMatch::OneOf(it) => Self::Listed(it.iter().copied().collect(), true),
            HostMatch::NoneOf(it) => Self::Listed(it.iter().copied().collect(), false),
        }
    }

    fn needs_facts(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Os(_))
    }

    fn accepts(&self, host: &Host, facts: &Value) -> bool {
        match self {
            Self::Uuid(it) => host.uuid.as_str() == *it,
            Self::Name(it) => host.name.contains(it),
            Self::Group(it) => host.group == *it,
            Self::Listed(numbers, wanted) => numbers.contains(&host.number) == *wanted,
            Self::Address(it) => facts
                .get("addresses")
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(|one| one.as_str() == Some(it))),
            Self::Os(it) => ["osName", "osId"].iter().any(|key| {
                let text = facts.get(key).and_then(Value::as_str);
                text.is_some_and(|text| text.to_lowercase().contains(it))
            }),
        }
    }
}
