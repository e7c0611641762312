//! What the program's exit code says. The numbers are stable.

use std::fmt;
use std::process::ExitCode;

use client::Error;
use protocol::error::Code;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All succeeded.
    Success = 0,
    /// Some failed.
    Failed = 1,
    /// The command line, or a parameter, is wrong.
    Usage = 2,
    /// None failed, some timed out.
    TimedOut = 3,
    /// Not authenticated or not permitted.
    NotPermitted = 4,
    /// None failed or timed out, some were never delivered: the milder code never hides a worse one.
    NeverDelivered = 5,
    /// The control plane cannot be reached.
    Unreachable = 6,
    /// Nothing could be compared: that says neither that all is well nor that it is not.
    NotVerified = 7,
    /// Ended by a signal before the end of what was asked for.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The exit code of a command that could not be carried out.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        if error.is::<Usage>() {
            return Self::Usage;
        }
        if error.is::<NoAccessKey>() {
            return Self::NotPermitted;
        }
        match error.downcast_ref::<Error>() {
            Some(Error::Unreachable { .. } | Error::Interrupted { .. }) => Self::Unreachable,
            Some(Error::NotAuthenticated(_) | Error::Forbidden(_)) => Self::NotPermitted,
            Some(Error::Invalid(refusal)) => match Code::from_wire(&refusal.code) {
                Some(Code::MissingParameter | Code::InvalidParameter | Code::IllegalParam) => {
                    Self::Usage
                }
                _ => Self::Failed,
            },
            _ if error.is::<NotVerified>() => Self::NotVerified,
            _ => Self::Failed,
        }
    }
}

/// The stored data could not be looked at, which is told apart from differences in it.
#[derive(Debug)]
pub(crate) struct NotVerified;

impl fmt::Display for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was compared")
    }
}

/// What is wrong with the command line, where clap cannot see it.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Nothing says as whom the control plane is to be called.
#[derive(Debug)]
pub(crate) struct NoAccessKey;

impl fmt::Display for NoAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no access key: give --credentials-file or set SICKBAY_CREDENTIALS_FILE, or set SICKBAY_ACCESS_KEY_ID and \
             SICKBAY_ACCESS_KEY_SECRET",
        )
    }
}

impl std::error::Error for NoAccessKey {}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use client::Refusal;

    use super::*;

    fn check(error: impl Into<anyhow::Error>, exit: Exit) {
        let error = error.into();
        assert_eq!(Exit::of_error(&error), exit, "{error}");
        let wrapped = Err::<(), _>(error).context("while watching").unwrap_err();
        assert_eq!(Exit::of_error(&wrapped), exit, "{wrapped:?}");
    }

    fn refusal(code: &str) -> Refusal {
        Refusal {
            code: code.to_owned(),
            ..Refusal::default()
        }
    }

    #[test]
    fn errors_have_the_documented_codes() {
        check(Usage("no host".to_owned()), Exit::Usage);
        check(Error::Invalid(refusal("IllegalParam")), Exit::Usage);
        check(Error::Invalid(refusal("EntityNotExist")), Exit::Failed);
        check(
            Error::Forbidden(refusal("NoPermission")),
            Exit::NotPermitted,
        );
        check(NoAccessKey, Exit::NotPermitted);
        let full = anyhow::Error::from(Error::Server(refusal("StorageFull")));
        check(full.context(NotVerified), Exit::NotVerified);
        let away = anyhow::Error::from(Error::Forbidden(refusal("NoPermission")));
        check(away.context(NotVerified), Exit::NotPermitted);
        check(Error::NotAuthenticated(refusal("x")), Exit::NotPermitted);
        check(Error::Server(refusal("ServerError")), Exit::Failed);
        let lost = |source: &str| (String::new(), source.to_owned().into());
        let (endpoint, source) = lost("refused");
        check(Error::Unreachable { endpoint, source }, Exit::Unreachable);
        let (endpoint, source) = lost("reset");
        check(Error::Interrupted { endpoint, source }, Exit::Unreachable);
    }
}
