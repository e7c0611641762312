//! Whether a verified order may run here and now. Decides only; the desk acts.

use model::{Reason, Status, TaskType};
use protocol::order::Order;
use protocol::work::Work;

use crate::policy::Policy;

/// Why a verified order does not run.
pub(super) struct Objection(pub(super) Status, pub(super) Reason, pub(super) String);

/// The order's work, if it may run when the node's clock shows `now_ms`.
///
/// # Errors
/// What speaks against it.
pub(super) fn judge(order: &Order, now_ms: i64, policy: &Policy) -> Result<Work, Objection> {
    let refused = |message: &str| Objection(Status::Fail, Reason::Refused, message.to_owned());
    if order.deadline_ms <= now_ms {
        return Err(too_late());
    }
    let task_type = u8::try_from(order.task_type)
        .ok()
        .and_then(TaskType::from_number)
        .ok_or_else(|| refused("this agent does not know the order's task type"))?;
    let work = order
        .work()
        .map_err(|_| refused("this agent does not know such work"))?;
    if !work.is_of(task_type) {
        return Err(refused("the order's work is not of its task type"));
    }
    match policy.refusal(task_type, &work) {
        Some(rule) => Err(refused(&rule)),
        None => Ok(work),
    }
}

pub(super) fn too_late() -> Objection {
    let message = "the order's deadline had passed before it could run".to_owned();
    Objection(Status::Timeout, Reason::Deadline, message)
}

pub(super) fn cancelled() -> Objection {
    let message = "cancelled before it ran".to_owned();
    Objection(Status::Fail, Reason::Cancelled, message)
}

pub(super) fn not_started(message: String) -> Objection {
    Objection(Status::Fail, Reason::NotStarted, message)
}
