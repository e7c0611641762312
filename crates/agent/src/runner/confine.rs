//! How a command is kept within its limits: by its control group where that can, by limits of its
//! processes otherwise. A limit that was asked for and that nothing here can keep is an error.
//!
//! Used by `start`.

use std::io;

use protocol::answer::Limited;
use protocol::work::OpsLimits;
use rustix::process::Resource;

use super::Place;
use super::cgroup::{Allowed, Cgroup};

/// A limit that cannot be kept on this host.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nothing here can.
    #[error("{name} cannot be limited on this host: {why}")]
    Impossible {
        /// Its name in `Param`.
        name: &'static str,
        why: &'static str,
    },
    /// The control group that was to keep it could not be made.
    #[error("a control group for the command cannot be made")]
    Group(#[source] io::Error),
}

/// What keeps a command within its limits.
#[derive(Debug, Default)]
pub(super) struct Confinement {
    pub(super) group: Option<Cgroup>,
    /// Limits of each of its processes.
    pub(super) resources: Vec<(Resource, u64)>,
    /// What is kept by what.
    pub(super) told: Vec<Limited>,
}

impl Confinement {
    /// For a command of that user.
    pub(super) fn new(
        limits: &OpsLimits,
        is_root: bool,
        place: Option<&Place>,
    ) -> Result<Self, Error> {
        let grouped = |controller| place.is_some_and(|it| it.cgroups.limits(controller));
        let mut made = Self::default();
        if let Some(bytes) = limits.memory_bytes {
            let by = made.by(grouped("memory"), Resource::As, bytes);
            made.tell("memoryBytes", bytes, by);
        }
        if let Some(percent) = limits.cpu_percent {
            if !grouped("cpu") {
                return Err(Error::Impossible {
                    name: "cpuPercent",
                    why: "the agent has no control group (cgroup v2) with the controller cpu",
                });
            }
            made.tell("cpuPercent", percent, "cgroup");
        }
        if let Some(pids) = limits.pids {
            if !grouped("pids") && is_root {
                return Err(Error::Impossible {
                    name: "pids",
                    why: "the agent has no control group (cgroup v2) with the controller pids, and \
                          only other users than root can be limited without",
                });
            }
            let by = made.by(grouped("pids"), Resource::Nproc, pids);
            made.tell("pids", pids, by);
        }
        if let Some(bytes) = limits.output_bytes {
            made.tell("outputBytes", bytes, "agent");
        }
        made.group = group(limits, place, &made.told)?;
        Ok(made)
    }

    fn by(&mut self, grouped: bool, resource: Resource, max: u64) -> &'static str {
        if grouped {
            return "cgroup";
        }
        self.resources.push((resource, max));
        "rlimit"
    }

    fn tell(&mut self, name: &str, max: u64, by: &str) {
        self.told.push(Limited {
            name: name.to_owned(),
            max,
            by: by.to_owned(),
            reached: false,
        });
    }
}

/// The command's group. One that would keep no limit is no reason not to start.
fn group(
    limits: &OpsLimits,
    place: Option<&Place>,
    told: &[Limited],
) -> Result<Option<Cgroup>, Error> {
    let Some(Place { cgroups, name }) = place else {
        return Ok(None);
    };
    let allowed = Allowed {
        memory_bytes: limits.memory_bytes,
        cpu_percent: limits.cpu_percent,
        pids: limits.pids,
    };
    match cgroups.make(name, allowed) {
        Ok(group) => Ok(Some(group)),
        Err(error) if told.iter().any(|it| it.by == "cgroup") => Err(Error::Group(error)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_group_processes_are_limited_and_what_cannot_be_is_not_passed_over() {
        let limits = OpsLimits {
            memory_bytes: Some(64 << 20),
            pids: Some(5),
            output_bytes: Some(9),
            ..OpsLimits::default()
        };
        let made = Confinement::new(&limits, false, None).unwrap();
        assert_eq!(
            made.resources,
            [(Resource::As, 64 << 20), (Resource::Nproc, 5)]
        );
        let by: Vec<&str> = made.told.iter().map(|it| it.by.as_str()).collect();
        assert_eq!(by, ["rlimit", "rlimit", "agent"]);
        let of_root = Confinement::new(&limits, true, None).unwrap_err();
        assert!(of_root.to_string().starts_with("pids cannot be limited"));
        let cpu = OpsLimits {
            cpu_percent: Some(50),
            ..OpsLimits::default()
        };
        let error = Confinement::new(&cpu, false, None).unwrap_err();
        assert!(
            error.to_string().starts_with("cpuPercent cannot"),
            "{error}"
        );
    }
}
