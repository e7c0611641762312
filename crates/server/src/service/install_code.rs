//! Install codes: make, list, delete.

use std::sync::Arc;

use model::limits;
use protocol::error::{Code, Fault};
use store::{InstallCode, Store};

use super::Error;
use crate::auth::Caller;
use crate::clock::Clock;

/// The service of install codes.
pub(crate) struct InstallCodes {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What is asked of a new code.
#[derive(Debug, Default)]
pub(crate) struct NewCode<'a> {
    pub(crate) expires_ms: Option<i64>,
    pub(crate) group_id: i64,
    pub(crate) only_image: bool,
    pub(crate) os: &'a str,
    pub(crate) vendor: &'a str,
    pub(crate) proxy_cluster: &'a str,
}

impl InstallCodes {
    /// Makes a code.
    pub(crate) async fn add(
        &self,
        caller: &Caller,
        new: NewCode<'_>,
    ) -> Result<InstallCode, Error> {
        let now = self.clock.now();
        let expires_at = match new.expires_ms {
            None => now.plus(limits::INSTALL_CODE_MS_DEFAULT),
            Some(ms) if ms > now.0 => model::UnixMillis(ms),
            Some(ms) => {
                let help = format!("is a time in ms since 1970 in the future, was {ms}");
                return Err(Fault::invalid("ExpiredDate", &help).into());
            }
        };
        if self.store.install_code_list().await?.len() >= limits::INSTALL_CODES_MAX {
            let text = format!(
                "There are {} install codes already: delete some.",
                limits::INSTALL_CODES_MAX
            );
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
        let code = InstallCode {
            code: crate::random::code(20)?,
            expires_at,
            group_id: new.group_id,
            group: group_name(new.group_id),
            os: new.os.to_owned(),
            vendor: new.vendor.to_owned(),
            only_image: new.only_image,
            proxy_cluster: new.proxy_cluster.to_owned(),
            created_at: now,
        };
        self.store.install_code_add(code.clone()).await?;
        tracing::info!(operator = %caller.name, "an install code was made");
        Ok(code)
    }

    /// All codes, newest first.
    pub(crate) async fn list(&self) -> Result<Vec<InstallCode>, Error> {
        Ok(self.store.install_code_list().await?)
    }

    /// Deletes a code.
    pub(crate) async fn delete(&self, caller: &Caller, code: &str) -> Result<(), Error> {
        if self.store.install_code_delete(code).await? {
            tracing::info!(operator = %caller.name, "an install code was deleted");
            return Ok(());
        }
        Err(Fault::not_exist("install code", code).into())
    }
}

fn group_name(group_id: i64) -> String {
    match group_id {
        0 => "default".to_owned(),
        id => format!("group-{id}"),
    }
}
