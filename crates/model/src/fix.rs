//! The catalogue of fixes: what to do about a cause, and the command that does it where that is
//! mechanical.
//!
//! Codes and names are stable and append only: 11xx the agent, 12xx the network, 13xx disks and files,
//! 14xx memory, CPU and limits, 15xx the clock, 16xx identity and access, 18xx the kernel and other
//! products, 19xx its maker. 1003 is the API's own code for "run this by hand".

mod agent;
mod host;
mod network;

use crate::Text;
use crate::catalogue::catalogue;

/// The fix code that means "run this command by hand"; its message is the command.
pub const RUN_BY_HAND: u16 = 1003;

/// What is known about a fix.
#[derive(Debug)]
pub struct About {
    /// What to do, in one sentence.
    pub sentence: Text,
    /// The command that does it; `None` if it takes a person's judgement.
    pub action: Option<Action>,
}

/// A command that carries out a fix on a host, as root.
#[derive(Debug)]
pub struct Action {
    /// Template of a line of sh; see [`crate::template`].
    pub command: &'static str,
    /// Whether it may run without a person who has looked at the host: it undoes nothing that somebody
    /// may have done on purpose, and doing it twice is as good as once.
    pub unattended: bool,
}

impl Fix {
    /// What to do, in one English sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.about().sentence.en
    }

    /// The command that does it, if there is one.
    #[must_use]
    pub const fn action(self) -> Option<&'static Action> {
        self.about().action.as_ref()
    }
}

catalogue! {
    /// What to do about a cause.
    Fix:
    InstallAgent = 1101 in agent;
    EnableService = 1102 in agent;
    StartService = 1103 in agent;
    ReadServiceLog = 1104 in agent;
    Reinstall = 1105 in agent;
    MendUnit = 1106 in agent;
    MendConfiguration = 1107 in agent;
    UnmaskService = 1108 in agent;
    InstallLibrary = 1109 in agent;
    FreePort = 1110 in agent;
    FinishConfiguration = 1111 in agent;
    UpgradeAgent = 1112 in agent;
    RestoreConfiguration = 1113 in agent;
    ResumeProcess = 1114 in agent;
    EndPause = 1115 in agent;
    StopOtherInstance = 1116 in agent;
    RemoveOldAgent = 1117 in agent;
    MendAccount = 1118 in agent;
    GrantRights = 1119 in agent;

    MendDns = 1201 in network;
    OpenFirewall = 1202 in network;
    MendRoute = 1203 in network;
    CheckServer = 1204 in network;
    RenewCertificate = 1205 in network;
    StopInterception = 1206 in network;
    MendNameSwitch = 1207 in network;
    MendHosts = 1208 in network;
    BringInterfaceUp = 1209 in network;
    LowerMtu = 1210 in network;
    MendLocalFirewall = 1211 in network;
    RaiseConnectionTable = 1212 in network;
    WidenPorts = 1213 in network;
    FindLoss = 1214 in network;
    MendProxy = 1215 in network;
    InstallAuthorities = 1216 in network;

    FreeDisk = 1301 in host;
    FreeInodes = 1302 in host;
    Remount = 1303 in host;
    MendPermissions = 1304 in host;
    RaiseQuota = 1305 in host;
    CheckFileSystem = 1306 in host;
    TrimLog = 1307 in host;
    ReleaseFile = 1308 in host;
    ClearImmutable = 1309 in host;
    AllowInPolicy = 1310 in host;
    RestoreLabels = 1311 in host;
    RemountExec = 1312 in host;
    MendNetworkMount = 1313 in host;
    RestorePath = 1314 in host;
    ClosePath = 1315 in host;

    FreeMemory = 1401 in host;
    LowerLoad = 1402 in host;
    RaiseLimit = 1403 in host;
    RestartService = 1404 in host;
    RaiseWatches = 1405 in host;
    StopRunaway = 1406 in host;
    MendParent = 1407 in host;

    SynchroniseClock = 1501 in host;
    MendTimeSource = 1502 in host;
    CorrectHardwareClock = 1503 in host;

    EnrolAgain = 1601 in host;
    Enrol = 1602 in host;
    RenewCredential = 1603 in host;
    RenewLicence = 1604 in host;
    RenewMachineId = 1605 in host;
    RenameHost = 1606 in host;

    LoadModule = 1801 in host;
    ChooseOneAgent = 1802 in host;
    ReplaceDisk = 1803 in host;

    Report = 1901 in host;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn codes_rise_and_read_back() {
        for pair in Fix::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code(), "{pair:?}");
        }
        for fix in Fix::ALL {
            assert_eq!(Fix::find(fix.code()), Some(*fix));
            assert_eq!(Cause::find(fix.code()), None, "a code means one thing");
            let text = fix.about().sentence;
            assert!(text.en.ends_with('.') && text.zh.contains('。'), "{fix:?}");
        }
        assert_eq!(Fix::find(RUN_BY_HAND), None);
    }

    #[test]
    fn every_fix_is_the_fix_of_some_cause() {
        for fix in Fix::ALL {
            let used = Cause::ALL.iter().any(|cause| cause.fixes().contains(fix));
            assert!(used, "{fix:?}");
        }
    }
}
