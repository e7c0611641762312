//! Which known agents does this host have?
//!
//! Looks for programs, units, processes and packages. Says what it saw and judges nothing.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::answer::Detected;

use super::Profiles;
use super::resolve::on_this_host;
use crate::check::subject::{Local, Subject};
use crate::check::{command, install, procfs};
use crate::inventory;

/// Time that rpm has to answer, in ms.
const RPM_MS: u64 = 2_000;

/// A known agent that the host has.
#[derive(Clone, Debug)]
pub(in crate::check) struct Found {
    pub(in crate::check) subject: Subject,
    /// What the report says of it.
    pub(in crate::check) detected: Detected,
}

/// All known agents that the host has, by name.
pub(in crate::check) async fn detect(profiles: &Profiles, local: &Local) -> Vec<Found> {
    let subjects: Vec<Subject> = profiles.all().map(|it| on_this_host(it, local)).collect();
    let packages = packages(&subjects).await;
    let looking = move || {
        let scene = procfs::Scene::look();
        let looked = subjects
            .into_iter()
            .filter_map(|it| look(it, &scene, &packages));
        looked.collect()
    };
    tokio::task::spawn_blocking(looking)
        .await
        .unwrap_or_default()
}

/// Versions of the packages that the profiles name and the host has.
async fn packages(subjects: &[Subject]) -> BTreeMap<String, String> {
    let names = subjects.iter().flat_map(|it| &it.packages);
    let names: Vec<String> = names.cloned().collect();
    if inventory::packages::has_rpm() {
        let mut arguments = vec!["-q", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\\n"];
        arguments.extend(names.iter().map(String::as_str));
        // What is not installed is answered by a sentence.
        let text = command::output("rpm", &arguments, RPM_MS)
            .await
            .unwrap_or_default();
        let rows = text.lines().filter_map(|it| it.split_once(' '));
        let rows = rows.filter(|(_, version)| !version.contains(' '));
        return rows
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
    }
    let reading = tokio::task::spawn_blocking(move || {
        let all = inventory::packages::of_text_databases();
        let wanted = all.into_iter().filter(|it| names.contains(&it.name));
        wanted.map(|it| (it.name, it.version)).collect()
    });
    reading.await.unwrap_or_default()
}

fn look(
    subject: Subject,
    scene: &procfs::Scene,
    packages: &BTreeMap<String, String>,
) -> Option<Found> {
    let pids = scene.agents(&subject);
    let package = subject
        .packages
        .iter()
        .find_map(|it| Some((it, packages.get(it)?)));
    let program = install::program(&subject);
    let unit = super::unit_file(&subject.unit);
    let mut signs = Vec::new();
    signs.extend(package.map(|(name, version)| format!("package {name} {version}")));
    signs.extend(program.map(|it| format!("program {}", it.display())));
    signs.extend(unit.map(|it| format!("unit {}", it.display())));
    signs.extend(pids.first().map(|it| format!("process {it}")));
    if signs.is_empty() {
        return None;
    }
    let detected = Detected {
        name: subject.name.clone(),
        title: subject.title.clone(),
        running: !pids.is_empty(),
        enabled: is_enabled(&subject),
        signs,
    };
    Some(Found { subject, detected })
}

/// Whether the host starts it by itself, as far as files tell.
fn is_enabled(subject: &Subject) -> bool {
    if command::systemd_runs() {
        return !subject.unit.is_empty() && is_wanted(&subject.unit);
    }
    // Links of SysV's runlevels mean something only where its init runs (init(8)).
    let init = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    init.trim() == "init"
        && subject
            .init_scripts
            .iter()
            .any(|it| starts_in_runlevels(it))
}

/// A link in a `.wants` or `.requires` directory of the host's own units (systemd.unit(5)).
fn is_wanted(unit: &str) -> bool {
    let dirs = std::fs::read_dir("/etc/systemd/system")
        .into_iter()
        .flatten();
    let mut dirs = dirs.flatten().map(|it| it.path()).filter(|it| {
        it.extension()
            .is_some_and(|it| it == "wants" || it == "requires")
    });
    dirs.any(|it| it.join(unit).symlink_metadata().is_ok())
}

/// `/etc/rc2.d/S01NAME` or OpenRC's `/etc/runlevels/default/NAME`.
fn starts_in_runlevels(script: &str) -> bool {
    if Path::new("/etc/runlevels/default").join(script).exists() {
        return true;
    }
    let links = ["/etc/rc2.d", "/etc/rc3.d"]
        .into_iter()
        .filter_map(|it| std::fs::read_dir(it).ok());
    let mut names = links
        .flatten()
        .flatten()
        .filter_map(|it| it.file_name().into_string().ok());
    names.any(|it| it.starts_with('S') && it.get(3..) == Some(script))
}
