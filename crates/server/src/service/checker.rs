//! The stand-alone checker: the program that a node hands out, and the command that fetches, checks
//! and runs it.

use std::path::PathBuf;

use model::{HostUuid, LeafId};
use protocol::manual::ManualArgument;
use protocol::work::Work;
use ring::digest::{SHA256, digest};
use tokio::sync::OnceCell;

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
                Ok(Program { bytes, sha256 })
            })
            .await
    }

    /// The line for a POSIX shell that a person pastes on the host: fetches the checker with curl or
    /// wget, compares its SHA-256, runs it, leaves nothing behind. The token goes through a pipe from
    /// a builtin, so that no process has it among its arguments.
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
        let (curl, wget) = match self.pin {
            Some(_) => ("curl -fsSLk", "wget -q --no-check-certificate"),
            None => ("curl -fsSL", "wget -q"),
        };
        let url = format!("{base}/checker/sickbay-agent");
        let sha256 = &program.sha256;
        let argument = argument.encode();
        Some(format!(
            "( d=$(mktemp -d) && cd \"$d\" && \
             {{ {curl} -o sickbay-agent {url} || {wget} -O sickbay-agent {url}; }} && \
             echo \"{sha256}  sickbay-agent\" | sha256sum -c - >/dev/null && \
             chmod 700 sickbay-agent && printf %s {argument} | ./sickbay-agent check -b -; \
             r=$?; cd /; rm -rf \"$d\"; exit $r )"
        ))
    }
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
