//! Sickbay's own operations on users, keys, policies and tokens.

use model::limits;
use protocol::api::Done;
use protocol::api::access::{
    AccessKey, CreateAccessKey, CreateToken, KeyStatus, ListUsers, Policy, User,
};
use protocol::error::Fault;

use super::Call;
use crate::service::Error;

/// `CreateUser`.
pub(super) async fn user_create(call: &Call<'_>) -> Result<Done, Error> {
    let name = call.params.required("UserName")?;
    call.app.access.user_add(name).await?;
    Ok(Done {})
}

/// `DeleteUser`.
pub(super) async fn user_delete(call: &Call<'_>) -> Result<Done, Error> {
    let name = call.params.required("UserName")?;
    call.app.access.user_delete(name).await?;
    Ok(Done {})
}

/// `ListUsers`.
pub(super) async fn user_list(call: &Call<'_>) -> Result<ListUsers, Error> {
    let key = |it: store::AccessKey| AccessKey {
        access_key_id: it.id,
        status: if it.active {
            KeyStatus::Active
        } else {
            KeyStatus::Inactive
        },
        create_time: it.created_at.0,
    };
    let policy = |it: store::Policy| Policy {
        policy_name: it.name,
        policy_document: it.document,
    };
    let user = |it: store::User| User {
        user_name: it.name,
        create_time: it.created_at.0,
        access_keys: it.keys.into_iter().map(key).collect(),
        policies: it.policies.into_iter().map(policy).collect(),
    };
    let users = call.app.access.user_list().await?;
    Ok(ListUsers {
        users: users.into_iter().map(user).collect(),
    })
}

/// `PutUserPolicy`.
pub(super) async fn policy_put(call: &Call<'_>) -> Result<Done, Error> {
    let user = call.params.required("UserName")?;
    let name = call.params.required("PolicyName")?;
    let document = call.params.required("PolicyDocument")?;
    call.app.access.policy_put(user, name, document).await?;
    Ok(Done {})
}

/// `DeleteUserPolicy`.
pub(super) async fn policy_delete(call: &Call<'_>) -> Result<Done, Error> {
    let user = call.params.required("UserName")?;
    let name = call.params.required("PolicyName")?;
    call.app.access.policy_delete(user, name).await?;
    Ok(Done {})
}

/// `CreateAccessKey`.
pub(super) async fn key_create(call: &Call<'_>) -> Result<CreateAccessKey, Error> {
    let user = call.params.required("UserName")?;
    let (access_key_id, access_key_secret) = call.app.access.key_add(user).await?;
    Ok(CreateAccessKey {
        access_key_id,
        access_key_secret,
    })
}

/// `UpdateAccessKey`.
pub(super) async fn key_update(call: &Call<'_>) -> Result<Done, Error> {
    let id = call.params.required("UserAccessKeyId")?;
    let status = KeyStatus::from_wire(call.params.required("Status")?)
        .ok_or_else(|| Fault::invalid("Status", "is `Active` or `Inactive`"))?;
    call.app
        .access
        .key_set_active(id, status == KeyStatus::Active)
        .await?;
    Ok(Done {})
}

/// `DeleteAccessKey`.
pub(super) async fn key_delete(call: &Call<'_>) -> Result<Done, Error> {
    let id = call.params.required("UserAccessKeyId")?;
    call.app.access.key_delete(id).await?;
    Ok(Done {})
}

/// `CreateToken`.
pub(super) async fn token_create(call: &Call<'_>) -> Result<CreateToken, Error> {
    let range = limits::TOKEN_SECONDS_MIN..=limits::TOKEN_SECONDS_MAX;
    let seconds = call.params.integer_in("DurationSeconds", range, 3_600)?;
    let policy = call.params.get("Policy").unwrap_or_default();
    let bearer = call.params.boolean("Bearer")?.unwrap_or_default();
    let made = call
        .app
        .access
        .token_add(call.caller, seconds, policy, bearer)
        .await?;
    let (access_key_id, access_key_secret) = made.key.unzip();
    Ok(CreateToken {
        security_token: (!bearer).then(|| made.token.clone()),
        bearer_token: bearer.then_some(made.token),
        access_key_id,
        access_key_secret,
        expiration_ms: made.expires_at.0,
    })
}
