//! Does another agent of this host take most of its processors?
//!
//! Only known agents are named: a build or a batch job of somebody's own is work, not a fault.

use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::procfs::{self, Process, Scene};
use super::super::subject::Subject;
use super::{BUSY_PERCENT, Times, percent, times};

/// Time over which it is watched, in ms: longer than the burst of one request.
const SAMPLE_MS: u64 = 1_000;
/// Share of all processors' time that is most of it, in percent.
const SHARE_PERCENT: f64 = 50.0;

/// Looks on a host whose processors are busy; `others` are agents that run beside the examined one.
pub(super) async fn look(others: Vec<Subject>) -> Option<Finding> {
    if others.is_empty() {
        return None;
    }
    let before = (times()?, procfs::processes());
    tokio::time::sleep(Duration::from_millis(SAMPLE_MS)).await;
    let after = (times()?, procfs::processes());
    let judging = tokio::task::spawn_blocking(move || {
        let scene = Scene::look();
        let pids = others
            .iter()
            .map(|it| (it.title.as_str(), scene.agents(it)));
        judge(&before, &after, &pids.collect::<Vec<_>>())
    });
    judging.await.ok().flatten()
}

type Look = (Times, Vec<Process>);

fn judge(before: &Look, after: &Look, others: &[(&str, Vec<u32>)]) -> Option<Finding> {
    let total = after.0.total.saturating_sub(before.0.total);
    let busy = after.0.busy.saturating_sub(before.0.busy);
    if percent(busy, total) <= BUSY_PERCENT {
        return None;
    }
    let ticks = |all: &[Process], pid: u32| all.iter().find(|it| it.pid == pid).map(|it| it.ticks);
    let used = |pids: &[u32]| -> u64 {
        let each = pids.iter().filter_map(|pid| {
            let earlier = ticks(&before.1, *pid)?;
            Some(ticks(&after.1, *pid)?.saturating_sub(earlier))
        });
        each.sum()
    };
    let shares = others
        .iter()
        .map(|(title, pids)| (percent(used(pids), total), title, pids));
    let (share, title, pids) = shares.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (share >= SHARE_PERCENT).then(|| {
        let cause = Cause::CompetitorBusy;
        let summary = format!("{title} uses most of the host's CPU.");
        let pid = pids.first().copied().unwrap_or_default().to_string();
        let evidence = format!("{title} (process {pid}) used {share:.0} % of all processors' time");
        finding(cause, summary, vec![evidence], &[("PID", &*pid)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(total: u64, busy: u64, ticks: u64) -> Look {
        let times = Times {
            busy,
            total,
            processors: 2,
        };
        let process = Process {
            pid: 7,
            parent: 1,
            name: "scanner".into(),
            state: 'R',
            ticks,
        };
        (times, vec![process])
    }

    #[test]
    fn only_an_agent_that_takes_most_of_a_busy_host_is_named() {
        let before = look_at(0, 0, 1_000);
        let cause = |after: Look, pids: &[u32]| {
            judge(&before, &after, &[("Scanner", pids.to_vec())]).map(|it| it.cause)
        };
        assert_eq!(cause(look_at(200, 200, 1_100), &[7]), Some(2516));
        assert_eq!(
            cause(look_at(200, 200, 1_090), &[7]),
            None,
            "less than half"
        );
        assert_eq!(cause(look_at(200, 110, 1_100), &[7]), None, "there is room");
        assert_eq!(cause(look_at(200, 200, 1_100), &[9]), None, "somebody else");
        assert!(judge(&before, &look_at(200, 200, 1_200), &[]).is_none());
    }
}
