//! Starts a command: program, environment, user, limits.
//!
//! Checks all that can be checked before a process exists. Used by the runner.
//!
//! A command for another user runs with that user's primary group alone: the standard library drops
//! the agent's supplementary groups when root changes the user, and offers no way to set others.
//! Only users of `/etc/passwd` are known: a directory service would have to be asked over the
//! network.

use std::{collections::BTreeMap, io, path::Path, process::Stdio};

use protocol::work::OpsWork;
use rustix::{
    io::Errno,
    process::{Pid, Resource, Rlimit, geteuid, prlimit},
};
use tokio::process::{Child, Command};

use super::{Limits, Running, capture::Streams, tree::Tree};
use crate::inventory::{accounts::PasswdEntry, read};
use crate::progress::Progress;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The operating system cannot be given such a text.
    #[error("there is a NUL byte in the {0}")]
    Nul(&'static str),
    /// The environment has a name that cannot be one.
    #[error("`{0}` cannot be the name of an environment variable")]
    EnvironmentName(String),
    /// `/etc/passwd` cannot be read.
    #[error("cannot run as `{user}`: /etc/passwd cannot be read")]
    Accounts {
        /// The user asked for.
        user: String,
        #[source]
        source: io::Error,
    },
    /// There is no such user.
    #[error("cannot run as `{0}`: /etc/passwd has no such user")]
    UnknownUser(String),
    /// Only root can run a command as another user.
    #[error("cannot run as `{0}`: the agent does not run as root")]
    NotRoot(String),
    /// The program cannot be run.
    #[error("cannot start `{program}`")]
    Spawn {
        /// The program.
        program: String,
        #[source]
        source: io::Error,
    },
    /// It started and could not be limited, so it was killed.
    #[error("cannot limit the memory of `{program}`")]
    Memory {
        /// The program.
        program: String,
        #[source]
        source: io::Error,
    },
}

/// Starts the command.
///
/// # Errors
/// [`Error`]: nothing runs.
pub(super) fn start(
    work: &OpsWork,
    limits: &Limits,
    progress: &Progress,
) -> Result<Running, Error> {
    check(work)?;
    let entries = read::text(Path::new("/etc/passwd"))
        .map(|text| crate::inventory::accounts::parse_passwd(&text));
    let own_uid = geteuid().as_raw();
    let user = match &work.run_as {
        Some(name) => Some(find_user(name, own_uid, &entries)?),
        None => entries
            .as_ref()
            .ok()
            .and_then(|entries| entries.iter().find(|entry| entry.uid == own_uid)),
    };
    let (program, mut command) = match &work.args {
        Some(args) => (work.command.as_str(), {
            let mut command = Command::new(&work.command);
            command.args(args);
            command
        }),
        None => ("/bin/sh", {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(&work.command);
            command
        }),
    };
    command
        .env_clear()
        .envs(environment(user))
        .envs(&work.env)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(user) = user.filter(|user| user.uid != own_uid) {
        command.uid(user.uid).gid(user.gid);
    }
    let failed = |source| Error::Spawn {
        program: program.to_owned(),
        source,
    };
    let mut child = command.spawn().map_err(failed)?;
    let leader = leader(&child).ok_or_else(|| failed(io::Error::other("it has no process id")))?;
    let tree = Tree::new(leader);
    limit_memory(leader, limits.memory_bytes_max).map_err(|source| Error::Memory {
        program: program.to_owned(),
        source,
    })?;
    let streams = Streams::new(
        child.stdout.take(),
        child.stderr.take(),
        limits.output_bytes_max,
        progress,
    );
    Ok(Running {
        child,
        tree,
        streams,
        status: None,
    })
}

fn check(work: &OpsWork) -> Result<(), Error> {
    if work.command.contains('\0') {
        return Err(Error::Nul("command"));
    }
    if work.args.iter().flatten().any(|arg| arg.contains('\0')) {
        return Err(Error::Nul("arguments"));
    }
    for (name, value) in &work.env {
        if name.contains('\0') || value.contains('\0') {
            return Err(Error::Nul("environment"));
        }
        if name.is_empty() || name.contains('=') {
            return Err(Error::EnvironmentName(name.clone()));
        }
    }
    Ok(())
}

fn find_user<'a>(
    name: &str,
    own_uid: u32,
    entries: &'a Result<Vec<PasswdEntry>, io::Error>,
) -> Result<&'a PasswdEntry, Error> {
    let entries = entries.as_ref().map_err(|source| Error::Accounts {
        user: name.to_owned(),
        source: io::Error::new(source.kind(), source.to_string()),
    })?;
    let user = entries
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| Error::UnknownUser(name.to_owned()))?;
    if own_uid != 0 && user.uid != own_uid {
        return Err(Error::NotRoot(name.to_owned()));
    }
    Ok(user)
}

fn environment(user: Option<&PasswdEntry>) -> BTreeMap<&'static str, String> {
    let mut environment = BTreeMap::from([
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", "/".to_owned()),
    ]);
    if let Some(user) = user {
        environment.insert("HOME", user.home.clone());
        environment.insert("USER", user.name.clone());
        environment.insert("LOGNAME", user.name.clone());
    }
    environment
}

fn leader(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

fn limit_memory(leader: Pid, bytes_max: Option<u64>) -> io::Result<()> {
    let Some(bytes_max) = bytes_max else {
        return Ok(());
    };
    let limit = Rlimit {
        current: Some(bytes_max),
        maximum: Some(bytes_max),
    };
    match prlimit(Some(leader), Resource::As, limit) {
        // It has already ended.
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
