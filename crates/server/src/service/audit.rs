//! Who asked for what, from where, and what came of it.
//!
//! What is to change something is an entry of its own, carried out or refused, and durable before it is answered.
//! Reading, and what strangers try, is counted: requests alike within a minute are one entry. So the
//! log tells of every request, and a fast reader neither fills it nor waits for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{UnixMillis, limits};
use protocol::audit::AuditRecord;
use store::{AuditEntry, AuditQuery, NewAudit, Store};
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::clock::Clock;

/// The service of the audit log.
pub(crate) struct Audit {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    counted: Mutex<HashMap<String, Counted>>,
}

/// Requests alike.
#[derive(Debug)]
struct Counted {
    user: String,
    action: String,
    record: AuditRecord,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Happened<'a> {
    /// Who; empty if nobody was proven.
    pub(crate) user: &'a str,
    /// What was asked for.
    pub(crate) action: &'a str,
    /// The rest.
    pub(crate) record: AuditRecord,
}

impl Audit {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            counted: Mutex::default(),
        }
    }

    /// Writes an entry. When this returns it is durable.
    ///
    /// # Errors
    /// The store cannot take it.
    pub(crate) async fn write(&self, mut happened: Happened<'_>) -> Result<(), Error> {
        happened.record.count = 1;
        let entry = NewAudit {
            at: self.clock.now(),
            user: happened.user.to_owned(),
            action: happened.action.to_owned(),
            text: text(&happened.record)?,
        };
        Ok(self.store.audit_append(vec![entry]).await?)
    }

    /// Counts a request with those like it; `record` makes the rest of the entry, for the first of them.
    pub(crate) fn count(
        &self,
        user: &str,
        action: &str,
        alike: &[&str],
        record: impl FnOnce() -> AuditRecord,
    ) {
        let mut key = format!("{user}\0{action}");
        for it in alike {
            key.push('\0');
            key.push_str(it);
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = counted.len() >= limits::AUDIT_COUNTED_MAX;
        match counted.entry(key) {
            Entry::Occupied(mut it) => it.get_mut().record.count += 1,
            Entry::Vacant(free) if !is_full => {
                let since = Some(self.clock.now().0);
                free.insert(Counted {
                    user: user.to_owned(),
                    action: action.to_owned(),
                    record: AuditRecord {
                        count: 1,
                        since,
                        request_id: String::new(),
                        ..record()
                    },
                });
            }
            // Somebody tries with ever new addresses or keys: they are one.
            Entry::Vacant(_) => {
                let others = counted.entry(String::new()).or_insert_with(|| Counted {
                    user: String::new(),
                    action: "many".to_owned(),
                    record: AuditRecord {
                        since: Some(self.clock.now().0),
                        ..AuditRecord::default()
                    },
                });
                others.record.count += 1;
            }
        }
    }

    /// Counts a request of somebody who was not proven.
    pub(crate) fn refused(
        &self,
        action: &str,
        claimed: &str,
        source: &str,
        door: &str,
        outcome: &str,
    ) {
        let cut = |text: &str| -> String {
            text.chars()
                .filter(char::is_ascii_graphic)
                .take(64)
                .collect()
        };
        let (action, claimed) = (cut(action), cut(claimed));
        let alike = [claimed.as_str(), source, door, outcome];
        self.count("", &action, &alike, || AuditRecord {
            access_key_id: claimed.clone(),
            source: source.to_owned(),
            door: door.to_owned(),
            outcome: outcome.to_owned(),
            ..AuditRecord::default()
        });
    }

    /// Writes what was counted, every minute and in the end.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(FLUSH) => self.flush().await,
                () = shutdown.cancelled() => break,
            }
        }
    }

    /// Writes what was counted so far.
    pub(crate) async fn flush(&self) {
        let counted = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *counted)
        };
        let at = self.clock.now();
        let mut counted: Vec<Counted> = counted.into_values().collect();
        counted.sort_by(|a, b| {
            (a.record.since, &a.user, &a.action).cmp(&(b.record.since, &b.user, &b.action))
        });
        for part in counted.chunks(ENTRIES_AT_ONCE) {
            if let Err(error) = self.append(part, at).await {
                let source = error
                    .source
                    .as_deref()
                    .map(|it| it as &dyn std::error::Error);
                tracing::error!(
                    entries = part.len(),
                    error = source,
                    "counted requests are missing in the audit log"
                );
            }
        }
    }

    async fn append(&self, part: &[Counted], at: UnixMillis) -> Result<(), Error> {
        let entry = |it: &Counted| {
            Ok(NewAudit {
                at,
                user: it.user.clone(),
                action: it.action.clone(),
                text: text(&it.record)?,
            })
        };
        let entries: Result<Vec<NewAudit>, Error> = part.iter().map(entry).collect();
        Ok(self.store.audit_append(entries?).await?)
    }

    /// Entries, newest first.
    pub(crate) async fn page(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.store.audit_page(query).await?)
    }
}

/// Between two writings of what was counted.
const FLUSH: Duration = Duration::from_secs(60);
/// Entries of one commit.
const ENTRIES_AT_ONCE: usize = 500;

fn text(record: &AuditRecord) -> Result<String, Error> {
    serde_json::to_string(record).map_err(Error::internal)
}
