//! What a command's process does between its birth and its program: it takes on its session and group, its
//! user, its directory and its limits, in this order, and says at which step it failed.
//!
//! The one unsafe block of the agent. Decides nothing: everything is looked up before. Used by `start`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, FdFlags};
use rustix::process::{Resource, Rlimit, chdir, setrlimit, setsid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use rustix::{fs::Gid, fs::Uid};
use tokio::process::Command;

/// Whom a command runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// All its groups.
    pub(super) groups: Vec<u32>,
}

/// What the process is to take on.
#[derive(Debug)]
pub(super) struct Entry {
    /// `cgroup.procs` of its control group.
    pub(super) group: Option<File>,
    /// `None`: the agent's own.
    pub(super) user: Option<Identity>,
    pub(super) directory: CString,
    /// Limits that cannot be raised again.
    pub(super) limits: Vec<(Resource, u64)>,
    /// A file that its program is to inherit.
    pub(super) inherits: Option<OwnedFd>,
}

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Group,
    User,
    Directory,
    Limits,
    Program,
}

/// Steps before the program, by the number that stands for them.
const STEPS: [Step; 4] = [Step::Group, Step::User, Step::Directory, Step::Limits];
/// The standard library hands an error number from the child to the parent; the step stands above it.
const STEP_SHIFT: u32 = 16;

impl Entry {
    /// Lets the command's process take this on.
    #[expect(
        unsafe_code,
        reason = "the standard library offers no other way between fork and exec"
    )]
    pub(super) fn prepare(self, command: &mut Command) {
        let user = self.user.map(|it| {
            let groups: Vec<Gid> = it.groups.iter().copied().map(Gid::from_raw).collect();
            (Uid::from_raw(it.uid), Gid::from_raw(it.gid), groups)
        });
        let (group, directory, limits, inherits) =
            (self.group, self.directory, self.limits, self.inherits);
        let enter = move || {
            // A session of its own has no terminal: a program that asks for a password gets an error.
            setsid().map_err(|it| failed(0, it))?;
            if let Some(door) = &group {
                rustix::io::write(door, b"0").map_err(|it| failed(0, it))?;
            }
            if let Some((uid, gid, groups)) = &user {
                set_thread_groups(groups)
                    .and_then(|()| set_thread_gid(*gid))
                    .and_then(|()| set_thread_uid(*uid))
                    .map_err(|it| failed(1, it))?;
            }
            chdir(directory.as_c_str()).map_err(|it| failed(2, it))?;
            for (resource, max) in &limits {
                let limit = Rlimit {
                    current: Some(*max),
                    maximum: Some(*max),
                };
                setrlimit(*resource, limit).map_err(|it| failed(3, it))?;
            }
            if let Some(file) = &inherits {
                rustix::io::fcntl_setfd(file, FdFlags::empty()).map_err(|it| failed(3, it))?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only functions that are async-signal-safe may be called
        // (fork(2), signal-safety(7)). The closure makes system calls on values that were built
        // before the fork; it neither allocates nor locks, on its error path either: `failed` makes
        // an `io::Error` of a number.
        unsafe {
            command.pre_exec(enter);
        }
    }
}

fn failed(step: i32, error: Errno) -> io::Error {
    io::Error::from_raw_os_error(((step + 1) << STEP_SHIFT) | error.raw_os_error())
}

/// At which step a start failed, and the operating system's own error.
pub(super) fn explain(error: io::Error) -> (Step, io::Error) {
    let number = error.raw_os_error().unwrap_or(0);
    let step = usize::try_from((number >> STEP_SHIFT) - 1).ok();
    match step.and_then(|it| STEPS.get(it)) {
        Some(step) => {
            let number = number & ((1 << STEP_SHIFT) - 1);
            (*step, io::Error::from_raw_os_error(number))
        }
        None => (Step::Program, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_comes_back_with_its_error() {
        for (at, step) in STEPS.into_iter().enumerate() {
            let error = failed(i32::try_from(at).unwrap(), Errno::ACCESS);
            let (found, cause) = explain(error);
            assert_eq!(
                (found, cause.kind()),
                (step, io::ErrorKind::PermissionDenied)
            );
        }
        let plain = io::Error::from_raw_os_error(2);
        assert_eq!(explain(plain).0, Step::Program);
        assert_eq!(explain(io::Error::other("x")).0, Step::Program);
    }
}
