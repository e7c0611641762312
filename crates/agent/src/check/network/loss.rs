//! Are packets lost on the way? Opens a few connections and counts those whose first packet, or the
//! answer, had to be sent again. To be asked only where something was late.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Connections that are opened.
const TRIALS: u32 = 12;
/// Time between two of them, in ms: a burst would be a test of limits of rate.
const APART_MS: u64 = 20;
/// Time that each has, in ms.
const TRIAL_MS: u64 = 1_700;
/// The kernel sends the first packet again after a second (RFC 6298, 2.1).
const AGAIN_MS: u128 = 950;
/// So many of [`TRIALS`] that need it are no accident.
const LATE_MIN: usize = 3;

/// How long each attempt took, in ms; `None`: it was not answered.
#[derive(Clone, Debug)]
pub(super) struct Tally(Vec<Option<u128>>);

/// Opens connections and closes them at once. A refusal is an answer too.
pub(super) async fn trial(to: SocketAddr) -> Tally {
    let mut trials = JoinSet::new();
    for number in 0..TRIALS {
        trials.spawn(async move {
            sleep(Duration::from_millis(APART_MS) * number).await;
            let started = Instant::now();
            let limit = Duration::from_millis(TRIAL_MS);
            let ended = timeout(limit, TcpStream::connect(to)).await;
            ended.is_ok().then(|| started.elapsed().as_millis())
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = trials.join_next().await {
        all.extend(ended);
    }
    Tally(all)
}

impl Tally {
    /// Says so if many packets are lost, and not all.
    pub(super) fn judge(&self) -> Option<String> {
        let fastest = *self.0.iter().flatten().min()?;
        let is_late = |it: &&Option<u128>| it.is_none_or(|ms| ms >= fastest + AGAIN_MS);
        let late = self.0.iter().filter(is_late).count();
        let all = self.0.len();
        // Where all but the luckiest wait, the server is slow to accept, or shut.
        let is_loss = late >= LATE_MIN && fastest < AGAIN_MS && all - late >= 2;
        is_loss.then(|| {
            format!("of {all} connections, {late} were late or lost; the fastest took {fastest} ms")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_some_late_and_some_in_time() {
        let judge = |late: usize, lost: usize, fine: usize| {
            let all = [
                vec![Some(1_030); late],
                vec![None; lost],
                vec![Some(12); fine],
            ]
            .concat();
            Tally(all).judge().is_some()
        };
        assert!(judge(2, 2, 8));
        assert!(judge(5, 0, 7));
        assert!(!judge(0, 0, 12));
        assert!(!judge(1, 1, 10), "two may be an accident");
        assert!(!judge(0, 12, 0), "nothing comes back at all");
        assert!(
            Tally(vec![Some(1_500); 12]).judge().is_none(),
            "a long way is no loss"
        );
    }

    #[tokio::test]
    async fn a_server_that_accepts_loses_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tally = trial(listener.local_addr().unwrap()).await;
        assert_eq!(tally.judge(), None, "{tally:?}");
    }
}
