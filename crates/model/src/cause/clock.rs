//! The clock. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Error, Warning};
use crate::{Fix, Text};

pub(super) const ClockWrong: About = About {
    severity: Error,
    sentence: Text {
        en: "The host's clock differs from the server's by more than 60 s.",
        zh: "主机时钟与服务器相差超过 60 秒。",
    },
    explanation: "Certificates seem invalid, signed requests are refused, and events carry wrong \
                  times. Time synchronisation is off or cannot reach its source.",
    verify: &["date -u", "timedatectl"],
    fixes: &[Fix::SynchroniseClock],
};

pub(super) const ClockNotSynchronised: About = About {
    severity: Warning,
    sentence: Text {
        en: "The kernel says that the clock is not synchronised and it already drifts.",
        zh: "时钟未同步且已出现漂移。",
    },
    explanation: "The difference is still small and will grow. No time service runs, or it has no \
                  source.",
    verify: &["timedatectl", "chronyc tracking"],
    fixes: &[Fix::SynchroniseClock],
};

pub(super) const ClockJumped: About = About {
    severity: Warning,
    sentence: Text {
        en: "The host's clock was set by a large step while it ran.",
        zh: "主机时钟在运行中发生了大幅跳变。",
    },
    explanation: "Timers, leases and logs become confused; agents may seem silent or send \
                  duplicates. A resumed or migrated virtual machine, a late first synchronisation \
                  or a person is the reason.",
    verify: &["journalctl -b | grep -iE 'time (has been|jumped)'"],
    fixes: &[Fix::SynchroniseClock, Fix::RestartService],
};

pub(super) const TimeSourceUnreachable: About = About {
    severity: Warning,
    sentence: Text {
        en: "The host's time service gets no answer from any of its sources.",
        zh: "主机的时间服务无法从任何时间源获得应答。",
    },
    explanation: "The clock runs free and drifts by seconds a week, more on virtual machines. UDP \
                  port 123 is closed, or the configured servers do not exist.",
    verify: &["chronyc sources", "timedatectl timesync-status"],
    fixes: &[Fix::MendTimeSource],
};

pub(super) const HardwareClockWrong: About = About {
    severity: Warning,
    sentence: Text {
        en: "The hardware clock differs much from the system's clock.",
        zh: "硬件时钟与系统时钟相差较大。",
    },
    explanation: "After the next boot the host starts with a wrong time, until it is synchronised. \
                  Often the hardware clock runs in local time and the system takes it for UTC.",
    verify: &["timedatectl", "hwclock --show"],
    fixes: &[Fix::CorrectHardwareClock],
};
