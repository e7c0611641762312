//! The rows of task lists: what one root or leaf looks like in an answer.

use model::plan::Gate;
use model::{Dispatch, LeafState, Reason, Status, fix};
use protocol::api::task::{
    HostDetail, LeafRecord, OnceTaskInfo, Outcome, Task, TaskInfo, UnfinishedTask, write_details,
};
use protocol::facts::HostAddresses;
use store::{Host, Leaf, LeafSlot, OutcomeGroup, Root};

use crate::api::host::Addresses;
use crate::engine::Progress;
use crate::service::Error;
use crate::service::task::{LeafView, Manual, RootView};

pub(super) fn root_row(RootView { root, leaves }: RootView) -> Result<Task, Error> {
    let totals = root.totals;
    let status = totals.status();
    let details = leaves.into_iter().map(|it| host_detail(&root, it, false));
    let details: Vec<HostDetail> = details.collect();
    Ok(Task {
        detail_data: write_details(&details).map_err(Error::internal)?,
        fail_count: totals.fail,
        progress: format!("{}%", totals.progress_percent()),
        result_info: root_result(&root),
        success_count: totals.success,
        task_end_time: root.ended_at.map(|it| it.0),
        task_id: root.id.to_string(),
        task_name: root.name,
        task_start_time: Some(root.created_at.0),
        task_status: status.wire_number(),
        task_status_text: status.wire().to_owned(),
        task_type: root.task_type.wire().to_owned(),
        total_count: totals.total(),
        timeout_count: totals.timeout,
        unfinished_count: totals.unfinished(),
        source: root.source,
        rerun_of: root.rerun_of.map(|it| it.to_string()).unwrap_or_default(),
        ..Task::default()
    })
}

fn root_result(root: &Root) -> String {
    if root.totals.unfinished() > 0 {
        return String::new();
    }
    match root.totals.status() {
        Status::Success if root.totals.success == root.totals.total() => "successful".to_owned(),
        _ if root.cancelled_at.is_some() => "cancelled".to_owned(),
        _ => format!(
            "{}{} succeeded, {} failed, {} timed out",
            if root.plan.has_stopped(&root.totals) {
                "stopped after too many failures: "
            } else {
                ""
            },
            root.totals.success,
            root.totals.fail,
            root.totals.timeout
        ),
    }
}

pub(super) fn leaf_row(root: &Root, view: LeafView, whole: bool) -> Result<Task, Error> {
    let (id, state) = (view.leaf.id, view.leaf.state);
    let ended = state.status.is_final();
    let progress = view.progress.clone();
    let progress = progress.as_deref();
    let detail = host_detail(root, view, whole);
    let one_if = |it| u32::from(state.status == it);
    Ok(Task {
        detail_data: write_details(&[detail]).map_err(Error::internal)?,
        fail_count: one_if(Status::Fail),
        progress: format!("{}%", percent(state, progress)),
        result_info: leaf_result(state),
        success_count: one_if(Status::Success),
        task_end_time: ended.then_some(state.at.0),
        task_id: id.to_string(),
        task_name: root.name.clone(),
        task_start_time: Some(root.created_at.0),
        task_status: state.status.wire_number(),
        task_status_text: state.status.wire().to_owned(),
        task_type: root.task_type.wire().to_owned(),
        total_count: 1,
        timeout_count: one_if(Status::Timeout),
        unfinished_count: u32::from(!ended),
        source: root.source.clone(),
        rerun_of: root.rerun_of.map(|it| it.to_string()).unwrap_or_default(),
        progress_note: progress.map(|it| it.note.clone()).unwrap_or_default(),
        output_tail: progress.map(|it| it.output.clone()).unwrap_or_default(),
        output_length: output_length(progress),
    })
}

/// How much of a leaf's work is done.
fn percent(state: LeafState, progress: Option<&Progress>) -> u8 {
    let done = || progress.and_then(|it| it.percent).unwrap_or(0);
    if state.status.is_final() { 100 } else { done() }
}

/// How much a leaf's command has written, if it has.
fn output_length(progress: Option<&Progress>) -> Option<u64> {
    progress.map(|it| it.output_length).filter(|it| *it > 0)
}

fn leaf_result(state: LeafState) -> String {
    match state.status {
        Status::Success => "successful".to_owned(),
        Status::Fail | Status::Timeout => state.reason.sentence().to_owned(),
        Status::Init | Status::Start | Status::Dispatch => String::new(),
    }
}

/// The per-host object of `DetailData`; `whole` includes asset lists, which can be large.
fn host_detail(root: &Root, view: LeafView, whole: bool) -> HostDetail {
    let message = message(root, &view);
    let known: HostAddresses = serde_json::from_str(&view.host.facts).unwrap_or_default();
    let addresses = Addresses::of(&known.addresses);
    let state = view.leaf.state;
    let mut detail = HostDetail {
        dispatch_type: state.dispatch.into(),
        problem_type: view.problem_type,
        uuid: view.host.uuid.to_string(),
        instance_id: view.host.uuid.to_string(),
        instance_name: view.host.name,
        internet_ip: addresses.internet.unwrap_or_default(),
        intranet_ip: addresses.intranet.unwrap_or_default(),
        url: view.bundle_url.unwrap_or_default(),
        status: state.status.wire().to_owned(),
        reason: state.reason.wire().to_owned(),
        message,
        online: Some(view.online),
        ..HostDetail::default()
    };
    if let Manual::Command(command) = view.manual {
        detail.dispatch_type = Dispatch::Manual.into();
        detail.res_code.push(fix::RUN_BY_HAND.to_string());
        detail.res_msg.push(command);
    }
    let Some(answer) = view.answer else {
        return detail;
    };
    if let Some(check) = answer.check {
        for finding in &check.findings {
            detail.cause_code.push(finding.cause.to_string());
            detail.cause_msg.push(match finding.subject.as_str() {
                "" => finding.summary.clone(),
                subject => format!("{subject}: {}", finding.summary),
            });
            let cause = model::Cause::find(finding.cause);
            for fix in cause.map_or(&[][..], model::Cause::fixes) {
                let code = fix.code().to_string();
                if !detail.res_code.contains(&code) {
                    detail.res_code.push(code);
                    detail.res_msg.push(fix.sentence().to_owned());
                }
            }
        }
        detail.findings = check.findings;
        if whole {
            detail.probes = check.probes;
            detail.detected = check.detected;
        }
    }
    if let Some(ops) = answer.ops {
        detail.exit_code = ops.exit_code;
        detail.signal = ops.signal;
        detail.stdout_whole = Some((&ops.stdout).into());
        detail.stderr_whole = Some((&ops.stderr).into());
        detail.stdout = Some(ops.stdout.text);
        detail.stderr = Some(ops.stderr.text);
        detail.duration_ms = Some(ops.duration_ms);
        detail.limits = ops.limits;
    }
    if whole {
        detail.assets = answer.assets;
    }
    detail
}

/// What a list says instead of an answer that does not fit.
const LEFT_OUT: &str = "the answer is too large for a list: ask for this task by its TaskId";

/// Why a leaf waits, or why it ended.
fn message(root: &Root, view: &LeafView) -> String {
    let state = view.leaf.state;
    let answered = view.answer.as_ref().map(|it| it.message.as_str());
    let answered = answered.filter(|it| !it.is_empty());
    match (state.status, answered) {
        (_, Some(text)) => text.to_owned(),
        _ if view.leaf.answer_left_out => LEFT_OUT.to_owned(),
        (Status::Success, None) => String::new(),
        (Status::Fail | Status::Timeout, None) => state.reason.sentence().to_owned(),
        (Status::Init | Status::Start | Status::Dispatch, None) => waits(root, view),
    }
}

fn waits(root: &Root, view: &LeafView) -> String {
    if root.cancelled_at.is_some() {
        return "being cancelled".to_owned();
    }
    let away = away(view);
    let paced = (view.leaf.state.status == Status::Init)
        .then(|| paced(root))
        .flatten();
    match (view.leaf.state.status, view.online) {
        (Status::Dispatch, true) if view.leaf.state.dispatch == Dispatch::Auto => {
            "running".to_owned()
        }
        (Status::Dispatch, false) if view.leaf.state.dispatch == Dispatch::Auto => {
            format!("the host has the order and is {away}")
        }
        (_, true) => paced.unwrap_or_else(|| "being handed to the host".to_owned()),
        (_, false) => match &view.manual {
            Manual::Withheld(why) => format!("host {away}; {why}"),
            Manual::None | Manual::Command(_) => format!("host {away}"),
        },
    }
}

/// Since when a host is not there, as far as that is known: a node that fails does not see hosts go.
fn away(view: &LeafView) -> String {
    let seen = protocol::stamp::format(view.host.seen_at.0);
    match view.missing_since {
        Some(start) => format!(
            "offline: not back since this node started at {}; its last contact that is on record was at {seen}",
            protocol::stamp::format(start.0)
        ),
        None => format!("offline since {seen}"),
    }
}

/// What a leaf that could be handed out waits for, if it is not its host.
fn paced(root: &Root) -> Option<String> {
    match root.plan.gate(&root.totals) {
        Gate::Open(_) => None,
        Gate::Full { concurrency } => Some(match concurrency {
            1 => "paced: one host at a time".to_owned(),
            most => format!("paced: {most} hosts at once"),
        }),
        Gate::Wave { next, of } => Some(format!("paced: wave {next} of {of}")),
        Gate::Stopped => Some("paced: stopped, too many hosts have failed".to_owned()),
    }
}

pub(super) fn leaf_record(
    root: &Root,
    leaf: &Leaf,
    target: String,
    progress: Option<&Progress>,
) -> LeafRecord {
    let state = leaf.state;
    let ended = state.status.is_final();
    LeafRecord {
        end_time: ended.then_some(state.at.0),
        finish: u8::from(ended),
        finish_count: u8::from(ended).to_string(),
        progress: percent(state, progress),
        real_run_time: (state.status != Status::Init).then_some(state.at.0),
        result_info: leaf_record_result(state),
        start_time: Some(root.created_at.0),
        status: state.status.wire_number().to_string(),
        status_text: state.status.wire().to_owned(),
        target,
        target_type: "UUID".to_owned(),
        task_id: leaf.id.to_string(),
        task_name: root.name.clone(),
        task_type: root.task_type.wire().to_owned(),
        total_count: "1".to_owned(),
        reason: state.reason.wire().to_owned(),
        progress_note: progress.map(|it| it.note.clone()).unwrap_or_default(),
        output_length: output_length(progress),
    }
}

fn leaf_record_result(state: LeafState) -> String {
    match (state.status, state.reason) {
        (Status::Success, _) => "SUCCESS".to_owned(),
        (_, Reason::None) => String::new(),
        (_, reason) => reason.wire().to_uppercase(),
    }
}

pub(super) fn outcome_row(group: &OutcomeGroup, host: &Host) -> Outcome {
    let reason = group.id.reason();
    let label = match reason {
        None => "other answers",
        Some(Reason::None) if group.label.is_empty() => "no answer",
        Some(reason) if group.label.is_empty() => reason.sentence(),
        Some(_) => &group.label,
    };
    Outcome {
        outcome_id: group.id.to_string(),
        status: group.id.status().map_or("", Status::wire).to_owned(),
        reason: reason.map_or("", Reason::wire).to_owned(),
        label: label.to_owned(),
        count: group.count,
        sample_task_id: group.sample.to_string(),
        sample_uuid: host.uuid.to_string(),
        sample_name: host.name.clone(),
    }
}

pub(super) fn info(root: &Root) -> OnceTaskInfo {
    let status = root.totals.status();
    OnceTaskInfo {
        collect_time: Some(root.created_at.0),
        finish_count: root.totals.ended(),
        task_id: 0,
        root_task_id: Some(root.id.to_string()),
        task_info: TaskInfo {
            progress: Some(root.totals.progress_percent()),
            result: status.is_final().then(|| status.wire().to_owned()),
            status: Some(status.wire().to_owned()),
        },
        total_count: root.totals.total(),
    }
}

pub(super) fn unfinished_row(
    root: &Root,
    slot: &LeafSlot,
    target: &str,
    progress: Option<&Progress>,
) -> UnfinishedTask {
    let state = slot.state;
    UnfinishedTask {
        end_time: None,
        finish: 0,
        finish_count: 0,
        progress: percent(state, progress),
        real_run_time: (state.status != Status::Init).then_some(state.at.0),
        result_info: String::new(),
        start_time: Some(root.created_at.0),
        status: state.status.wire_number(),
        status_text: state.status.wire().to_owned(),
        target: target.to_owned(),
        target_type: "UUID".to_owned(),
        task_id: slot.id.to_string(),
        task_name: root.name.clone(),
        task_type: root.task_type.wire().to_owned(),
        total_count: 1,
    }
}
