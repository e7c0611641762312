//! Can the program that a service starts begin at all? The kernel and the loader are asked nothing: what
//! they would look for is looked for here, and nothing of the program is run.

mod elf;
mod library;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::disk;
use super::probe::finding;
use elf::{Elf, Error};

/// The kernel reads no more of the first line of a script (`BINPRM_BUF_SIZE`), in bytes.
const SCRIPT_HEAD_BYTES: u64 = 256;
/// Where `env` looks for programs that a service starts (systemd.exec(5)).
const SERVICE_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Why the program cannot begin; `None`: it can, or that cannot be seen. `has_own_library_path`: its
/// environment names directories of libraries, so a library that is not found may be there.
pub(super) fn fault(path: &Path, has_own_library_path: bool) -> Option<Finding> {
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some(missing(path, format!("{} does not exist", path.display())));
        }
        Err(_) => return None,
    };
    if !about.is_file() || about.permissions().mode() & 0o111 == 0 {
        let evidence = format!(
            "{} is not an executable file: its mode is {:04o}",
            path.display(),
            about.permissions().mode() & 0o7777
        );
        return Some(missing(path, evidence));
    }
    if let Some(line) = disk::mount_without_exec(path) {
        let cause = Cause::MountNoExec;
        return Some(found(cause, cause.sentence().to_owned(), path, line));
    }
    let file = File::open(path).ok()?;
    match Elf::read(&file) {
        Ok(elf) => of_binary(path, &elf, has_own_library_path),
        Err(Error::NoElf) => of_script(path, &file),
        Err(Error::Cut) => {
            let why = format!("{} is cut off or damaged", path.display());
            Some(missing(path, why))
        }
        Err(Error::Unreadable) => None,
    }
}

fn found(cause: Cause, summary: String, path: &Path, evidence: String) -> Finding {
    let shown = path.display().to_string();
    let known = [("PROGRAM", &*shown), ("PATH", &*shown)];
    finding(cause, summary, vec![evidence], &known)
}

fn missing(path: &Path, evidence: String) -> Finding {
    let cause = Cause::ProgramMissing;
    found(cause, cause.sentence().to_owned(), path, evidence)
}

fn of_binary(path: &Path, elf: &Elf, has_own_library_path: bool) -> Option<Finding> {
    if let Some(why) = foreign(elf) {
        let cause = Cause::ProgramForOtherMachine;
        let evidence = format!("{} {why}", path.display());
        return Some(found(cause, cause.sentence().to_owned(), path, evidence));
    }
    let loader = elf.interpreter.as_deref()?;
    if is_absent(loader) {
        let evidence = format!(
            "{} needs the loader {}, which does not exist",
            path.display(),
            loader.display()
        );
        let cause = Cause::InterpreterMissing;
        return Some(found(cause, cause.sentence().to_owned(), path, evidence));
    }
    if has_own_library_path {
        return None;
    }
    let missing = library::missing(path, elf, loader)?;
    let evidence = format!(
        "{} needs {}, which is in no directory of libraries",
        missing.of.display(),
        missing.name
    );
    let summary = format!("The shared library {} is missing.", missing.name);
    Some(found(Cause::LibraryMissing, summary, path, evidence))
}

/// Why this host does not run programs of that kind, as far as it is certain.
fn foreign(elf: &Elf) -> Option<String> {
    // Other kinds may have been registered (kernel: admin-guide/binfmt-misc).
    let registered = std::fs::read_dir("/proc/sys/fs/binfmt_misc");
    if registered.is_ok_and(|it| it.count() > 2) {
        return None;
    }
    let own = Elf::read(&File::open("/proc/self/exe").ok()?).ok()?;
    let is_related = elf::COMPATIBLE.contains(&(own.machine, elf.machine));
    (own.machine != elf.machine && !is_related).then(|| {
        format!(
            "is built for machine {} of elf(5), this host is {}",
            elf.machine, own.machine
        )
    })
}

/// Whether there is certainly no such file.
fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|it| it.kind() == ErrorKind::NotFound)
}

fn of_script(path: &Path, file: &File) -> Option<Finding> {
    let head = read_head(file).ok()?;
    let Some(words) = interpreter(&head) else {
        // A service manager runs what the kernel does not know no more than the kernel does.
        let why = format!(
            "{} is neither a program nor a script with `#!`",
            path.display()
        );
        return Some(missing(path, why));
    };
    let wanted = wanted(&words)?;
    let is_there = if wanted.is_absolute() {
        !is_absent(&wanted)
    } else {
        SERVICE_PATH
            .iter()
            .any(|dir| !is_absent(&Path::new(dir).join(&wanted)))
    };
    (!is_there).then(|| {
        let cause = Cause::InterpreterMissing;
        let evidence = format!(
            "{} begins with `#!{}`, and there is no {}",
            path.display(),
            words.join(" "),
            wanted.display()
        );
        found(cause, cause.sentence().to_owned(), path, evidence)
    })
}

fn read_head(mut file: &File) -> io::Result<Vec<u8>> {
    io::Seek::rewind(&mut file)?;
    let mut head = Vec::new();
    file.take(SCRIPT_HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// The words behind `#!`.
fn interpreter(head: &[u8]) -> Option<Vec<String>> {
    let line = head.strip_prefix(b"#!")?.split(|it| *it == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}

/// The program that the words ask for: that of `env` where it is `env`.
fn wanted(words: &[String]) -> Option<PathBuf> {
    let [program, rest @ ..] = words else {
        return None;
    };
    let is_env = Path::new(program).file_name().is_some_and(|it| it == "env");
    match rest.first() {
        // With options or settings it is not simple to tell.
        Some(first) if is_env && !first.starts_with('-') && !first.contains('=') => {
            Some(PathBuf::from(first))
        }
        _ => Some(PathBuf::from(program)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn cause_of(content: &[u8], mode: u32) -> Option<Cause> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        let mut file = File::create(&path).unwrap();
        file.write_all(content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        fault(&path, false).and_then(|it| Cause::find(it.cause))
    }

    #[test]
    fn programs_of_this_host_can_begin() {
        for path in ["/proc/self/exe", "/bin/sh"] {
            assert!(fault(&Path::new(path).canonicalize().unwrap(), false).is_none());
        }
        assert_eq!(cause_of(b"#!/bin/sh\nexit 0\n", 0o755), None);
        assert_eq!(cause_of(b"#! /usr/bin/env sh\n", 0o755), None);
    }

    #[test]
    fn what_cannot_begin_is_told_apart() {
        assert_eq!(cause_of(b"#!/bin/sh\n", 0o644), Some(Cause::ProgramMissing));
        assert_eq!(
            cause_of(b"404 page not found\n", 0o755),
            Some(Cause::ProgramMissing)
        );
        assert_eq!(cause_of(b"", 0o755), Some(Cause::ProgramMissing));
        assert_eq!(
            cause_of(b"#!/usr/bin/python9 -u\n", 0o755),
            Some(Cause::InterpreterMissing)
        );
        assert_eq!(
            cause_of(b"#!/usr/bin/env nosuch9\n", 0o755),
            Some(Cause::InterpreterMissing)
        );
        let found = fault(Path::new("/nonexistent/agent"), false).unwrap();
        assert_eq!(found.evidence[0], "/nonexistent/agent does not exist");
    }

    #[test]
    fn a_program_that_is_cut_off_or_for_another_machine_is_found() {
        let own = std::fs::read("/bin/sh").unwrap();
        assert_eq!(cause_of(&own[..4_096], 0o755), Some(Cause::ProgramMissing));
        if std::fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|it| it.count() > 2) {
            return;
        }
        let mut other = own;
        // IBM S/390 (elf(5): EM_S390).
        other[18] = 22;
        assert_eq!(cause_of(&other, 0o755), Some(Cause::ProgramForOtherMachine));
    }
}
