//! Calls about the audit log.

use protocol::api::audit::ListAuditEntries;

use crate::{Client, Error};

/// Which entries of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this user.
    pub user: Option<String>,
    /// Of this operation.
    pub action: Option<String>,
    /// From this moment on, in ms since the Unix epoch.
    pub since: Option<i64>,
}

impl Client {
    /// A page of the audit log, newest first; `next` from the page before it.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        next: Option<String>,
    ) -> Result<ListAuditEntries, Error> {
        let params = [
            Some(("PageSize", "100".to_owned())),
            filter.user.clone().map(|it| ("UserName", it)),
            filter.action.clone().map(|it| ("ActionName", it)),
            filter.since.map(|it| ("StartTime", it.to_string())),
            next.map(|it| ("NextToken", it)),
        ];
        let params: Vec<(&str, String)> = params.into_iter().flatten().collect();
        self.call("ListAuditEntries", &params).await
    }
}
