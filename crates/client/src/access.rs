//! Calls about users, keys, policies and tokens, and about the server itself.

use protocol::api::Done;
use protocol::api::access::{
    CreateAccessKey, CreateToken, GetServerInfo, KeyStatus, ListUsers, VerifyStore,
};

use crate::{Client, Error};

impl Client {
    /// Creates a user, without keys and policies.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn create_user(&self, name: &str) -> Result<Done, Error> {
        self.call("CreateUser", &[("UserName", name.to_owned())])
            .await
    }

    /// Deletes a user with its keys and policies.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn delete_user(&self, name: &str) -> Result<Done, Error> {
        self.call("DeleteUser", &[("UserName", name.to_owned())])
            .await
    }

    /// All users with their keys and policies.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn users(&self) -> Result<ListUsers, Error> {
        self.call("ListUsers", &[]).await
    }

    /// Creates or replaces a policy of a user.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn put_policy(
        &self,
        user: &str,
        policy: &str,
        document: &str,
    ) -> Result<Done, Error> {
        let params = [
            ("UserName", user.to_owned()),
            ("PolicyName", policy.to_owned()),
            ("PolicyDocument", document.to_owned()),
        ];
        self.call("PutUserPolicy", &params).await
    }

    /// Deletes a policy of a user.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn delete_policy(&self, user: &str, policy: &str) -> Result<Done, Error> {
        let params = [
            ("UserName", user.to_owned()),
            ("PolicyName", policy.to_owned()),
        ];
        self.call("DeleteUserPolicy", &params).await
    }

    /// Creates an access key of a user. Its secret is in this answer and never again.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn create_key(&self, user: &str) -> Result<CreateAccessKey, Error> {
        self.call("CreateAccessKey", &[("UserName", user.to_owned())])
            .await
    }

    /// Switches an access key on or off.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn update_key(&self, id: &str, status: KeyStatus) -> Result<Done, Error> {
        let params = [
            ("UserAccessKeyId", id.to_owned()),
            ("Status", status.wire().to_owned()),
        ];
        self.call("UpdateAccessKey", &params).await
    }

    /// Deletes an access key.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn delete_key(&self, id: &str) -> Result<Done, Error> {
        self.call("DeleteAccessKey", &[("UserAccessKeyId", id.to_owned())])
            .await
    }

    /// Creates a temporary key, or a bearer token, that may do at most what the caller may and `policy` allows.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn create_token(
        &self,
        seconds: Option<i64>,
        policy: Option<&str>,
        bearer: bool,
    ) -> Result<CreateToken, Error> {
        let params = [
            seconds.map(|it| ("DurationSeconds", it.to_string())),
            policy.map(|it| ("Policy", it.to_owned())),
            bearer.then(|| ("Bearer", "true".to_owned())),
        ];
        let params: Vec<_> = params.into_iter().flatten().collect();
        self.call("CreateToken", &params).await
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn server_info(&self) -> Result<GetServerInfo, Error> {
        self.call("GetServerInfo", &[]).await
    }

    /// Has the server compare what it stores with its journals; asks until it has found out. Returns one
    /// line per difference.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn verify_store(&self) -> Result<Vec<String>, Error> {
        loop {
            let answer: VerifyStore = self.call("VerifyStore", &[]).await?;
            if !answer.running {
                return Ok(answer.differences);
            }
        }
    }
}
