//! The catalogue of problem types.

use model::{Language, ProblemType};
use protocol::api::problem::{DescribeClientProblemType, ProblemType as Row};
use protocol::error::Fault;

use super::Call;
use crate::service::Error;

/// `DescribeClientProblemType`.
pub(super) async fn list(call: &Call<'_>) -> Result<DescribeClientProblemType, Error> {
    let language = match call.params.get("Lang") {
        None => Language::Chinese,
        Some(word) => {
            Language::from_wire(word).ok_or_else(|| Fault::invalid("Lang", "is `zh` or `en`"))?
        }
    };
    let rows: Vec<Row> = ProblemType::ALL
        .into_iter()
        .map(|it| Row {
            problem_detail: it.text.say(language).to_owned(),
            problem_id: it.id.to_string(),
            problem_type: it.name.to_owned(),
        })
        .collect();
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    Ok(DescribeClientProblemType {
        count,
        current_page: 1,
        page_size: count,
        total_count: count,
        problem_types: rows,
    })
}
