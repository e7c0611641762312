//! Users, keys, policies and tokens as the store gives them. Secrets come and go sealed: the store
//! never sees one.

use model::UnixMillis;

/// A user with everything of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique name.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Access keys, oldest first.
    pub keys: Vec<AccessKey>,
    /// Policies, by name.
    pub policies: Vec<Policy>,
}

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// Its secret, sealed.
    pub sealed_secret: Vec<u8>,
    /// Whether it works.
    pub active: bool,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// A policy of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, unique for the user.
    pub name: String,
    /// The RAM policy document, JSON.
    pub document: String,
}

/// A temporary token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The temporary access key id; for a bearer token an id derived from its hash.
    pub id: String,
    /// Whose rights it has; empty: the root account's.
    pub user: String,
    /// The temporary secret, sealed; empty for a bearer token.
    pub sealed_secret: Vec<u8>,
    /// SHA-256 of the security token or bearer token.
    pub token_hash: Vec<u8>,
    /// Policy document that narrows the rights; empty: none.
    pub policy: String,
    /// The access key that asked for it: the token works only while that key does.
    pub issuer: String,
    /// From then on it no longer works.
    pub expires_at: UnixMillis,
}
