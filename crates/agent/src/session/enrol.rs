//! Enrolment: one session with an install code, in exchange for an identity.

use std::io;

use protocol::frame::{Challenge, Hello, Welcome};
use tracing::warn;

use super::{Error, facts, hello, link, lock};
use crate::config::DataDir;
use crate::connect::Route;
use crate::identity::{self, AgentKey, FIRST_KEY, Identity};

/// Enrols this host and stores who it is, whom it serves and whose orders it obeys from now on.
///
/// The key is stored first, so that an enrolment that was cut short is tried again with the same
/// key. With `force` an earlier identity is replaced, but not before the server has accepted the new
/// one: at any moment the old one or the new one is whole. The old one's journal goes last; what a
/// crash leaves of it is refused by the new identity, for it is addressed to another host.
///
/// # Errors
/// Enrolled already and no `force`; the server refuses or cannot be reached; the directory cannot be
/// used.
pub async fn enrol(
    data: &DataDir,
    route: &Route,
    install_code: &str,
    force: bool,
) -> Result<Identity, Error> {
    let unusable = |error| Error::DataDir(data.path().display().to_string(), error);
    data.create().map_err(unusable)?;
    let _lock = lock(data)?;
    let known = match Identity::load(data) {
        Ok(identity) if !force => {
            return Err(Error::AlreadyEnrolled(identity.host_uuid.to_string()));
        }
        Err(error) if !force && !matches!(error, identity::Error::NotEnrolled) => {
            return Err(error.into());
        }
        Ok(_) => true,
        Err(_) => false,
    };
    let key = match AgentKey::load(data, FIRST_KEY) {
        Ok(key) if !known => key,
        _ => AgentKey::generate()?,
    };
    let key_name = if known {
        key.own_name()
    } else {
        FIRST_KEY.to_owned()
    };
    if !known {
        key.save(data, &key_name)?;
    }
    let facts = facts().await;
    let greeting = |challenge: &Challenge| Hello {
        public_key: key.public().to_vec(),
        signature: key.sign_session(&challenge.nonce, ""),
        install_code: install_code.trim().to_owned(),
        ..hello(facts)
    };
    let greeted = link::greet(route, greeting).await?;
    let identity = identity_of(greeted.welcome, route, key_name)?;
    if known {
        key.save(data, &identity.key_name)?;
    }
    identity.save(data)?;
    forget_others(data, &identity.key_name);
    if known {
        match std::fs::remove_dir_all(data.journal()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            _ => {}
        }
    }
    greeted.link.close().await;
    Ok(identity)
}

/// Keys that no identity names any more.
fn forget_others(data: &DataDir, key_name: &str) {
    let current = data.key(key_name);
    for key in data.keys().into_iter().filter(|it| *it != current) {
        if let Err(error) = std::fs::remove_file(&key) {
            warn!(file.path = %key.display(), error = %error, "an old key cannot be removed");
        }
    }
}

fn identity_of(welcome: Welcome, route: &Route, key_name: String) -> Result<Identity, Error> {
    let host_uuid = welcome.host_uuid.parse();
    if welcome.order_keys.is_empty() {
        return Err(Error::Protocol("it gave no key for orders"));
    }
    Ok(Identity {
        host_uuid: host_uuid.map_err(|_| Error::Protocol("it gave no valid host uuid"))?,
        server: route.endpoint().clone(),
        pin: route.pin(),
        order_keys: welcome.order_keys,
        key_name,
    })
}
