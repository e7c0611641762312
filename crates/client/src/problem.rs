//! Calls about the catalogue of complaints.

use protocol::api::problem::DescribeClientProblemType;

use crate::{Client, Error};

impl Client {
    /// The complaints that a check can be about, in `language` (`en` or `zh`).
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn problem_types(&self, language: &str) -> Result<DescribeClientProblemType, Error> {
        self.call(
            "DescribeClientProblemType",
            &[("Lang", language.to_owned())],
        )
        .await
    }
}
