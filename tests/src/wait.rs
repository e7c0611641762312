//! Waiting for a condition, with a limit: no test sleeps and hopes.

use std::time::Duration;

/// How long a condition may take. Long, because it is only ever used up by a failure: most should hold in moments, and a result that
/// could not be stored is said again by its agent after two heartbeats, a minute.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer, and returns it.
///
/// # Panics
/// There is none within [`PATIENCE`]: `what` did not come true.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}
