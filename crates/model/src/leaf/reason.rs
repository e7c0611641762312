//! Why a leaf ended: one table of number, word and sentence. Data only.

macro_rules! reasons {
    ($($(#[$about:meta])+ $name:ident = $number:literal, $wire:literal, $sentence:literal;)+) => {
        /// Why a leaf ended. The number of each is stored: append only.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$about])+ $name = $number,)+
        }

        impl Reason {
            /// All reasons, in order of number.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The stable word on the wire.
            #[must_use]
            pub const fn wire(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }

            /// The sentence for a person.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)+
                }
            }
        }
    };
}

reasons! {
    /// It has not ended, or ended well.
    #[default]
    None = 0, "", "";
    /// The command ended with an exit code other than 0.
    ExitCode = 1, "exit_code", "the command ended with an exit code other than 0";
    /// The command was ended by a signal.
    Signal = 2, "signal", "the command was ended by a signal";
    /// Cancelled.
    Cancelled = 3, "cancelled", "cancelled";
    /// The agent was restarted while the work ran; it was not run again.
    AgentRestarted = 4, "agent_restarted", "agent restarted while running; not run again";
    /// The order never reached the host before the deadline.
    NeverDelivered = 5, "never_delivered", "never delivered: the host was not connected in time";
    /// The host had the order and did not finish before the deadline.
    Deadline = 6, "deadline", "the host did not finish before the deadline";
    /// The manual command was issued and nobody's run of it reported before the deadline.
    ManualNotRun = 7, "manual_not_run", "nobody ran the manual command before the deadline";
    /// The host's local policy, or the agent itself, refused the order.
    Refused = 8, "refused", "refused by the host";
    /// The work could not be started.
    NotStarted = 9, "not_started", "could not be started";
    /// The work ran over one of its limits and was stopped.
    LimitExceeded = 10, "limit_exceeded", "stopped at one of its limits";
    /// The agent failed to do the work.
    AgentFault = 11, "agent_fault", "the agent failed to do the work";
    /// The order was sent and the host never confirmed that it has it: it may have run.
    NotConfirmed = 12, "not_confirmed", "the order was sent and the host never confirmed it";
    /// Too many other leaves of its root had failed before it was handed out.
    Stopped = 13, "stopped", "not handed out: too many other hosts of the task had failed";
    /// The kernel ended the command because it wanted more memory than its limit.
    OutOfMemory = 14, "out_of_memory", "ended by the kernel: it wanted more memory than its limit";
    /// The command failed after it was denied more processes than its limit.
    PidsLimit = 15, "pids_limit", "failed after it was denied more processes than its limit";
    /// Not started: the host does not have the user.
    NoSuchUser = 16, "no_such_user", "not started: the host does not have that user";
    /// Not started: the working directory does not exist or may not be entered.
    NoSuchDirectory = 17, "no_such_directory", "not started: the working directory cannot be entered";
    /// Not started: the program, or the interpreter of a script, does not exist.
    NoSuchProgram = 18, "no_such_program", "not started: there is no such program";
    /// Not started: the program may not be executed.
    NotExecutable = 19, "not_executable", "not started: the program cannot be executed";
    /// Not started: the runbook's check before it did not pass.
    CheckBefore = 20, "check_before", "not started: the runbook's check before it did not pass";
    /// The command ended well and the runbook's check after it did not pass.
    CheckAfter = 21, "check_after", "it ended well, but the runbook's check after it did not pass";
}

impl Reason {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From the stored number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.number() == number)
    }

    /// From the word on the wire.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.wire() == text)
    }
}
