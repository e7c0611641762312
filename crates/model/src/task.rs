//! What can be asked of hosts.

use std::str::FromStr;

/// The kinds of task that Sickbay carries out. The number of each is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TaskType {
    /// Diagnose an agent and its host: causes with evidence, fixes, a log bundle.
    ClientProblemCheck = 1,
    /// Run an operations command.
    ClientDevOps = 2,
    /// Collect asset information.
    AssetSecurityCheck = 3,
    /// Collect asset fingerprints: the same work as `ASSET_SECURITY_CHECK` under its other name.
    AssetsCollection = 4,
}

/// Not a task type that Sickbay carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "task types are CLIENT_PROBLEM_CHECK, CLIENT_DEV_OPS, ASSET_SECURITY_CHECK and ASSETS_COLLECTION"
)]
pub struct NotATaskType;

impl TaskType {
    /// All types, in order of number.
    pub const ALL: [Self; 4] = [
        Self::ClientProblemCheck,
        Self::ClientDevOps,
        Self::AssetSecurityCheck,
        Self::AssetsCollection,
    ];

    /// Types that the public API documents and Sickbay does not carry out: creating one is refused,
    /// listing them finds nothing.
    pub const FOREIGN: [&str; 8] = [
        "AI_SECURITY_CHECK",
        "ASSET_EXPOSURE_SCAN",
        "ASSET_REFRESH_HOST",
        "ATTACK_SURFACE_SCAN",
        "IDC_PROBE_SCAN",
        "IMAGE_REGISTRY_PULL",
        "IMAGE_SCAN",
        "VUL_CHECK_TASK",
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::ClientProblemCheck => "CLIENT_PROBLEM_CHECK",
            Self::ClientDevOps => "CLIENT_DEV_OPS",
            Self::AssetSecurityCheck => "ASSET_SECURITY_CHECK",
            Self::AssetsCollection => "ASSETS_COLLECTION",
        }
    }

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From the stored number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::ClientProblemCheck),
            2 => Some(Self::ClientDevOps),
            3 => Some(Self::AssetSecurityCheck),
            4 => Some(Self::AssetsCollection),
            _ => None,
        }
    }

    /// Whether the work only reads, so that doing it twice does no harm. Only such work is offered
    /// as a manual command: whoever can paste a command on a host can run their own.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        match self {
            Self::ClientProblemCheck | Self::AssetSecurityCheck | Self::AssetsCollection => true,
            Self::ClientDevOps => false,
        }
    }

    /// Whether the work says what is on a host.
    #[must_use]
    pub const fn takes_inventory(self) -> bool {
        matches!(self, Self::AssetSecurityCheck | Self::AssetsCollection)
    }
}

impl FromStr for TaskType {
    type Err = NotATaskType;

    fn from_str(text: &str) -> Result<Self, NotATaskType> {
        Self::ALL
            .into_iter()
            .find(|it| it.wire() == text)
            .ok_or(NotATaskType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_from_its_name_and_its_number() {
        for it in TaskType::ALL {
            assert_eq!(it.wire().parse(), Ok(it));
            assert_eq!(TaskType::from_number(it.number()), Some(it));
        }
        assert_eq!("IMAGE_SCAN".parse::<TaskType>(), Err(NotATaskType));
        assert_eq!(TaskType::from_number(0), None);
    }
}
