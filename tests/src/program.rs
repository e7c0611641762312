//! Running the built programs.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::wait::PATIENCE;

/// The path of a built program, beside the tests' own target directory.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a target directory");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run tests/run, which builds it",
        path.display()
    );
    path
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a program to its end, without a terminal.
///
/// # Panics
/// It cannot be started, or does not end.
pub async fn run(command: &mut Command) -> Said {
    let name = format!("{:?}", command.as_std().get_program());
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, running).await {
        Ok(output) => output.expect("a program that starts").into(),
        Err(_) => panic!("{name} did not end within {} s", PATIENCE.as_secs()),
    }
}

/// Runs a line of sh as on a stranger's host: with nothing in the environment but `HOME`, `PATH` and `TMPDIR`, all of which point to
/// where nothing of ours is installed.
pub async fn shell(line: &str, folder: &Path) -> Said {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", folder)
        .current_dir("/");
    run(&mut command).await
}

/// A program that runs in the background. It is killed when this goes away.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program. Its standard error is added to the file `log`; standard output goes there too, unless it is read.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        command: &mut Command,
        log: &Path,
        reads: bool,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .expect("a log file")
        };
        let out = if reads { Stdio::piped() } else { open().into() };
        let child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(open())
            .kill_on_drop(true)
            .spawn()
            .expect("a program that starts");
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Its lines on standard output up to the first that starts with `last`; fewer if it ends before.
    ///
    /// # Panics
    /// Its output is not piped, or it says nothing.
    pub async fn lines_until(&mut self, last: &str) -> Vec<String> {
        let out = self.child.stdout.take().expect("piped output");
        let mut lines = BufReader::new(out).lines();
        let mut seen = Vec::new();
        let reading = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let is_last = line.starts_with(last);
                seen.push(line);
                if is_last {
                    break;
                }
            }
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.expect("a program that says something");
        seen
    }

    /// Its process id.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a program that still runs")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("a process that takes signals");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended
            .expect("a program that ends")
            .expect("a child of ours")
    }

    /// Kills it without warning, and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(40)..)
                .unwrap_or_default();
            // The tests' own standard error: shown with the failure.
            #[expect(clippy::print_stderr, reason = "the log belongs to the failure")]
            {
                eprintln!("--- {} ---\n{}", self.log.display(), tail.join("\n"));
            }
        }
    }
}
