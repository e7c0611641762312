//! The audit log: what goes into it for each request, and how it is asked for.

use axum::body::Bytes;
use model::limits;
use protocol::api::audit::{AuditEntry, ListAuditEntries};
use protocol::audit::AuditRecord;
use protocol::error::Code;
use serde::Deserialize;
use store::AuditQuery;

use super::{Asked, Call, changes};
use crate::service::Error;
use crate::service::audit::Happened;

/// `ListAuditEntries`.
pub(super) async fn list(call: &Call<'_>) -> Result<ListAuditEntries, Error> {
    let size = call
        .page(limits::PAGE_SIZE_DEFAULT, limits::PAGE_SIZE_MAX)?
        .size;
    let text = |name: &str| call.params.get(name).map(str::to_owned);
    let before = call.params.integer("NextToken")?;
    let query = AuditQuery {
        user: text("UserName"),
        action: text("ActionName"),
        window: call.window("StartTime", "EndTime")?,
        before,
        size,
    };
    // What was counted until now is to be seen, too.
    if before.is_none() {
        call.app.audit.flush().await;
    }
    let found = call.app.audit.page(query).await?;
    let is_full = found.len() >= usize::try_from(size).unwrap_or(usize::MAX);
    let last = found.last().map(|it| it.no).filter(|it| is_full && *it > 1);
    let entries = found.into_iter().map(|it| AuditEntry {
        no: it.no,
        time: it.entry.at.0,
        user: it.entry.user,
        action: it.entry.action,
        record: it.entry.text,
        digest: data_encoding::HEXLOWER.encode(&it.digest),
    });
    Ok(ListAuditEntries {
        entries: entries.collect(),
        next_token: last.map(|it| it.to_string()),
    })
}

impl Asked<'_> {
    /// Takes the request up into the audit log. When this returns, what changed something is durable there.
    pub(super) async fn audit(&self, answered: &Result<Bytes, Error>) {
        let app = self.app;
        let outcome = match answered {
            Ok(_) => "OK",
            Err(error) => error.fault.code.wire(),
        };
        let source = self.peer.address.to_string();
        let record = || AuditRecord {
            access_key_id: self.caller.key_id.clone(),
            source: source.clone(),
            door: self.door.to_owned(),
            outcome: outcome.to_owned(),
            request_id: self.request_id.to_owned(),
            ..AuditRecord::default()
        };
        let user = self.caller.name.as_str();
        // A page that is open asks for what its reader may not see again and again: refused reading is counted
        // like other reading. What is no operation changes nothing.
        let is_none =
            matches!(answered, Err(error) if error.fault.code == Code::InvalidActionNotFound);
        if is_none || !self.changes_something() {
            let action = if is_none { "" } else { self.action };
            let alike = [self.caller.key_id.as_str(), &source, self.door, outcome];
            app.audit.count(user, action, &alike, record);
            return;
        }
        let mut record = record();
        for (name, value) in self.params.pairs() {
            if !super::call::is_common(name) {
                record.take(name, value);
            }
        }
        if let Ok(members) = answered {
            let json = [members, b"}".as_slice()].concat();
            let made: Made = serde_json::from_slice(&json).unwrap_or_default();
            (record.task_id, record.hosts) = (made.task_id, made.total_count);
        }
        let happened = Happened {
            user,
            action: self.action,
            record,
        };
        if let Err(error) = app.audit.write(happened).await {
            let source = error
                .source
                .as_deref()
                .map(|it| it as &dyn std::error::Error);
            tracing::error!(
                request.id = self.request_id,
                request.action = self.action,
                user.name = user,
                error = source,
                "a request is missing in the audit log"
            );
        }
    }

    fn changes_something(&self) -> bool {
        changes(self.action) || ["GenerateOnceTask", "RerunOnceTask"].contains(&self.action)
    }
}

/// What an answer says of a task that was made, or of hosts that were changed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Made {
    task_id: String,
    total_count: Option<u64>,
}
