//! What a command is handed as files: a script and its standard input.
//!
//! They lie in memory alone, sealed: no directory in which somebody could lay another file, no disk that
//! could be full, nothing left behind, and nobody but who runs the command can read them. Used by
//! `start`.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// A file whose content cannot change, read from its start.
pub(super) fn file(name: &str, content: &[u8], runs: bool) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let kind = if runs {
        MemfdFlags::EXEC
    } else {
        MemfdFlags::NOEXEC_SEAL
    };
    let made = match memfd_create(name, flags | kind) {
        // Linux before 6.3 has no such kinds.
        Err(Errno::INVAL) => memfd_create(name, flags),
        made => made,
    };
    let mut file = File::from(made?);
    file.write_all(content)?;
    file.rewind()?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    fcntl_add_seals(&file, seals | SealFlags::SEAL)?;
    Ok(file.into())
}

/// The path by which a process that inherited the file finds it.
pub(super) fn path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
