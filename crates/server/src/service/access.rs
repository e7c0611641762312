//! Users, access keys, policies and temporary tokens.

use std::sync::Arc;

use model::{UnixMillis, limits};
use protocol::error::{Code, Fault};
use protocol::policy;
use ring::digest::{SHA256, digest};
use store::{AccessKey, Policy, Store, Token, User};

use super::Error;
use crate::auth::{Caller, SECURITY_TOKEN_PREFIX, Sealer, bearer_id, secret_context};
use crate::clock::Clock;

/// The service of access.
pub(crate) struct Access {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sealer: Arc<Sealer>,
}

/// A temporary credential, shown once.
pub(crate) struct NewToken {
    pub(crate) key: Option<(String, String)>,
    pub(crate) token: String,
    pub(crate) expires_at: UnixMillis,
}

impl Access {
    /// Adds a user.
    pub(crate) async fn user_add(&self, name: &str) -> Result<(), Error> {
        if name == "root" || !is_name(name) {
            let help = "is 1 to 64 letters, digits, `.`, `-`, `_` or `@`, and not `root`";
            return Err(Fault::invalid("UserName", help).into());
        }
        let added = self.store.user_add(name, self.clock.now()).await;
        match added {
            Err(store::Error::Conflict) => Err(Fault::already_exists("user", name).into()),
            other => Ok(other?),
        }
    }

    /// Deletes a user with keys, policies and tokens.
    pub(crate) async fn user_delete(&self, name: &str) -> Result<(), Error> {
        there(self.store.user_delete(name).await?, "user", name)
    }

    /// All users.
    pub(crate) async fn user_list(&self) -> Result<Vec<User>, Error> {
        Ok(self.store.user_list().await?)
    }

    async fn user(&self, name: &str) -> Result<User, Error> {
        let user = self.store.user_get(name).await?;
        user.ok_or_else(|| Fault::not_exist("user", name).into())
    }

    /// Makes an access key; the secret is shown only now.
    pub(crate) async fn key_add(&self, user: &str) -> Result<(String, String), Error> {
        if self.user(user).await?.keys.len() >= limits::USER_KEYS_MAX {
            let text = format!(
                "User {user} has {} access keys already: delete one.",
                limits::USER_KEYS_MAX
            );
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
        let id = format!("SBAK{}", crate::random::code(16)?);
        let secret = crate::random::secret()?;
        let key = AccessKey {
            sealed_secret: self.sealer.seal(&secret_context(&id), secret.as_bytes())?,
            id: id.clone(),
            user: user.to_owned(),
            active: true,
            created_at: self.clock.now(),
        };
        self.store.key_add(key).await?;
        Ok((id, secret))
    }

    /// Switches a key on or off.
    pub(crate) async fn key_set_active(&self, id: &str, active: bool) -> Result<(), Error> {
        there(
            self.store.key_set_active(id, active).await?,
            "access key",
            id,
        )
    }

    /// Deletes a key.
    pub(crate) async fn key_delete(&self, id: &str) -> Result<(), Error> {
        there(self.store.key_delete(id).await?, "access key", id)
    }

    /// Adds or replaces a policy.
    pub(crate) async fn policy_put(
        &self,
        user: &str,
        name: &str,
        document: &str,
    ) -> Result<(), Error> {
        self.user(user).await?;
        if !is_name(name) {
            let help = "is 1 to 64 letters, digits, `.`, `-`, `_` or `@`";
            return Err(Fault::invalid("PolicyName", help).into());
        }
        check_policy("PolicyDocument", document)?;
        let policy = Policy {
            name: name.to_owned(),
            document: document.to_owned(),
        };
        Ok(self.store.policy_put(user, policy).await?)
    }

    /// Deletes a policy.
    pub(crate) async fn policy_delete(&self, user: &str, name: &str) -> Result<(), Error> {
        there(self.store.policy_delete(user, name).await?, "policy", name)
    }

    /// Ends a bearer token before its time.
    pub(crate) async fn token_delete(&self, bearer: &str) -> Result<(), Error> {
        self.store.token_delete(&bearer_id(bearer)).await?;
        Ok(())
    }

    /// Makes a temporary credential with the caller's own rights, narrowed by `policy`.
    pub(crate) async fn token_add(
        &self,
        caller: &Caller,
        seconds: i64,
        policy: &str,
        bearer: bool,
    ) -> Result<NewToken, Error> {
        if !policy.is_empty() {
            check_policy("Policy", policy)?;
        }
        if caller.is_temporary() {
            let text = "A temporary token cannot make another: use a lasting access key.";
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
        let now = self.clock.now();
        let token = format!("{SECURITY_TOKEN_PREFIX}{}", crate::random::secret()?);
        let mut key = None;
        let (id, sealed_secret) = if bearer {
            (bearer_id(&token), Vec::new())
        } else {
            let id = format!("STS.{}", crate::random::code(20)?);
            let secret = crate::random::secret()?;
            let sealed = self.sealer.seal(&secret_context(&id), secret.as_bytes())?;
            key = Some((id.clone(), secret));
            (id, sealed)
        };
        let expires_at = now.plus(seconds.saturating_mul(1_000));
        let user = if caller.is_root() { "" } else { &caller.name };
        let row = Token {
            id,
            user: user.to_owned(),
            sealed_secret,
            token_hash: digest(&SHA256, token.as_bytes()).as_ref().to_vec(),
            policy: policy.to_owned(),
            issuer: caller.key_id.clone(),
            expires_at,
        };
        self.store.token_add(row, now).await?;
        Ok(NewToken {
            key,
            token,
            expires_at,
        })
    }
}

fn there(was: bool, kind: &str, id: &str) -> Result<(), Error> {
    if was {
        Ok(())
    } else {
        Err(Fault::not_exist(kind, id).into())
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn check_policy(parameter: &str, document: &str) -> Result<(), Error> {
    match policy::Policy::parse(document) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::invalid(parameter, &format!("is not a policy: {error}")).into()),
    }
}
