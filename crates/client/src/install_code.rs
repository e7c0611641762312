//! Calls about install codes.

use model::Labels;
use protocol::api::Done;
use protocol::api::install_code::{AddInstallCode, DescribeInstallCodes};
use protocol::api::label;
use serde_json::json;

use crate::{Client, Error};

/// An install code to create.
#[derive(Clone, Debug, Default)]
pub struct NewInstallCode {
    /// When it expires, in ms since the Unix epoch; `None`: after the server's default time.
    pub expires_ms: Option<i64>,
    /// The group that hosts join.
    pub group_id: Option<i64>,
    /// Whether it is for building an image.
    pub only_image: bool,
    /// Labels that hosts get.
    pub labels: Labels,
}

impl Client {
    /// Creates an install code.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn create_install_code(&self, new: &NewInstallCode) -> Result<AddInstallCode, Error> {
        let number = |name, it: Option<i64>| it.map(|it| (name, it.to_string()));
        let labels = Some(label::members(&new.labels)).filter(|it| !it.is_empty());
        let params = [
            number("ExpiredDate", new.expires_ms),
            number("GroupId", new.group_id),
            Some(("OnlyImage", new.only_image.to_string())),
            labels.map(|it| ("Labels", json!(it).to_string())),
        ];
        let params: Vec<_> = params.into_iter().flatten().collect();
        self.call("AddInstallCode", &params).await
    }

    /// All install codes.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn install_codes(&self) -> Result<DescribeInstallCodes, Error> {
        self.call("DescribeInstallCodes", &[]).await
    }

    /// Revokes an install code. Hosts that enrolled with it stay.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn delete_install_code(&self, code: &str) -> Result<Done, Error> {
        self.call("DeleteInstallCode", &[("CaptchaCode", code.to_owned())])
            .await
    }
}
