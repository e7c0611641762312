//! What is kept for how long: drops old root tasks, their leaves and their bundles.
//!
//! Owns the rhythm. What may be dropped is the store's to decide; bundles also have a time of their
//! own, which is kept by [`Bundles`]. Run by the node.

use std::sync::Arc;
use std::time::Duration;

use model::{UnixMillis, limits};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::service::Bundles;

/// Which root tasks are kept. The newest one always is, and so is what runs, with all after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those that started at most so many days ago; 0: for ever.
    pub days: u32,
    /// The newest so many; 0: any number.
    pub roots: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: limits::ROOT_DAYS_DEFAULT,
            roots: 0,
        }
    }
}

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(limits::BUNDLE_SWEEP_MS.unsigned_abs());
const DAY_MS: i64 = 24 * 3_600_000;

/// Drops what need not be kept any longer.
pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) retention: Retention,
}

impl Keeper {
    /// Looks at once and then every hour, until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        loop {
            let work = async {
                if let Err(error) = self.drop_old_roots().await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "old tasks could not be dropped; tried again in an hour"
                    );
                }
                self.bundles.sweep(self.clock.now()).await;
                tokio::time::sleep(PAUSE).await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = work => {}
            }
        }
    }

    async fn drop_old_roots(&self) -> Result<(), store::Error> {
        let Retention { days, roots } = self.retention;
        let before = match days {
            0 => UnixMillis(i64::MIN),
            days => self.clock.now().plus(-i64::from(days) * DAY_MS),
        };
        let keep_max = (roots > 0).then_some(roots);
        let mut count = 0;
        loop {
            let dropped = self
                .store
                .root_drop_oldest(before, keep_max, limits::DROP_ROWS_MAX)
                .await?;
            count += dropped.roots.len();
            self.bundles.forget(&dropped.roots).await;
            if dropped.is_done {
                break;
            }
        }
        if count > 0 {
            tracing::info!(task.count = count, "old tasks were dropped");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{RootId, TaskType};
    use ring::hmac;
    use store::{NewRoot, SqliteStore};

    struct Fixed(UnixMillis);

    impl Clock for Fixed {
        fn now(&self) -> UnixMillis {
            self.0
        }
    }

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    /// Roots that started on day 0 to 9, and what is left of them on day 10.
    async fn left(retention: Retention) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let mut ids = Vec::new();
        for day in 0..10_u8 {
            let at = START.plus(i64::from(day) * DAY_MS);
            let new = NewRoot {
                id: RootId::new(at, [day; 6]),
                task_type: TaskType::ClientDevOps,
                name: String::new(),
                source: String::new(),
                operator: String::new(),
                work: "{}".into(),
                created_at: at,
                deadline: at,
                request_key: day.to_string(),
                request_digest: [0; 32],
                rerun_of: None,
                plan: model::Plan::default(),
            };
            ids.push(new.id);
            store.root_create(new, vec![]).await.unwrap();
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let keeper = Keeper {
            store: store.clone(),
            clock: Arc::new(Fixed(START.plus(10 * DAY_MS))),
            bundles: Arc::new(Bundles::new(folder.path().to_owned(), key)),
            retention,
        };
        keeper.drop_old_roots().await.unwrap();
        let mut left = 0;
        for id in ids {
            left += usize::from(store.root_get(id).await.unwrap().is_some());
        }
        left
    }

    #[tokio::test]
    async fn days_and_numbers_say_what_is_kept() {
        for (days, roots, expected) in [
            (0, 0, 10),
            (7, 0, 7),
            (0, 4, 4),
            (7, 4, 4),
            (3, 8, 3),
            (1, 0, 1),
            (u32::MAX, u64::MAX, 10),
        ] {
            let retention = Retention { days, roots };
            assert_eq!(left(retention).await, expected, "{retention:?}");
        }
    }
}
