//! Enrolment: one session with an install code, in exchange for an identity.

use std::io;

use protocol::frame::{Challenge, Hello, Welcome};

use super::{Error, facts, hello, link, lock};
use crate::config::DataDir;
use crate::connect::Route;
use crate::identity::{self, AgentKey, Identity};

/// Enrols this host and stores who it is.
///
/// The key is stored first, so that an enrolment that was cut short is tried again with the same
/// key. With `force` an earlier identity and its journal are replaced, but not before the server has
/// accepted the new one.
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
    let key = match AgentKey::load(data) {
        Ok(key) if !known => key,
        _ => AgentKey::generate()?,
    };
    if !known {
        key.save(data)?;
    }
    let facts = facts().await;
    let greeting = |challenge: &Challenge| Hello {
        public_key: key.public().to_vec(),
        signature: key.sign_session(&challenge.nonce, ""),
        install_code: install_code.trim().to_owned(),
        ..hello(facts)
    };
    let greeted = link::greet(route, greeting).await?;
    let identity = identity_of(greeted.welcome, route)?;
    if known {
        match std::fs::remove_dir_all(data.journal()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
            _ => key.save(data)?,
        }
    }
    identity.save(data)?;
    greeted.link.close().await;
    Ok(identity)
}

fn identity_of(welcome: Welcome, route: &Route) -> Result<Identity, Error> {
    let host_uuid = welcome.host_uuid.parse();
    Ok(Identity {
        host_uuid: host_uuid.map_err(|_| Error::Protocol("it gave no valid host uuid"))?,
        server: route.endpoint().clone(),
        pin: route.pin(),
        order_keys: welcome.order_keys,
    })
}
