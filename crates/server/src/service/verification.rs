//! The online comparison of what is stored with what derives from the journals.
//!
//! It may take longer than a request may, so it runs by itself, one at a time; who asks gets the result
//! of the one that runs, or is told to ask again.

use std::sync::Arc;
use std::time::Duration;

use store::Store;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::service::Error;

/// How long a request waits for the end.
const PATIENCE: Duration = Duration::from_secs(20);

type Found = Result<Vec<String>, store::Error>;

/// See the module.
pub(crate) struct Verification {
    store: Arc<dyn Store>,
    running: Mutex<Option<JoinHandle<Found>>>,
}

impl Verification {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            running: Mutex::new(None),
        }
    }

    /// Starts one unless one runs, and waits a while for its end. `None`: it still runs.
    pub(crate) async fn ask(&self) -> Result<Option<Vec<String>>, Error> {
        match tokio::time::timeout(PATIENCE, self.finish()).await {
            Ok(found) => found.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Loses nothing when it is given up: the work goes on and the next who asks waits for it.
    async fn finish(&self) -> Result<Vec<String>, Error> {
        let mut running = self.running.lock().await;
        let handle = running.get_or_insert_with(|| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { store.verify().await })
        });
        let ended = handle.await;
        *running = None;
        let lines = ended.map_err(Error::internal)??;
        tracing::info!(store.differences = lines.len(), "the store was verified");
        Ok(lines)
    }
}
