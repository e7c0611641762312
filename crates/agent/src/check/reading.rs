//! Opens files whose path others may have a hand in: what lies below an agent's directories is the
//! agent's to lay down, and a link there must not lead this program, which may read everything, to what
//! the agent itself may not read.
//!
//! Every reader of logs, configuration and evidence opens through here; nothing else decides whom a link
//! may serve. Writes nothing.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};

/// Links on the way that are followed, as the kernel does (path_resolution(7)).
const LINKS_MAX: u32 = 40;
/// Opened so, a thing is only named: no pipe waits, no device starts.
const NAMED: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens an ordinary file for reading. A link that a user other than root and us could have laid is
/// followed only to what that user may read.
///
/// # Errors
/// It cannot be opened, is no ordinary file, or a link leads to what its maker may not read.
pub(super) fn file(path: &Path) -> io::Result<File> {
    open(path, false)
}

/// Opens a directory under the rule of [`file`].
///
/// # Errors
/// It cannot be opened, is no directory, or a link leads to what its maker may not read.
pub(super) fn directory(path: &Path) -> io::Result<File> {
    open(path, true)
}

fn open(path: &Path, is_dir: bool) -> io::Result<File> {
    let mut way = Way::to(path)?;
    let last = loop {
        let Some(name) = way.rest.pop_front() else {
            break OsString::from(".");
        };
        let entry = way.named(&name)?;
        let about = entry.metadata()?;
        if about.is_symlink() {
            way.follow(&entry, &about)?;
        } else if about.is_dir() && !(is_dir && way.rest.is_empty()) {
            way.enter(entry, &about)?;
        } else if way.rest.is_empty() {
            break name;
        } else {
            return Err(rustix::io::Errno::NOTDIR.into());
        }
    };
    way.open_last(&last, is_dir)
}

/// How far a path has been walked.
struct Way {
    at: File,
    rest: VecDeque<OsString>,
    /// Users who could have laid a link on the way.
    makers: Vec<u32>,
    links: u32,
}

impl Way {
    fn to(path: &Path) -> io::Result<Self> {
        let start = if path.is_absolute() { "/" } else { "." };
        Ok(Self {
            at: directory_of(start)?,
            rest: names(path),
            makers: Vec::new(),
            links: 0,
        })
    }

    fn named(&self, name: &OsStr) -> io::Result<File> {
        let opened: OwnedFd = rustix::fs::openat(&self.at, name, NAMED, Mode::empty())?;
        Ok(File::from(opened))
    }

    fn enter(&mut self, dir: File, about: &Metadata) -> io::Result<()> {
        self.allow(about, 0o1)?;
        self.at = dir;
        Ok(())
    }

    fn follow(&mut self, link: &File, about: &Metadata) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let above = self.at.metadata()?;
        let own = rustix::process::geteuid().as_raw();
        let others = [about.uid(), above.uid()].into_iter();
        self.makers
            .extend(others.filter(|it| *it != 0 && *it != own));
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        let target = OsString::from_vec(target.into_bytes());
        let target = Path::new(&target);
        if target.is_absolute() {
            self.at = directory_of("/")?;
        }
        let behind = std::mem::take(&mut self.rest);
        self.rest = names(target);
        self.rest.extend(behind);
        Ok(())
    }

    fn open_last(&self, name: &OsStr, is_dir: bool) -> io::Result<File> {
        let named = self.named(name)?;
        let about = named.metadata()?;
        if is_dir != about.is_dir() || !(is_dir || about.is_file()) {
            let what = if is_dir {
                "a directory"
            } else {
                "an ordinary file"
            };
            return Err(io::Error::other(format!("not {what}")));
        }
        self.allow(&about, 0o4)?;
        self.allow_name(&about)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.at, name, flags, Mode::empty())?;
        let opened = File::from(opened);
        let now = opened.metadata()?;
        if (now.dev(), now.ino()) != (about.dev(), about.ino()) {
            return Err(io::Error::other("it was exchanged while it was opened"));
        }
        Ok(opened)
    }

    /// Whether everyone who could have laid the links may do this (a bit of the last digit of a mode).
    fn allow(&self, about: &Metadata, bit: u32) -> io::Result<()> {
        match self.makers.iter().find(|it| !may(**it, about, bit)) {
            None => Ok(()),
            Some(maker) => Err(io::Error::other(format!(
                "a link that user {maker} could have laid leads to what this user may not read"
            ))),
        }
    }

    /// A second name of a file may have been given to it by who owns the directory, where the kernel does
    /// not forbid it (proc_sys_fs(5), protected_hardlinks).
    fn allow_name(&self, about: &Metadata) -> io::Result<()> {
        let above = self.at.metadata()?;
        let own = rustix::process::geteuid().as_raw();
        let (giver, is_only) = (above.uid(), about.nlink() < 2 || about.is_dir());
        if is_only || giver == 0 || giver == own || may(giver, about, 0o4) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "it has several names, and user {giver}, who could have given it this one, may not read it"
        )))
    }
}

/// From owner and mode alone. What only a group may do does not count: who is in it is not asked.
fn may(user: u32, about: &Metadata, bit: u32) -> bool {
    let everyone = bit << 3 | bit;
    let needed = if about.uid() == user {
        bit << 6
    } else {
        everyone
    };
    about.mode() & needed == needed
}

fn directory_of(path: &str) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(File::from(opened))
}

/// The names of a path, with `..`, which leads up from where a link has led.
fn names(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter_map(|it| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    const AGENT: u32 = 4_711;

    fn text(path: &Path) -> Result<String, String> {
        let mut text = String::new();
        let mut file = file(path).map_err(|it| it.to_string())?;
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    /// A secret of root's and a directory of the agent's; `None`: only root can make them.
    fn scene() -> Option<tempfile::TempDir> {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(dir.path(), 0o755);
        std::fs::create_dir(at("agent")).unwrap();
        std::fs::create_dir(at("root")).unwrap();
        mode(&at("root"), 0o700);
        std::fs::write(at("root/open"), "hidden by its directory").unwrap();
        std::fs::write(at("secret"), "secret").unwrap();
        mode(&at("secret"), 0o600);
        std::fs::write(at("public"), "public").unwrap();
        mode(&at("public"), 0o644);
        std::fs::write(at("own"), "own").unwrap();
        mode(&at("own"), 0o600);
        chown(at("own"), Some(AGENT), None).ok()?;
        chown(at("agent"), Some(AGENT), None).ok()?;
        Some(dir)
    }

    #[test]
    fn a_link_of_the_agents_leads_only_to_what_the_agent_may_read() {
        let Some(dir) = scene() else { return };
        let at = |name: &str| dir.path().join(name);
        let link = |target: &str, name: &str| symlink(target, at(name)).unwrap();
        link("../secret", "agent/a.log");
        link(at("secret").to_str().unwrap(), "agent/b.log");
        link("../root/open", "agent/c.log");
        link("../root", "agent/dir");
        link("a.log", "agent/twice.log");
        link("agent/a.log", "from-root");
        for name in [
            "agent/a.log",
            "agent/b.log",
            "agent/c.log",
            "agent/dir/open",
            "agent/twice.log",
            "from-root",
        ] {
            let why = text(&at(name)).unwrap_err();
            assert!(why.contains("user 4711"), "{name}: {why}");
        }
        assert!(directory(&at("agent/dir")).is_err());
        link("../public", "agent/d.log");
        link("../own", "agent/e.log");
        link("agent", "linked");
        link("secret", "administrators");
        std::fs::write(at("agent/f.log"), "plain").unwrap();
        for (name, expected) in [
            ("agent/d.log", "public"),
            ("agent/e.log", "own"),
            ("linked/f.log", "plain"),
            ("administrators", "secret"),
        ] {
            assert_eq!(text(&at(name)).as_deref(), Ok(expected), "{name}");
        }
        assert!(directory(&at("linked")).is_ok());
    }

    #[test]
    fn a_second_name_in_the_agents_directory_opens_nothing_either() {
        let Some(dir) = scene() else { return };
        let at = |name: &str| dir.path().join(name);
        std::fs::hard_link(at("secret"), at("agent/g.log")).unwrap();
        assert!(
            text(&at("agent/g.log"))
                .unwrap_err()
                .contains("several names")
        );
        std::fs::hard_link(at("own"), at("agent/h.log")).unwrap();
        assert_eq!(text(&at("agent/h.log")).as_deref(), Ok("own"));
    }

    #[test]
    fn only_ordinary_files_are_opened_and_nothing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
        assert!(text(&pipe).unwrap_err().contains("ordinary"));
        assert!(text(dir.path()).unwrap_err().contains("ordinary"));
        assert!(text(Path::new("/")).is_err());
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(text(&dir.path().join("loop")).is_err());
        assert!(text(Path::new("/proc/self/status")).is_ok());
        let missing = file(&dir.path().join("missing/x")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
