//! Install codes: make, list, delete.

use std::sync::Arc;

use model::{Labels, limits};
use protocol::error::{Code, Fault};
use ring::digest::{SHA256, digest};
use store::{InstallCode, Store};

use super::Error;
use crate::auth::{Caller, Sealer};
use crate::clock::Clock;

/// The service of install codes.
pub(crate) struct InstallCodes {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sealer: Arc<Sealer>,
}

/// A code with what is stored of it.
pub(crate) struct KnownCode {
    pub(crate) code: String,
    pub(crate) stored: InstallCode,
}

/// Under what context codes are sealed.
const CONTEXT: &str = "install-code";

/// What is asked of a new code.
#[derive(Debug)]
pub(crate) struct NewCode<'a> {
    pub(crate) expires_ms: Option<i64>,
    pub(crate) uses_max: u32,
    pub(crate) group_id: i64,
    pub(crate) labels: Labels,
    pub(crate) only_image: bool,
    pub(crate) os: &'a str,
    pub(crate) vendor: &'a str,
    pub(crate) proxy_cluster: &'a str,
}

impl InstallCodes {
    /// Makes a code.
    pub(crate) async fn add(&self, caller: &Caller, new: NewCode<'_>) -> Result<String, Error> {
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
        let code = crate::random::code(20)?;
        let stored = InstallCode {
            id: id_of(&code),
            sealed_code: self.sealer.seal(CONTEXT, code.as_bytes())?,
            expires_at,
            uses_max: new.uses_max,
            uses: 0,
            group_id: new.group_id,
            group: group_name(new.group_id),
            labels: new.labels,
            os: new.os.to_owned(),
            vendor: new.vendor.to_owned(),
            only_image: new.only_image,
            proxy_cluster: new.proxy_cluster.to_owned(),
            created_at: now,
        };
        self.store.install_code_add(stored).await?;
        tracing::info!(operator = %caller.name, "an install code was made");
        Ok(code)
    }

    /// All codes, newest first.
    pub(crate) async fn list(&self) -> Result<Vec<KnownCode>, Error> {
        let known = |stored: InstallCode| {
            let code = self.sealer.open_sealed(CONTEXT, &stored.sealed_code)?;
            let code = String::from_utf8(code).map_err(Error::internal)?;
            Ok(KnownCode { code, stored })
        };
        let codes = self.store.install_code_list().await?;
        codes.into_iter().map(known).collect()
    }

    /// Deletes a code.
    pub(crate) async fn delete(&self, caller: &Caller, code: &str) -> Result<(), Error> {
        if self.store.install_code_delete(&id_of(code)).await? {
            tracing::info!(operator = %caller.name, "an install code was deleted");
            return Ok(());
        }
        Err(Fault::not_exist("install code", code).into())
    }
}

/// Under what id a code is stored.
pub(crate) fn id_of(code: &str) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, code.as_bytes()).as_ref())
}

fn group_name(group_id: i64) -> String {
    match group_id {
        0 => "default".to_owned(),
        id => format!("group-{id}"),
    }
}
