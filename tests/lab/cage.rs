//! What keeps the laboratory off the machine: namespaces of its own, and control groups that are swept.
//!
//! Owns the outermost process, which puts the rest into its own mount, network and process namespaces: when it dies, however it dies,
//! all hosts, mounts and cables die with it. Control groups are the only thing that outlives a process, so they are removed at the
//! end, and what a killed laboratory left is removed by the next. Called by `main`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::Context as _;

/// Set for the process inside.
const INSIDE: &str = "SICKBAY_LAB_INSIDE";
/// Start of the names of our control groups; the process id of the outermost process follows.
const GROUP: &str = "sickbay-lab-";

/// One hierarchy of control groups of this machine, and our place in it.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    /// What it is called, such as `memory` or `unified`.
    pub(crate) name: String,
    /// How it is mounted: options of version 1, or `cgroup2`.
    pub(crate) options: String,
    /// The group that this process is in.
    own: PathBuf,
}

/// The number of the outermost process, if this one is inside.
pub(crate) fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

/// Why the machine permits no such hosts, if it does not.
pub(crate) fn hindrance() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("hosts are made by root only".to_owned());
    }
    for program in ["/lib/systemd/systemd", "/usr/bin/dpkg"] {
        if !Path::new(program).exists() {
            return Some(format!(
                "hosts are made of this machine's own {program}, which is missing"
            ));
        }
    }
    // All that a host needs, tried in passing.
    let trial = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/a /mnt/b /mnt/c \
        && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c \
        && mount -t proc proc /proc && mount -t sysfs sysfs /sys \
        && ip link add trial type veth peer name liart";
    let said = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--kill-child",
        ])
        .args(["sh", "-c", trial])
        .output();
    match said {
        Ok(said) if said.status.success() => None,
        Ok(said) => Some(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

/// Runs this program again, inside, and sweeps when it has ended.
///
/// # Errors
/// It cannot be started.
pub(crate) fn enter(folder: &Path) -> anyhow::Result<ExitStatus> {
    sweep();
    let program = std::env::current_exe().context("this program's path")?;
    // Both go down with this process: the hosts are descendants of the inner one.
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
        ])
        .args(["--kill-child", "--mount-proc", "--propagation", "private"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, std::process::id().to_string())
        .env("TMPDIR", folder)
        .status();
    sweep();
    status.context("running `setpriv` and `unshare`")
}

/// The hierarchies of this machine that hosts get, the unified one last.
pub(crate) fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut all: Vec<Hierarchy> = mounts
        .lines()
        .filter_map(|it| hierarchy(it, &own))
        .collect();
    // A new group of this one takes in nobody before it was given processors.
    all.retain(|it| it.options != "cpuset");
    all.sort_by_key(|it| it.options == "cgroup2");
    all
}

/// One line of `mountinfo` (proc(5)).
fn hierarchy(line: &str, memberships: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let at = Path::new(before.split(' ').nth(4)?);
    let mut after = after.split(' ');
    let kind = after.next()?;
    let controllers: Vec<&str> = after
        .nth(1)?
        .split(',')
        .filter(|it| !matches!(*it, "rw" | "ro" | "xattr" | "clone_children" | "noprefix"))
        .filter(|it| !it.starts_with("release_agent"))
        .collect();
    let (name, options, key) = match kind {
        "cgroup2" => ("unified".to_owned(), "cgroup2".to_owned(), String::new()),
        "cgroup" => {
            let key = controllers.join(",");
            let named = if key.starts_with("name=") {
                "none,"
            } else {
                ""
            };
            (
                at.file_name()?.to_str()?.to_owned(),
                format!("{named}{key}"),
                key,
            )
        }
        _ => return None,
    };
    let path = memberships.lines().find_map(|it| {
        let (controllers, path) = it.split_once(':')?.1.split_once(':')?;
        (controllers == key).then_some(path)
    })?;
    let own = at.join(path.trim_start_matches('/'));
    Some(Hierarchy { name, options, own })
}

impl Hierarchy {
    /// The group of the host of that number in the laboratory whose outermost process is `lab`.
    pub(crate) fn host(&self, lab: &str, number: u8) -> PathBuf {
        self.own
            .join(format!("{GROUP}{lab}"))
            .join(number.to_string())
    }
}

/// Thaws and removes a group with all below it, as far as nothing is in it any more.
pub(crate) fn remove_group(group: &Path) {
    for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        if group.join(file).exists() {
            fs::write(group.join(file), word).ok();
        }
    }
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            remove_group(&entry.path());
        }
    }
    fs::remove_dir(group).ok();
}

/// Removes the groups of laboratories that are no more, this one's included.
fn sweep() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(&hierarchy.own).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(lab) = name.strip_prefix(GROUP) else {
                continue;
            };
            let is_ours = lab == std::process::id().to_string();
            if is_ours || !Path::new("/proc").join(lab).exists() {
                remove_group(&entry.path());
            }
        }
    }
}
