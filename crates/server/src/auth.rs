//! Who asks, and whether they may: keys, tokens, nonces and policies.
//!
//! Runs the checks of a request in the documented order. Knows no HTTP beyond the signed form of a
//! request. Called by the front door; the access service changes what it decides by.

mod nonce;
mod root_key;
mod seal;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use model::{UnixMillis, limits};
use protocol::error::{AccessDenied, Code, DenialType, Fault, PrincipalType};
use protocol::params::Params;
use protocol::policy::{AccessRequest, Decision, Policy, evaluate};
use protocol::sign::{Credential, Presented, RawRequest};
use protocol::stamp;
use ring::digest::{SHA256, digest};
use ring::hmac;
use store::Store;

use crate::clock::Clock;
use crate::service::Error;
use nonce::{Burnt, Nonces};
pub use root_key::RootKey;
pub(crate) use seal::Sealer;

/// The number of the one account that a control plane is.
pub(crate) const ACCOUNT_ID: &str = "1000000000000001";

/// Who asks, once it is proven.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The user's name; `root` for the root key.
    pub(crate) name: String,
    /// The key that proved it.
    pub(crate) key_id: String,
    /// What limits them.
    rights: Rights,
}

#[derive(Clone, Debug)]
enum Rights {
    /// The account owner: not restricted.
    Root,
    /// Each group of policies must allow the operation: the user's, and the token's own.
    Policies {
        principal: PrincipalType,
        groups: Vec<Vec<Policy>>,
    },
}

/// What a policy's conditions may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// The `TaskType` of the request, as `sickbay:TaskType`.
    pub(crate) task_type: Option<&'a str>,
    /// The caller's address.
    pub(crate) source: IpAddr,
    /// Whether the connection is TLS.
    pub(crate) secure: bool,
}

/// Decides who asks and whether they may.
pub(crate) struct Auth {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    root: RootKey,
    nonces: Mutex<Nonces>,
    /// Makes the words of forms.
    forms: hmac::Key,
}

impl Auth {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        root: RootKey,
    ) -> Self {
        Self {
            forms: sealer.derive("console form"),
            store,
            clock,
            sealer,
            root,
            nonces: Mutex::default(),
        }
    }

    /// Proves who asks: time, key, token, signature, nonce, in this order.
    pub(crate) async fn authenticate(
        &self,
        request: &RawRequest<'_>,
        params: &Params,
        presented: &Presented,
    ) -> Result<Caller, Error> {
        let now = self.clock.now();
        presented.check_time(now.0)?;
        match &presented.credential {
            Credential::Anonymous => Err(Fault::missing("AccessKeyId").into()),
            Credential::Bearer(token) => self.bearer(token).await,
            Credential::Key { id, security_token } => {
                let found = self.key(id, security_token.as_deref(), now).await?;
                presented.verify(request, params, &found.secret)?;
                self.burn(id, presented.nonce.as_deref(), now)?;
                Ok(found.caller)
            }
        }
    }

    /// Whether there is such an access key: worth asking before more is taken in from whoever names it.
    pub(crate) async fn is_key(&self, id: &str) -> Result<bool, Error> {
        Ok(id == self.root.id
            || self.store.token_get(id).await?.is_some()
            || self.store.key_get(id).await?.is_some())
    }

    /// Proves who signs in at the console with an access key of theirs.
    pub(crate) async fn sign_in(&self, key_id: &str, secret: &str) -> Result<Caller, Error> {
        let found = self.key(key_id, None, self.clock.now()).await?;
        // Digests of both are compared: how long that takes tells nothing about the secret.
        let of = |text: &str| digest(&SHA256, text.as_bytes());
        if of(&found.secret).as_ref() == of(secret).as_ref() {
            Ok(found.caller)
        } else {
            Err(Code::SignatureDoesNotMatch.into())
        }
    }

    /// The word by which forms show that they come from a page of this session.
    pub(crate) fn form_token(&self, session: &str) -> String {
        let tag = hmac::sign(&self.forms, session.as_bytes());
        data_encoding::BASE64URL_NOPAD.encode(tag.as_ref())
    }

    /// Whether that is the session's word.
    pub(crate) fn is_form_token(&self, session: &str, shown: &str) -> bool {
        let tag = data_encoding::BASE64URL_NOPAD.decode(shown.as_bytes());
        tag.is_ok_and(|tag| hmac::verify(&self.forms, session.as_bytes(), &tag).is_ok())
    }

    /// Who holds a bearer token that was given out before.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Caller, Error> {
        let now = self.clock.now();
        let found = self.store.token_get(&bearer_id(token)).await?;
        let hash = digest(&SHA256, token.as_bytes());
        match found {
            Some(found) if found.token_hash == hash.as_ref() => self.token_caller(found, now).await,
            _ => Err(Code::InvalidSecurityTokenMalformed.into()),
        }
    }

    fn burn(&self, key_id: &str, nonce: Option<&str>, now: UnixMillis) -> Result<(), Error> {
        let nonce = nonce.ok_or_else(|| Fault::missing("SignatureNonce"))?;
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        match nonces.burn(key_id, nonce, now) {
            Burnt::New => Ok(()),
            Burnt::Used => Err(Code::SignatureNonceUsed.into()),
            Burnt::TooManyOfKey => Err(Code::ThrottlingUser.into()),
            Burnt::TooMany => Err(Code::Throttling.into()),
        }
    }

    async fn key(
        &self,
        id: &str,
        security_token: Option<&str>,
        now: UnixMillis,
    ) -> Result<Found, Error> {
        if id == self.root.id {
            let caller = Caller::root(id);
            let secret = self.root.secret.clone();
            return Ok(Found { caller, secret });
        }
        if let Some(token) = self.store.token_get(id).await? {
            return self.temporary(token, security_token, now).await;
        }
        let key = self.store.key_get(id).await?;
        let key = key.ok_or(Code::InvalidAccessKeyIdNotFound)?;
        if !key.active {
            return Err(Code::InvalidAccessKeyIdInactive.into());
        }
        if security_token.is_some() {
            return Err(Code::InvalidSecurityTokenMismatch.into());
        }
        let secret = self.open_secret(id, &key.sealed_secret)?;
        let groups = vec![self.policies_of(&key.user).await?];
        let principal = PrincipalType::SubUser;
        let caller = Caller::limited(key.user, id, principal, groups);
        Ok(Found { caller, secret })
    }

    async fn temporary(
        &self,
        token: store::Token,
        shown: Option<&str>,
        now: UnixMillis,
    ) -> Result<Found, Error> {
        if token.sealed_secret.is_empty() {
            return Err(Code::InvalidAccessKeyIdNotFound.into());
        }
        let shown = shown.ok_or(Code::MissingSecurityToken)?;
        if digest(&SHA256, shown.as_bytes()).as_ref() != token.token_hash {
            let ours = shown.starts_with(SECURITY_TOKEN_PREFIX);
            let code = if ours {
                Code::InvalidSecurityTokenMismatch
            } else {
                Code::InvalidSecurityTokenMalformed
            };
            return Err(code.into());
        }
        let secret = self.open_secret(&token.id, &token.sealed_secret)?;
        let caller = self.token_caller(token, now).await?;
        Ok(Found { caller, secret })
    }

    async fn token_caller(&self, token: store::Token, now: UnixMillis) -> Result<Caller, Error> {
        if now >= token.expires_at || !self.is_key_active(&token.issuer).await? {
            return Err(Code::InvalidSecurityTokenExpired.into());
        }
        let mut groups = Vec::new();
        if !token.user.is_empty() {
            groups.push(self.policies_of(&token.user).await?);
        }
        if !token.policy.is_empty() {
            groups.push(vec![Policy::parse(&token.policy).map_err(Error::internal)?]);
        }
        if groups.is_empty() {
            return Ok(Caller::root(&token.id));
        }
        let name = if token.user.is_empty() {
            "root".to_owned()
        } else {
            token.user
        };
        let principal = PrincipalType::AssumedRoleUser;
        Ok(Caller::limited(name, &token.id, principal, groups))
    }

    async fn is_key_active(&self, id: &str) -> Result<bool, Error> {
        let key = self.store.key_get(id).await?;
        Ok(id == self.root.id || key.is_some_and(|it| it.active))
    }

    /// Uses up the nonce of a request that changes something, in the store: it cannot be replayed
    /// after a restart either.
    pub(crate) async fn burn_for_good(&self, caller: &Caller, nonce: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let text = format!("{}\0{nonce}", caller.key_id);
        let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        match self
            .store
            .nonce_burn(hash, now.plus(limits::NONCE_MS), now)
            .await?
        {
            true => Ok(()),
            false => Err(Code::SignatureNonceUsed.into()),
        }
    }

    async fn policies_of(&self, user: &str) -> Result<Vec<Policy>, Error> {
        let user = self.store.user_get(user).await?;
        let user = user.ok_or(Code::InvalidAccessKeyIdNotFound)?;
        let parse = |it: &store::Policy| Policy::parse(&it.document).map_err(Error::internal);
        user.policies.iter().map(parse).collect()
    }

    fn open_secret(&self, key_id: &str, sealed: &[u8]) -> Result<String, Error> {
        let secret = self.sealer.open_sealed(&secret_context(key_id), sealed)?;
        String::from_utf8(secret).map_err(Error::internal)
    }

    /// Whether the caller may.
    pub(crate) fn authorise(
        &self,
        caller: &Caller,
        services: &[&str],
        operation: &str,
        circumstances: Circumstances<'_>,
    ) -> Result<(), Error> {
        let Rights::Policies { principal, groups } = &caller.rights else {
            return Ok(());
        };
        let now = self.clock.now();
        let mut context = BTreeMap::from([
            ("acs:SourceIp".to_owned(), circumstances.source.to_string()),
            ("acs:CurrentTime".to_owned(), stamp::format(now.0)),
            (
                "acs:SecureTransport".to_owned(),
                circumstances.secure.to_string(),
            ),
        ]);
        if let Some(task_type) = circumstances.task_type {
            context.insert("sickbay:TaskType".to_owned(), task_type.to_owned());
        }
        let request = AccessRequest {
            services,
            operation,
            account_id: ACCOUNT_ID,
            context: &context,
        };
        for group in groups {
            let denial = match evaluate(group, &request) {
                Decision::Allowed => continue,
                Decision::DeniedExplicitly { .. } => DenialType::ExplicitDeny,
                Decision::DeniedImplicitly => DenialType::ImplicitDeny,
            };
            let service = services.first().copied().unwrap_or_default();
            return Err(Fault::denied(AccessDenied {
                auth_action: format!("{service}:{operation}"),
                auth_principal_display_name: caller.name.clone(),
                auth_principal_owner_id: ACCOUNT_ID.to_owned(),
                auth_principal_type: *principal,
                no_permission_type: denial,
                policy_type: "AccountLevelIdentityBasedPolicy".to_owned(),
                encoded_diagnostic_message: String::new(),
            })
            .into());
        }
        Ok(())
    }
}

struct Found {
    caller: Caller,
    secret: String,
}

impl Caller {
    fn root(key_id: &str) -> Self {
        Self {
            name: "root".to_owned(),
            key_id: key_id.to_owned(),
            rights: Rights::Root,
        }
    }

    fn limited(
        name: String,
        key_id: &str,
        principal: PrincipalType,
        groups: Vec<Vec<Policy>>,
    ) -> Self {
        Self {
            name,
            key_id: key_id.to_owned(),
            rights: Rights::Policies { principal, groups },
        }
    }

    /// Whether this is the account owner.
    pub(crate) fn is_root(&self) -> bool {
        self.name == "root"
    }

    /// Whether this is the bearer of a temporary token.
    pub(crate) fn is_temporary(&self) -> bool {
        self.key_id.starts_with("STS.") || self.key_id.starts_with("BEARER.")
    }
}

/// Security tokens begin like this, so that a foreign one is told from one of another key.
pub(crate) const SECURITY_TOKEN_PREFIX: &str = "SBT.";

/// The context under which a key's secret is sealed.
pub(crate) fn secret_context(key_id: &str) -> String {
    format!("access-key:{key_id}")
}

/// The id under which a bearer token is stored.
pub(crate) fn bearer_id(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    let head = hash.as_ref().get(..12).unwrap_or_default();
    format!("BEARER.{}", data_encoding::HEXLOWER.encode(head))
}

const _: () = assert!(limits::NONCE_MS > 2 * limits::CLOCK_WINDOW_MS);
