//! What Sickbay's own agent leaves on its host: its identity, its folders, and what its server last said.

use std::io::ErrorKind;
use std::path::PathBuf;

use model::Cause;
use protocol::answer::Finding;
use protocol::frame::refusal;

use crate::check::probe::finding;
use crate::config::DataDir;
use crate::identity::{AgentKey, Error, Identity};
use crate::session::State;

/// An agent whose place another one took less than this ago still shares its identity, in ms.
const REPLACED_MS_MAX: i64 = 3_600_000;

/// What is wrong with what lies in the first of these directories.
pub(super) fn judge(data_dirs: &[PathBuf], now_ms: i64) -> Vec<Finding> {
    let Some(dir) = data_dirs.first() else {
        return Vec::new();
    };
    let data = DataDir::new(dir);
    let state = State::load(&data).filter(|_| data.lock_holder().is_some());
    let refused = state.and_then(|it| refused(&it, now_ms));
    [identity(&data), folder(&data), refused]
        .into_iter()
        .flatten()
        .collect()
}

/// What the server has against an agent that runs.
fn refused(state: &State, now_ms: i64) -> Option<Finding> {
    let was_replaced = state
        .replaced_ms
        .is_some_and(|it| (0..REPLACED_MS_MAX).contains(&now_ms.saturating_sub(it)));
    let cause = match state.refusal.as_str() {
        refusal::REPLACED => Cause::DuplicateIdentity,
        refusal::UNKNOWN_HOST => Cause::EnrolmentRevoked,
        refusal::BAD_IDENTITY => Cause::ServerRejectsCredential,
        refusal::BAD_VERSION => Cause::VersionTooOld,
        _ if was_replaced => Cause::DuplicateIdentity,
        _ => return None,
    };
    let mut evidence = vec![match state.is_online {
        true => "the agent is online now".to_owned(),
        false => format!("the agent is offline: {}", state.message),
    }];
    evidence.extend(state.replaced_ms.filter(|_| was_replaced).map(|it| {
        let minutes = now_ms.saturating_sub(it) / 60_000;
        format!("another agent took its place {minutes} minutes ago")
    }));
    Some(finding(cause, cause.sentence(), evidence, &[]))
}

/// Something else lies where work that runs has its files.
fn folder(data: &DataDir) -> Option<Finding> {
    let path = data.work();
    let is_wrong = std::fs::metadata(&path).is_ok_and(|it| !it.is_dir());
    is_wrong.then(|| {
        let shown = path.display().to_string();
        let summary = format!("{shown} is not a directory, so the agent cannot work there.");
        let evidence = vec![format!("the agent makes {shown} anew when it starts")];
        finding(
            Cause::PathNotAccessible,
            summary,
            evidence,
            &[("PATH", &shown)],
        )
    })
}

/// Whether Sickbay's own agent can use its identity and its key.
fn identity(data: &DataDir) -> Option<Finding> {
    let loaded = match Identity::load(data) {
        Ok(it) => AgentKey::load(data, &it.key_name).map(drop),
        Err(error) => Err(error),
    };
    let (cause, path, why) = match loaded {
        Ok(_) => return None,
        Err(Error::KeyMissing(path)) => {
            let why = "is missing, and identity.json names it".to_owned();
            (Cause::IdentityCorrupt, path, why)
        }
        Err(Error::NotEnrolled | Error::NoRandom) => return None,
        Err(Error::Damaged(path)) => (Cause::IdentityCorrupt, path, "is damaged".to_owned()),
        // The agent's user may be allowed what we are not.
        Err(Error::Io(_, error)) if error.kind() == ErrorKind::PermissionDenied => {
            return None;
        }
        Err(Error::Io(path, error)) => (
            Cause::IdentityUnreadable,
            path,
            format!("cannot be read: {error}"),
        ),
    };
    let path = path.display().to_string();
    let evidence = vec![format!("{path} {why}")];
    Some(finding(
        cause,
        cause.sentence(),
        evidence,
        &[("PATH", &path)],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_last_said_is_believed_while_it_holds() {
        let now = 100 * REPLACED_MS_MAX;
        let cause = |word: &str, replaced_ms: Option<i64>| {
            let json = serde_json::json!({
                "isOnline": false, "sinceMs": 0, "refusal": word, "replacedMs": replaced_ms,
            });
            let state: State = serde_json::from_value(json).unwrap();
            refused(&state, now).and_then(|it| Cause::find(it.cause))
        };
        assert_eq!(cause("", None), None);
        assert_eq!(cause(refusal::BUSY, None), None);
        let revoked = Some(Cause::EnrolmentRevoked);
        assert_eq!(cause(refusal::UNKNOWN_HOST, None), revoked);
        let shared = Some(Cause::DuplicateIdentity);
        assert_eq!(cause(refusal::REPLACED, Some(now)), shared);
        assert_eq!(cause("", Some(now - 60_000)), shared, "online again");
        assert_eq!(cause("", Some(now - REPLACED_MS_MAX)), None, "long ago");
        assert_eq!(
            cause("", Some(now + 60_000)),
            None,
            "the clock was set back"
        );
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(dir.path());
        assert!(folder(&data).is_none(), "it comes with the first work");
        std::fs::write(data.work(), "").unwrap();
        assert_eq!(
            folder(&data).unwrap().cause,
            Cause::PathNotAccessible.code()
        );
    }

    #[test]
    fn an_identity_that_is_damaged_or_lacks_its_key_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(dir.path());
        let cause = || super::identity(&data).map(|it| it.cause);
        assert_eq!(cause(), None, "never enrolled");
        let key = AgentKey::generate().unwrap();
        let identity = Identity {
            host_uuid: "inet-1".parse().unwrap(),
            server: "https://sickbay.example:8443".parse().unwrap(),
            pin: None,
            order_keys: Vec::new(),
            key_name: key.own_name(),
        };
        identity.save(&data).unwrap();
        assert_eq!(cause(), Some(Cause::IdentityCorrupt.code()), "no key");
        key.save(&data, &identity.key_name).unwrap();
        assert_eq!(cause(), None);
        std::fs::write(data.identity(), "{}").unwrap();
        assert_eq!(cause(), Some(Cause::IdentityCorrupt.code()));
    }
}
