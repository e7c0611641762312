//! The stand-alone checker: the program that a node hands out, and the command that fetches, checks
//! and runs it.

use std::path::PathBuf;

use model::{HostUuid, LeafId};
use protocol::endpoint::Endpoint;
use protocol::manual::ManualArgument;
use protocol::work::Work;
use ring::digest::{SHA256, digest};
use tokio::sync::OnceCell;

/// The command with its comments; what is in braces is filled in.
const SCRIPT: &str = include_str!("checker.sh");
/// Where the way leads through a proxy: curl and wget read only some of the variables that may name one.
const THROUGH_PROXY: &str = "export https_proxy=\"${https_proxy:-${HTTPS_PROXY:-${all_proxy:-${ALL_PROXY-}}}}\" \
     no_proxy=\"${no_proxy:-${NO_PROXY-}}\"";
/// Where it does not: the server is on the host itself.
const PAST_PROXY: &str = "unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY";

/// Where the server speaks TLS: hosts whose curl or wget speak none that it takes. The digest is what counts.
const OR_IN_THE_OPEN: &str = "|| sickbay_get \"http${u#https}\"";

/// The program and its digest.
pub(crate) struct Checker {
    file: PathBuf,
    pin: Option<String>,
    program: OnceCell<Program>,
}

/// The bytes of the program.
#[derive(Clone)]
pub(crate) struct Program {
    /// The bytes, shared by all downloads.
    pub(crate) bytes: bytes::Bytes,
    /// SHA-256, lower-case hexadecimal.
    pub(crate) sha256: String,
}

impl Checker {
    /// `pin` is the fingerprint of the node's own certificate, if it has one.
    pub(crate) fn new(file: PathBuf, pin: Option<String>) -> Self {
        Self {
            file,
            pin,
            program: OnceCell::new(),
        }
    }

    /// The program, read once.
    pub(crate) async fn program(&self) -> std::io::Result<&Program> {
        self.program
            .get_or_try_init(|| async {
                let bytes = bytes::Bytes::from(tokio::fs::read(&self.file).await?);
                let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, &bytes).as_ref());
                if !is_static(&bytes) {
                    let file = self.file.display();
                    tracing::warn!(%file, "the checker that is handed out is not linked statically: it runs only \
                         on hosts with a C library like the one here; build it with `cargo agent --release`");
                }
                Ok(Program { bytes, sha256 })
            })
            .await
    }

    /// The line for a POSIX shell that a person pastes on the host: `checker.sh` without its comments.
    pub(crate) async fn command(
        &self,
        base: &str,
        leaf: LeafId,
        host: &HostUuid,
        ticket: String,
        key: String,
        work: &Work,
    ) -> Option<String> {
        let program = self.program().await;
        let program = program
            .inspect_err(|error| {
                let file = self.file.display();
                tracing::error!(%error, %file, "the checker cannot be read: no manual commands");
            })
            .ok()?;
        let argument = ManualArgument {
            uuid: host.to_string(),
            cmd_idx: leaf.to_string(),
            server: base.to_owned(),
            token: ticket,
            pin: self.pin.clone().unwrap_or_default(),
            key,
            ..of_work(work)
        };
        let endpoint: Option<Endpoint> = base.parse().ok();
        let is_loopback = endpoint.as_ref().is_some_and(Endpoint::is_loopback);
        let is_secure = endpoint.is_some_and(|it| it.tls);
        let filled_in = [
            (
                "{PROXY}",
                if is_loopback {
                    PAST_PROXY
                } else {
                    THROUGH_PROXY
                },
            ),
            ("{CURL}", self.pin.as_ref().map_or("-fsSL", |_| "-fsSLk")),
            (
                "{WGET}",
                self.pin
                    .as_ref()
                    .map_or("-q", |_| "-q --no-check-certificate"),
            ),
            (
                "{OR_IN_THE_OPEN}",
                if is_secure { OR_IN_THE_OPEN } else { "" },
            ),
            ("{URL}", &format!("{base}/checker/sickbay-agent")),
            ("{SHA256}", &program.sha256),
            ("{ARGUMENT}", &argument.encode()),
        ];
        let line = one_line(SCRIPT);
        let fill_in = |line: String, (name, value): (&str, &str)| line.replace(name, value);
        Some(filled_in.into_iter().fold(line, fill_in))
    }
}

/// A script as one line, without its comments.
fn one_line(script: &str) -> String {
    let lines = script.lines().map(str::trim);
    let said: Vec<&str> = lines
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
        .collect();
    said.join(" ")
}

/// Whether a program asks for no loader, which would bring the host's C library (elf(5)). What is no
/// program for 64 bits asks for none.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: [u8; 4] = 3_u32.to_le_bytes();
    let number = |at: usize, width: usize| {
        let bytes = program.get(at..at.checked_add(width)?)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0, |all, it| (all << 8) | u64::from(*it));
        usize::try_from(number).ok()
    };
    let table = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let (Some(start), Some(size), Some(count)) = table else {
        return true;
    };
    (0..count).all(|index| {
        let at = size.checked_mul(index).and_then(|it| it.checked_add(start));
        let kind = at.and_then(|it| program.get(it..it.checked_add(4)?));
        kind.is_none_or(|it| it != INTERPRETER)
    })
}

fn of_work(work: &Work) -> ManualArgument {
    match work {
        Work::Check(check) => ManualArgument {
            mode: check.mode,
            issue: check.problem_type.clone(),
            subject: check.subject.clone(),
            ..ManualArgument::default()
        },
        Work::Ops(_) | Work::Assets(_) => ManualArgument {
            mode: 1,
            ..ManualArgument::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn command(program: &[u8], base: &str, pin: Option<&str>) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), program).unwrap();
        let checker = Checker::new(file.path().to_owned(), pin.map(str::to_owned));
        let leaf = "44ce8beb7df2a412454c8d7991582533".parse().unwrap();
        let host = HostUuid::from_random([7; 16]);
        let work = Work::Check(protocol::work::CheckWork {
            problem_type: "x".repeat(64),
            mode: 2,
            subject: "y".repeat(64),
        });
        let (ticket, key) = ("t".repeat(43), "k".repeat(64));
        let made = checker.command(base, leaf, &host, ticket, key, &work);
        made.await.unwrap()
    }

    #[tokio::test]
    async fn the_command_is_one_line_that_a_terminal_takes() {
        let base = format!("https://{}.example:8443", "a".repeat(63));
        let line = command(b"program", &base, Some(&"0".repeat(64))).await;
        assert!(line.starts_with("( ") && line.ends_with(" )"), "{line}");
        assert!(!line.contains(['\n', '!', '\\']), "{line}");
        // A terminal that edits no lines cuts them there (termios(3)).
        assert!(line.len() < 4_096, "{} bytes", line.len());
        let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, b"program").as_ref());
        assert!(line.contains(&sha256) && line.contains("curl -fsSLk"));
        assert!(line.contains("--no-check-certificate") && line.contains("${HTTPS_PROXY"));
        for name in [
            "{PROXY}",
            "{CURL}",
            "{OR_IN_THE_OPEN}",
            "{WGET}",
            "{URL}",
            "{SHA256}",
            "{ARGUMENT}",
        ] {
            assert!(SCRIPT.contains(name) && !line.contains(name), "{name}");
        }
        let line = command(b"program", "http://[::1]:80", None).await;
        assert!(
            line.contains("u='http://[::1]:80/checker/sickbay-agent'"),
            "{line}"
        );
        assert!(
            line.contains("curl -fsSL ") && line.contains(PAST_PROXY),
            "{line}"
        );
    }

    #[test]
    fn a_program_with_a_loader_is_told_from_one_without() {
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(!is_static(&shell));
        for length in [0, 0x20, 0x40] {
            assert!(is_static(&shell[..length]), "{length}");
        }
    }
}
