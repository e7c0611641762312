//! Runs a program of the host and reads what it says, within a time limit.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Most output that is read, in bytes.
const OUTPUT_BYTES_MAX: u64 = 8 << 20;

/// Standard output of `program` with `args`, whatever its exit code; `Err` says in a few words why
/// there is none. The program gets no input, an English locale, and is killed at the time limit.
pub(super) async fn output(program: &str, args: &[&str], limit_ms: u64) -> Result<String, String> {
    let reading = async {
        let mut child = Command::new(program)
            .args(args)
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        let mut bytes = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let read = stdout.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await;
            read.map_err(|error| format!("{program} cannot be read: {error}"))?;
        }
        // The pipe is closed now, so a program that has more to say ends.
        child
            .wait()
            .await
            .map_err(|error| format!("{program} was lost: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    tokio::time::timeout(Duration::from_millis(limit_ms), reading)
        .await
        .unwrap_or_else(|_| Err(format!("{program} did not finish within {limit_ms} ms")))
}

/// Whether systemd runs this host (sd_booted(3)).
pub(super) fn systemd_runs() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Programs that speak to systemd, and say nothing of use where it does not run.
const OF_SYSTEMD: [&str; 5] = [
    "systemctl",
    "journalctl",
    "systemd-analyze",
    "coredumpctl",
    "timedatectl",
];

/// Whether this host has the programs of a line of sh, as far as they are not named by a path.
pub(super) fn can_run(line: &str) -> bool {
    let has_systemd = systemd_runs();
    line.split(" | ").all(|part| {
        let program = part.split_whitespace().next().unwrap_or_default();
        let is_placeholder = model::Placeholder::find(program).is_some();
        is_placeholder || (has_systemd || !OF_SYSTEMD.contains(&program)) && is_there(program)
    })
}

/// Whether a program lies in one of the directories of `PATH`, or where root's programs do.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let dirs = std::env::split_paths(&path).chain(usual.map(Into::into));
    program == "command" || dirs.into_iter().any(|it| it.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_run_where_all_its_programs_are() {
        assert!(can_run("ls -l PATH"));
        assert!(can_run("PROGRAM --version"));
        assert!(!can_run("nosuchprogram9 -x"));
        assert!(!can_run("ls / | nosuchprogram9"));
        assert_eq!(can_run("systemctl status UNIT"), systemd_runs());
    }
}
