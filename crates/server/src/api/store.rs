//! Sickbay's own operation on the store as a whole.

use protocol::api::access::VerifyStore;

use super::Call;
use crate::service::Error;

/// `VerifyStore`.
pub(super) async fn verify(call: &Call<'_>) -> Result<VerifyStore, Error> {
    let found = call.app.verification.ask().await?;
    Ok(VerifyStore {
        running: found.is_none(),
        differences: found.unwrap_or_default(),
    })
}
