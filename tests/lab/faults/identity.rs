//! Faults of who the agent is, and of other agents beside it.

use crate::case::Step::{Clone, Host, Revoke};
use crate::case::{Fault, fault, plain};
use crate::subject::{EXPORTER, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "identity-missing",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; rm $DATA/identity.json; restart; wait_for crashes",
        )],
        &["AgentNotEnrolled"],
    ),
    fault(
        "data-missing",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; rm -r $DATA; restart; wait_for crashes",
        )],
        &["AgentNotEnrolled"],
    ),
    fault(
        "identity-corrupt",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; truncate --size=40 $DATA/identity.json; restart; wait_for crashes",
        )],
        &["IdentityCorrupt"],
    ),
    plain(
        "identity-corrupt-plain",
        &SICKBAY,
        &[Host(
            "pkill sickbay-agent; echo '{}' >$DATA/identity.json; ! sickbay-agent run",
        )],
        &["IdentityCorrupt"],
    ),
    fault(
        "key-missing",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; rm $DATA/key.p8; restart; wait_for crashes",
        )],
        &["IdentityCorrupt", "IdentityUnreadable"],
    ),
    fault(
        "identity-unreadable",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'User=nobody'; systemctl stop $UNIT; chown nobody $DATA; restart; wait_for crashes",
        )],
        &["IdentityUnreadable", "PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "enrolment-revoked",
        &SICKBAY,
        &[
            Revoke,
            Host("restart; wait_for sh -c '! sickbay-agent status'"),
        ],
        &["EnrolmentRevoked"],
    ),
    fault(
        "identity-cloned",
        &SICKBAY,
        &[Clone, Host("wait_for sh -c '! sickbay-agent status'")],
        &["DuplicateIdentity"],
    ),
    fault(
        "two-daemons",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; \
                setsid sickbay-agent run >/dev/null 2>&1 </dev/null & wait_for sickbay-agent status; restart; \
                wait_for crashes",
        )],
        &["AgentDuplicated"],
    ),
    fault(
        "zabbix-two-daemons",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; setpriv --reuid=zabbix --regid=zabbix --clear-groups $PROGRAM; restart; \
                wait_for is_down",
        )],
        &["AgentDuplicated", "PortTaken"],
    ),
    fault(
        "exporter-started-by-hand",
        &EXPORTER,
        &[Host(
            "systemctl stop $UNIT; setsid $PROGRAM >/dev/null 2>&1 </dev/null & wait_for listens 9100; restart; \
                wait_for crashes",
        )],
        &["AgentDuplicated", "PortTaken"],
    ),
];
