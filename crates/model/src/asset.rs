//! The lists of which an inventory is made.

/// One kind of asset information.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetItem {
    /// System facts.
    System,
    /// Accounts.
    Accounts,
    /// Listening ports.
    Ports,
    /// Processes.
    Processes,
    /// Installed packages.
    Packages,
    /// Jobs of cron.
    CronJobs,
    /// Loaded kernel modules.
    KernelModules,
    /// What starts by itself.
    Autoruns,
}

impl AssetItem {
    /// All items. A store knows an item by its place here: it stays, and new ones come at the end.
    pub const ALL: [Self; 8] = [
        Self::System,
        Self::Accounts,
        Self::Ports,
        Self::Processes,
        Self::Packages,
        Self::CronJobs,
        Self::KernelModules,
        Self::Autoruns,
    ];

    /// Items that the API documents and that mean nothing on a host of ours: accepted, and answered
    /// with a note that they were not collected.
    pub const FOREIGN: [&str; 2] = ["SCA_SNAPSHOT", "SCA_PROXY_SNAPSHOT"];

    /// What else the API documents for a push: checks of the cloud's own that are not collected here.
    pub const FOREIGN_CHECKS: [&str; 6] = [
        "OVAL_ENTITY",
        "CMS",
        "SYSVUL",
        "SCA",
        "HEALTH_CHECK",
        "WEBSHELL",
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::System => "SYSTEM_SNAPSHOT",
            Self::Accounts => "ACCOUNT_SNAPSHOT",
            Self::Ports => "PORT_SNAPSHOT",
            Self::Processes => "PROC_SNAPSHOT",
            Self::Packages => "SOFTWARE_SNAPSHOT",
            Self::CronJobs => "CROND_SNAPSHOT",
            Self::KernelModules => "LKM_SNAPSHOT",
            Self::Autoruns => "AUTORUN_SNAPSHOT",
        }
    }

    /// The item of a name on the wire.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.wire() == name)
    }

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Accounts => "accounts",
            Self::Ports => "ports",
            Self::Processes => "processes",
            Self::Packages => "packages",
            Self::CronJobs => "cron",
            Self::KernelModules => "modules",
            Self::Autoruns => "autoruns",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_by_its_name_on_the_wire() {
        for item in AssetItem::ALL {
            assert_eq!(AssetItem::from_wire(item.wire()), Some(item));
        }
        assert_eq!(AssetItem::from_wire("SCA_SNAPSHOT"), None);
    }
}
