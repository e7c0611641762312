//! Root tasks and their leaves.

mod row;

use model::{OutcomeId, Reason, Status, TaskId, TaskType, limits};
use protocol::api::Done;
use protocol::api::param::{TaskParam, read_client_token};
use protocol::api::task::{
    DescribeOnceTask, DescribeOnceTaskLeafRecordPage, DescribeOnceTaskOutcomes, GenerateOnceTask,
    LeafRecord, ListUnfinishedOnceTask, OnceTaskInfo, Task, TaskInfo,
};
use protocol::error::{Code, Fault};
use store::{Leaf, LeafQuery, LeafSlot, Page, PageRequest, Root, RootQuery, Window};

use super::Call;
use super::call::page_info;
use crate::service::Error;
use crate::service::task::{NewTask, Rerun};
use row::{info, leaf_record, leaf_row, outcome_row, root_row, unfinished_row};

/// `GenerateOnceTask`.
pub(super) async fn generate(call: &Call<'_>) -> Result<GenerateOnceTask, Error> {
    let type_text = call.params.required("TaskType")?;
    let name = call.params.required("TaskName")?;
    let param = call.params.required("Param")?;
    let Some(task_type) = call.task_type(type_text)? else {
        let help = format!(
            "is `{type_text}`, which Sickbay does not carry out: {}",
            model::task::NotATaskType
        );
        return Err(Fault::invalid("TaskType", &help).into());
    };
    call.short_text("TaskName")?;
    let source = call.short_text("Source")?;
    let param_text = param;
    let param = TaskParam::parse(task_type, param)?;
    let new = NewTask {
        task_type,
        name,
        source,
        param,
        param_text,
        nonce: call.nonce,
    };
    let root = call.app.tasks.create(call.caller, new).await?;
    Ok(created(&root))
}

/// `RerunOnceTask`: the same work again on the hosts where it did not succeed, or on those named.
pub(super) async fn rerun(call: &Call<'_>) -> Result<GenerateOnceTask, Error> {
    let id = task_id("TaskId", call.params.required("TaskId")?)?;
    let TaskId::Root(id) = id else {
        let help = "is the id of a leaf: name its root task";
        return Err(Fault::invalid("TaskId", help).into());
    };
    let old = call.app.tasks.root(id).await?;
    call.may_create(old.task_type)?;
    let uuids = call.uuids()?;
    let mut statuses = statuses(call)?;
    if statuses.is_empty() {
        statuses = vec![Status::Fail, Status::Timeout];
        // Who names hosts means them, however they ended.
        statuses.extend((!uuids.is_empty()).then_some(Status::Success));
    }
    if let Some(status) = statuses.iter().find(|it| !it.is_final()) {
        let help = format!(
            "names {}: what is still to end is not done again. Wait for it, or cancel it",
            status.wire()
        );
        return Err(Fault::invalid("StatusList", &help).into());
    }
    let mut reasons = Vec::new();
    for text in call.params.list("ReasonList") {
        let reason = Reason::from_wire(text);
        let known = || Vec::from_iter(Reason::ALL.iter().map(|it| it.wire())).join(", ");
        reasons.push(
            reason.ok_or_else(|| {
                Fault::invalid("ReasonList", &format!("names reasons: {}", known()))
            })?,
        );
    }
    let token = call.params.get("ClientToken");
    let token = token.map(|it| read_client_token("ClientToken", it));
    let rerun = Rerun {
        old,
        statuses,
        reasons,
        uuids,
        client_token: token.transpose()?,
    };
    let root = call.app.tasks.rerun(call.caller, rerun, call.nonce).await?;
    Ok(created(&root))
}

fn created(root: &Root) -> GenerateOnceTask {
    GenerateOnceTask {
        can_create: true,
        collect_time: Some(root.created_at.0),
        finish_count: root.totals.ended(),
        last_task: Some(root.id.to_string()),
        task_id: root.id.to_string(),
        total_count: root.totals.total(),
    }
}

/// `CancelOnceTask`.
pub(super) async fn cancel(call: &Call<'_>) -> Result<Done, Error> {
    let id = task_id("TaskId", call.params.required("TaskId")?)?;
    call.app.tasks.cancel(call.caller, id).await?;
    Ok(Done {})
}

/// `DescribeOnceTask`: with `TaskType` roots, newest first; with `RootTaskId` the leaves under it, by
/// number; `TaskId` narrows either to one task.
pub(super) async fn describe(call: &Call<'_>) -> Result<DescribeOnceTask, Error> {
    let page = call.page(limits::PAGE_SIZE_DEFAULT, limits::PAGE_SIZE_MAX)?;
    let window = call.window("StartTimeQuery", "EndTimeQuery")?;
    let source = call.params.get("Source");
    let one = call
        .params
        .get("TaskId")
        .map(|it| task_id("TaskId", it))
        .transpose()?;
    let root_id = call.params.get("RootTaskId");
    let task_type = call.params.get("TaskType");
    let kind = match (task_type, root_id) {
        (None, None) => {
            let text = "The input parameter \"TaskType\" that is mandatory for processing this request is not supplied: TaskType and RootTaskId must not both be empty.";
            return Err(Fault::new(Code::MissingParameter, text).into());
        }
        (Some(text), _) => Some(call.task_type(text)?),
        (None, Some(_)) => None,
    };
    let keeps = |root: &Root| {
        kind.is_none_or(|it| it == Some(root.task_type))
            && source.is_none_or(|it| it == root.source)
            && window.start.is_none_or(|it| root.created_at >= it)
            && window.end.is_none_or(|it| root.created_at <= it)
    };
    if let Some(root_id) = root_id {
        let root_id = task_id("RootTaskId", root_id)?.root();
        let root = call.app.tasks.root(root_id).await?;
        return if keeps(&root) {
            leaves_of(call, &root, one, page).await
        } else {
            Ok(nothing(page))
        };
    }
    if let Some(one) = one {
        let root = call.app.tasks.root_if_any(one.root()).await?;
        return match root.filter(keeps) {
            Some(root) => one_task(call, root, one, page).await,
            None => Ok(nothing(page)),
        };
    }
    let Some(task_type) = kind.flatten() else {
        return Ok(nothing(page));
    };
    let query = RootQuery {
        task_type,
        source: source.map(str::to_owned),
        window,
    };
    let found = call.app.tasks.roots(&query, page).await?;
    let info = page_info(page, &found);
    let viewer = call.viewer(task_type);
    let mut room = limits::LIST_ANSWERS_BYTES_MAX;
    let mut rows = Vec::with_capacity(found.rows.len());
    for root in found.rows {
        let view = call.app.tasks.root_view(root, &viewer, &mut room).await?;
        rows.push(root_row(view)?);
    }
    Ok(DescribeOnceTask {
        page_info: info,
        task_manage_response_list: rows,
    })
}

fn nothing(page: PageRequest) -> DescribeOnceTask {
    let none: Page<Root> = Page {
        rows: Vec::new(),
        total: 0,
    };
    DescribeOnceTask {
        page_info: page_info(page, &none),
        task_manage_response_list: Vec::new(),
    }
}

fn single(page: PageRequest, row: Task) -> DescribeOnceTask {
    let rows = if page.number == 1 {
        vec![row]
    } else {
        Vec::new()
    };
    let page_of = Page { total: 1, rows };
    DescribeOnceTask {
        page_info: page_info(page, &page_of),
        task_manage_response_list: page_of.rows,
    }
}

async fn one_task(
    call: &Call<'_>,
    root: Root,
    one: TaskId,
    page: PageRequest,
) -> Result<DescribeOnceTask, Error> {
    let viewer = call.viewer(root.task_type);
    match one {
        TaskId::Root(_) => {
            let mut room = limits::LIST_ANSWERS_BYTES_MAX;
            let view = call.app.tasks.root_view(root, &viewer, &mut room).await?;
            Ok(single(page, root_row(view)?))
        }
        TaskId::Leaf(id) => match call.app.tasks.leaf(id).await? {
            Some(leaf) => {
                let views = call
                    .app
                    .tasks
                    .leaf_views(&root, vec![leaf], &viewer)
                    .await?;
                let row = views.into_iter().next();
                let row = row.map(|it| leaf_row(&root, it, true));
                row.map_or_else(|| Ok(nothing(page)), |row| Ok(single(page, row?)))
            }
            None => Ok(nothing(page)),
        },
    }
}

async fn leaves_of(
    call: &Call<'_>,
    root: &Root,
    one: Option<TaskId>,
    page: PageRequest,
) -> Result<DescribeOnceTask, Error> {
    match one {
        Some(one) if one.root() != root.id => Ok(nothing(page)),
        Some(one) => one_task(call, root.clone(), one, page).await,
        None => {
            let query = LeafQuery::Root {
                root: root.id,
                statuses: statuses(call)?,
                outcome: outcome(call)?,
            };
            let mut room = limits::LIST_ANSWERS_BYTES_MAX;
            let found = call
                .app
                .tasks
                .leaves_of(root, &query, page, &mut room)
                .await?;
            let info = page_info(page, &found);
            let views = call
                .app
                .tasks
                .leaf_views(root, found.rows, &call.viewer(root.task_type))
                .await?;
            let rows: Result<Vec<Task>, Error> = views
                .into_iter()
                .map(|it| leaf_row(root, it, false))
                .collect();
            Ok(DescribeOnceTask {
                page_info: info,
                task_manage_response_list: rows?,
            })
        }
    }
}

/// `DescribeOnceTaskLeafRecordPage`.
pub(super) async fn leaf_records(call: &Call<'_>) -> Result<DescribeOnceTaskLeafRecordPage, Error> {
    let type_text = call.params.required("TaskType")?;
    call.params.boolean("RelateInfo")?;
    let page = call.page(limits::PAGE_SIZE_DEFAULT, limits::LEAF_PAGE_SIZE_MAX)?;
    let window = call.window("StartTime", "EndTime")?;
    let statuses = statuses(call)?;
    let outcome = outcome(call)?;
    let task_type = call.task_type(type_text)?;
    let one = call
        .params
        .get("TaskId")
        .map(|it| task_id("TaskId", it))
        .transpose()?;
    if outcome.is_some() && !matches!(one, Some(TaskId::Root(_))) {
        let help = "is for the leaves of one root task: name it in TaskId";
        return Err(Fault::invalid("OutcomeId", help).into());
    }
    let source = call.params.get("Source");
    let found = match (task_type, one) {
        (None, _) => Page {
            rows: Vec::new(),
            total: 0,
        },
        (Some(task_type), None) => {
            let roots = RootQuery {
                task_type,
                source: source.map(str::to_owned),
                window,
            };
            let query = LeafQuery::Roots { roots, statuses };
            call.app.tasks.leaves(&query, page).await?
        }
        (Some(task_type), Some(one)) => {
            let root = call.app.tasks.root(one.root()).await?;
            let keeps = root.task_type == task_type
                && source.is_none_or(|it| it == root.source)
                && window.start.is_none_or(|it| root.created_at >= it)
                && window.end.is_none_or(|it| root.created_at <= it);
            match one {
                _ if !keeps => Page {
                    rows: Vec::new(),
                    total: 0,
                },
                TaskId::Root(root) => {
                    let query = LeafQuery::Root {
                        root,
                        statuses,
                        outcome,
                    };
                    call.app.tasks.leaves(&query, page).await?
                }
                TaskId::Leaf(id) => one_leaf(call, id, &statuses, page).await?,
            }
        }
    };
    let info = page_info(page, &found);
    let once_tasks = records(call, found.rows).await?;
    Ok(DescribeOnceTaskLeafRecordPage {
        once_tasks,
        page_info: info,
    })
}

/// `DescribeOnceTaskOutcomes`: which answers there are, and how many hosts gave each.
pub(super) async fn outcomes(call: &Call<'_>) -> Result<DescribeOnceTaskOutcomes, Error> {
    let id = task_id("RootTaskId", call.params.required("RootTaskId")?)?;
    let TaskId::Root(id) = id else {
        let help = "is the id of a leaf: name its root task";
        return Err(Fault::invalid("RootTaskId", help).into());
    };
    let found = call.app.tasks.outcomes(id).await?;
    let rows = found.iter().map(|(group, host)| outcome_row(group, host));
    Ok(DescribeOnceTaskOutcomes {
        outcomes: rows.collect(),
    })
}

fn outcome(call: &Call<'_>) -> Result<Option<OutcomeId>, Fault> {
    let given = call.params.get("OutcomeId").map(str::parse::<OutcomeId>);
    given
        .transpose()
        .map_err(|error| Fault::invalid("OutcomeId", &error.to_string()))
}

async fn one_leaf(
    call: &Call<'_>,
    id: model::LeafId,
    statuses: &[Status],
    page: PageRequest,
) -> Result<Page<Leaf>, Error> {
    let leaf = call.app.tasks.leaf(id).await?;
    let keeps = |it: &Leaf| statuses.is_empty() || statuses.contains(&it.state.status);
    let rows: Vec<Leaf> = leaf.into_iter().filter(keeps).collect();
    let total = u64::try_from(rows.len()).unwrap_or_default();
    let rows = if page.number == 1 { rows } else { Vec::new() };
    Ok(Page { rows, total })
}

fn statuses(call: &Call<'_>) -> Result<Vec<Status>, Error> {
    let mut statuses = Vec::new();
    for text in call.params.list("StatusList") {
        let status = Status::from_wire(text).ok_or_else(|| {
            Fault::invalid(
                "StatusList",
                "names statuses: INIT, START, DISPATCH, SUCCESS, FAIL, TIMEOUT",
            )
        })?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

async fn records(call: &Call<'_>, leaves: Vec<Leaf>) -> Result<Vec<LeafRecord>, Error> {
    let mut records = Vec::with_capacity(leaves.len());
    let mut rest = leaves.as_slice();
    while let Some(first) = rest.first() {
        let root = call.app.tasks.root(first.id.root).await?;
        let count = rest.iter().take_while(|it| it.id.root == root.id).count();
        let (these, others) = rest.split_at(count);
        for (leaf, uuid) in these.iter().zip(call.app.tasks.host_uuids(these).await?) {
            let progress = call.app.tasks.progress(leaf.id, leaf.state.status);
            records.push(leaf_record(&root, leaf, uuid, progress.as_deref()));
        }
        rest = others;
    }
    Ok(records)
}

/// `GetLastOnceTaskInfo`.
pub(super) async fn last_info(call: &Call<'_>) -> Result<OnceTaskInfo, Error> {
    let type_text = call.params.required("TaskType")?;
    call.params.required("TaskName")?;
    let source = call.params.get("Source").map(str::to_owned);
    let root = match call.task_type(type_text)? {
        Some(task_type) => {
            let query = RootQuery {
                task_type,
                source,
                window: Window::default(),
            };
            call.app.tasks.last(&query).await?
        }
        None => None,
    };
    Ok(root.map_or_else(no_task, |it| info(&it)))
}

/// `GetOnceTaskResultInfo`.
pub(super) async fn result_info(call: &Call<'_>) -> Result<OnceTaskInfo, Error> {
    let type_text = call.params.required("TaskType")?;
    call.params.required("TaskName")?;
    let id = task_id("TaskId", call.params.required("TaskId")?)?;
    let task_type: Option<TaskType> = call.task_type(type_text)?;
    let root = call.app.tasks.root_if_any(id.root()).await?;
    let root = root.filter(|it| Some(it.task_type) == task_type);
    Ok(root.map_or_else(no_task, |it| info(&it)))
}

fn no_task() -> OnceTaskInfo {
    OnceTaskInfo {
        task_info: TaskInfo {
            result: Some("TASK_NOT_EXISTS".to_owned()),
            ..TaskInfo::default()
        },
        ..OnceTaskInfo::default()
    }
}

/// `ListUnfinishedOnceTask`.
pub(super) async fn unfinished(call: &Call<'_>) -> Result<ListUnfinishedOnceTask, Error> {
    let type_text = call.params.required("TaskType")?;
    let target = call.params.get("Target").ok_or(Code::Minus101)?;
    let Some(task_type) = call.task_type(type_text)? else {
        return Ok(ListUnfinishedOnceTask::default());
    };
    let host = call.app.hosts.get(target).await?.host;
    let found = call.app.tasks.unfinished_of(host.number, task_type).await?;
    let row = |(root, slot): &(Root, LeafSlot)| {
        let progress = call.app.tasks.progress(slot.id, slot.state.status);
        unfinished_row(root, slot, target, progress.as_deref())
    };
    Ok(ListUnfinishedOnceTask {
        once_tasks: found.iter().map(row).collect(),
    })
}

fn task_id(name: &str, text: &str) -> Result<TaskId, Fault> {
    text.parse()
        .map_err(|error: model::id::NotAnId| Fault::invalid(name, &error.to_string()))
}
