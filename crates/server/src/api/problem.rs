//! The catalogue of problem types.

use model::ProblemType;
use protocol::api::problem::{DescribeClientProblemType, ProblemType as Row};
use protocol::error::Fault;

use super::Call;
use crate::service::Error;

/// `DescribeClientProblemType`.
pub(super) async fn list(call: &Call<'_>) -> Result<DescribeClientProblemType, Error> {
    let english = match call.params.get("Lang") {
        None | Some("zh") => false,
        Some("en") => true,
        Some(_) => return Err(Fault::invalid("Lang", "is `zh` or `en`").into()),
    };
    let rows: Vec<Row> = ProblemType::ALL
        .into_iter()
        .map(|it| Row {
            problem_detail: if english { it.en } else { it.zh }.to_owned(),
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
