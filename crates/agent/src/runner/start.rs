//! Starts a command: program or script, environment, user, directory, limits.
//!
//! Checks all that can be checked before a process exists, and tells what failed afterwards. Used by the
//! runner.
//!
//! Only users and groups of `/etc/passwd` and `/etc/group` are known: a directory service would have to be
//! asked over the network.

use std::{collections::BTreeMap, ffi::CString, io, path::Path, process::Stdio};

use model::Reason;
use protocol::work::OpsWork;
use rustix::process::{Pid, geteuid};
use tokio::process::{Child, Command};

use super::child::{Entry, Identity, Step, explain};
use super::confine::{self, Confinement};
use super::{Limits, Running, capture::Streams, handed, tree::Tree};
use crate::inventory::{
    accounts::{PasswdEntry, groups_of, parse_passwd},
    read,
};
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
    /// Its control group, user or limits could not be taken on.
    #[error("cannot start `{program}`: {what} failed")]
    Prepare {
        /// The program.
        program: String,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered by its user.
    #[error("cannot enter the working directory `{directory}`")]
    Directory {
        directory: String,
        #[source]
        source: io::Error,
    },
    /// The program cannot be run.
    #[error("cannot start `{program}`")]
    Spawn {
        /// The program.
        program: String,
        #[source]
        source: io::Error,
    },
    /// The interpreter of the script cannot be run.
    #[error("cannot start the script with its interpreter `{interpreter}`")]
    Script {
        interpreter: String,
        #[source]
        source: io::Error,
    },
    /// It cannot be kept within its limits.
    #[error(transparent)]
    Limits(#[from] confine::Error),
    /// What it is to read, or the script, finds no room in memory.
    #[error("there is no room for the {0}")]
    Handed(&'static str, #[source] io::Error),
}

impl Error {
    /// Its outcome.
    pub(super) fn reason(&self) -> Reason {
        let of_program = |source: &io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reason::NoSuchProgram,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ExecutableFileBusy
            | io::ErrorKind::IsADirectory => Reason::NotExecutable,
            // ENOEXEC has no kind.
            _ if source.raw_os_error() == Some(8) => Reason::NotExecutable,
            _ => Reason::NotStarted,
        };
        match self {
            Self::UnknownUser(_) => Reason::NoSuchUser,
            Self::Directory { .. } => Reason::NoSuchDirectory,
            Self::Spawn { source, .. } | Self::Script { source, .. } => of_program(source),
            Self::Nul(_)
            | Self::EnvironmentName(_)
            | Self::Accounts { .. }
            | Self::NotRoot(_)
            | Self::Prepare { .. }
            | Self::Limits(_)
            | Self::Handed(..) => Reason::NotStarted,
        }
    }
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
    let entries = read::text(Path::new("/etc/passwd")).map(|text| parse_passwd(&text));
    let own_uid = geteuid().as_raw();
    let user = match &work.run_as {
        Some(name) => Some(find_user(name, own_uid, &entries)?),
        None => entries
            .as_ref()
            .ok()
            .and_then(|entries| entries.iter().find(|entry| entry.uid == own_uid)),
    };
    let other = user.filter(|user| user.uid != own_uid);
    let is_root = other.map_or(own_uid, |it| it.uid) == 0;
    let script = match &work.script {
        Some(text) => Some(
            handed::file("script", text.as_bytes(), true)
                .map_err(|error| Error::Handed("script", error))?,
        ),
        None => None,
    };
    let program = script.as_ref().map_or_else(
        || match work.args {
            Some(_) => work.command.clone(),
            None => "/bin/sh".to_owned(),
        },
        handed::path,
    );
    let mut command = Command::new(&program);
    match (&work.args, &script) {
        (Some(args), _) => command.args(args),
        (None, Some(_)) => &mut command,
        (None, None) => command.arg("-c").arg(&work.command),
    };
    command
        .env_clear()
        .envs(environment(user))
        .envs(&work.env)
        .stdin(standard_input(work)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let kept = Confinement::new(&work.limits, is_root, limits.place.as_ref())?;
    let door = kept.group.as_ref().and_then(|it| it.door().ok());
    let directory = work.cwd.as_deref().unwrap_or("/");
    Entry {
        group: door,
        user: other.map(identity),
        directory: CString::new(directory).map_err(|_| Error::Nul("working directory"))?,
        limits: kept.resources.clone(),
        inherits: script,
    }
    .prepare(&mut command);
    let spawned = command.spawn().and_then(|child| {
        let leader = leader(&child).ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok((child, leader))
    });
    let (mut child, leader) = match spawned {
        Ok(started) => started,
        Err(error) => {
            if let (Some(place), Some(group)) = (&limits.place, &kept.group) {
                place.cgroups.give_up(group);
            }
            return Err(failed(error, work, program));
        }
    };
    let streams = Streams::new(
        child.stdout.take(),
        child.stderr.take(),
        limits.output_bytes_max,
        progress,
    );
    Ok(Running {
        child,
        tree: Tree::new(leader, kept.group),
        streams,
        status: None,
        limits: kept.told,
    })
}

fn standard_input(work: &OpsWork) -> Result<Stdio, Error> {
    match &work.stdin {
        None => Ok(Stdio::null()),
        Some(text) => handed::file("stdin", text.as_bytes(), false)
            .map(Stdio::from)
            .map_err(|error| Error::Handed("standard input", error)),
    }
}

fn identity(user: &PasswdEntry) -> Identity {
    let groups = read::text(Path::new("/etc/group")).unwrap_or_default();
    Identity {
        uid: user.uid,
        gid: user.gid,
        groups: groups_of(&groups, user),
    }
}

/// What the failure to start means.
fn failed(error: io::Error, work: &OpsWork, program: String) -> Error {
    let (step, source) = explain(error);
    let prepare = |program, what, source| Error::Prepare {
        program,
        what,
        source,
    };
    match step {
        Step::Group => prepare(program, "joining its control group", source),
        Step::User => prepare(program, "becoming its user", source),
        Step::Limits => prepare(program, "setting its limits", source),
        Step::Directory => Error::Directory {
            directory: work.cwd.clone().unwrap_or_else(|| "/".to_owned()),
            source,
        },
        Step::Program => match &work.script {
            None => Error::Spawn { program, source },
            Some(text) => {
                let first = text.lines().next().unwrap_or_default();
                let interpreter = first.trim_start_matches("#!").trim().to_owned();
                Error::Script {
                    interpreter,
                    source,
                }
            }
        },
    }
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
