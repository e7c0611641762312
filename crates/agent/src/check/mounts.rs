//! File systems that do not answer: a file server that is gone, a dead FUSE program. Whoever touches one
//! waits for ever, so each is asked on a thread of its own that is left behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::disk;
use super::probe::{Verdict, finding};

/// Time that a file system has to answer, in ms.
const ANSWER_MS: u64 = 1_500;
/// File systems that are asked.
const ASKED_MAX: usize = 32;
/// Those that another program or host answers for.
const REMOTE: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
    "afs",
    "gfs2",
    "ocfs2",
];

/// Every mounted file system that somebody else answers for.
pub(super) async fn probe(_: Arc<Context>) -> Verdict {
    let mounts = tokio::task::spawn_blocking(remote)
        .await
        .unwrap_or_default();
    let asked = mounts
        .into_iter()
        .take(ASKED_MAX)
        .map(async |(point, line)| {
            let path = point.clone();
            // Only that it answers counts, whatever it says.
            let asking = tokio::task::spawn_blocking(move || rustix::fs::statfs(&path).is_ok());
            let answer = tokio::time::timeout(Duration::from_millis(ANSWER_MS), asking).await;
            answer.is_err().then_some((point, line))
        });
    let asked = futures_util::future::join_all(asked).await;
    let count = asked.len();
    let dead = asked
        .into_iter()
        .flatten()
        .map(|(point, line)| dead(&point, &line));
    Verdict::of(format!("{count} file systems of others"), dead.collect())
}

fn dead(point: &std::path::Path, line: &str) -> Finding {
    let shown = point.display().to_string();
    let evidence = vec![
        format!("{shown} did not answer within {ANSWER_MS} ms"),
        line.to_owned(),
    ];
    let summary = format!("The file system at {shown} does not answer.");
    finding(
        Cause::NetworkMountDead,
        summary,
        evidence,
        &[("PATH", &shown)],
    )
}

/// Mount points and their lines.
fn remote() -> Vec<(PathBuf, String)> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points = disk::mounts_where(&mountinfo, is_remote);
    points.dedup_by(|a, b| a.0 == b.0);
    points
}

fn is_remote(kind: &str) -> bool {
    let is_fuse = kind == "fuse" || kind == "fuseblk" || kind.starts_with("fuse.");
    // What desktops and containers mount for one user only answers to that user.
    let is_private = ["fuse.portal", "fuse.gvfsd-fuse", "fuse.lxcfs"].contains(&kind);
    REMOTE.contains(&kind) || is_fuse && !is_private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_that_others_answer_for_are_asked() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
                    30 27 0:40 / /srv rw - nfs4 files:/srv rw,hard\n\
                    31 27 0:41 / /mnt/my\\040disk rw - fuse.sshfs x: rw\n\
                    32 27 0:42 / /run/user/1/doc rw - fuse.portal portal rw\n";
        let points = disk::mounts_where(text, is_remote);
        let points: Vec<PathBuf> = points.into_iter().map(|it| it.0).collect();
        assert_eq!(
            points,
            [PathBuf::from("/srv"), PathBuf::from("/mnt/my disk")]
        );
    }
}
