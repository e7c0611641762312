//! Answer of `DescribeClientProblemType`: the catalogue of complaints.

use serde::{Deserialize, Serialize};

/// Answer of `DescribeClientProblemType`. Its paging stands at the top, unlike in all other operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeClientProblemType {
    /// Entries on this page.
    pub count: u32,
    /// Number of this page, from 1.
    pub current_page: u32,
    /// Entries that a page holds.
    pub page_size: u32,
    /// The complaints.
    pub problem_types: Vec<ProblemType>,
    /// Complaints in all.
    pub total_count: u32,
}

/// One complaint. The only members of the API in lower camel case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProblemType {
    /// Text in the language asked for.
    pub problem_detail: String,
    /// Number, as digits.
    pub problem_id: String,
    /// Machine name.
    pub problem_type: String,
}
