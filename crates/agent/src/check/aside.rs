//! A runtime of its own for a check, that gives way to what else the host does.
//!
//! A host that is examined has trouble already, and the agent's session must not wait for it. Programs that
//! the probes start inherit it.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Nice value of a check, of at most 19: it gives way, and still comes to a verdict where something burns the
/// processors. Linux derives the priority of its input and output from it.
const NICE: i32 = 5;

/// Runs the work there. Dropped, it stops at its next wait; what hangs in the kernel is left behind.
///
/// # Errors
/// No thread could be made, or the work panicked.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let (mut tell, told) = oneshot::channel();
    let examining = move || {
        step_back();
        let mut threads = Builder::new_current_thread();
        let runtime = match threads.on_thread_start(step_back).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = work => Some(ended),
                () = tell.closed() => None,
            }
        });
        if let Some(ended) = ended {
            tell.send(Ok(ended)).ok();
        }
        runtime.shutdown_background();
    };
    thread::Builder::new()
        .name("check".to_owned())
        .spawn(examining)?;
    told.await.map_err(io::Error::other)?
}

/// Of the calling thread only: Linux keeps a nice value for each (setpriority(2), under "C library/kernel
/// differences").
fn step_back() {
    let now = rustix::process::getpriority_process(None).unwrap_or_default();
    if now < NICE {
        // It is always allowed to be nicer.
        rustix::process::setpriority_process(None, NICE).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_aside_is_nice_and_so_is_what_it_starts() {
        let before = rustix::process::getpriority_process(None).unwrap();
        let aside = run(async {
            let reading = || rustix::process::getpriority_process(None).unwrap();
            let blocking = tokio::task::spawn_blocking(reading).await.unwrap();
            let said = super::super::command::output("/bin/nice", &[], 5_000).await;
            (reading(), blocking, said.unwrap().trim().to_owned())
        });
        let nice = before.max(NICE);
        let seen = aside.await.unwrap();
        assert_eq!(seen, (nice, nice, nice.to_string()));
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
    }
}
