//! Calls of the once family.

use model::limits::{LEAF_PAGE_SIZE_MAX, PAGE_SIZE_MAX};
use model::{OutcomeId, Reason, RootId, Status, TaskId, TaskType};
use protocol::api::Done;
use protocol::api::task::{
    DescribeOnceTask, DescribeOnceTaskLeafRecordPage, DescribeOnceTaskOutcomes, GenerateOnceTask,
    ListUnfinishedOnceTask, OnceTaskInfo, Task,
};

use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::client::nonce;
use crate::{Client, Error, Pages};

/// A task to create.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What kind.
    pub task_type: TaskType,
    /// JSON of what is to be done and where; see [`protocol::api::param`].
    pub param: String,
    /// Who creates it, in free text.
    pub source: Option<String>,
}

/// Which tasks to list: one of type and root is needed.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    /// Roots of this type.
    pub task_type: Option<TaskType>,
    /// Created at or after this, in ms since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Created at or before this, in ms since the Unix epoch.
    pub until_ms: Option<i64>,
    /// Created by this source.
    pub source: Option<String>,
}

/// Which leaves of a root to list.
#[derive(Clone, Debug)]
pub struct LeafQuery {
    /// The root.
    pub root: String,
    /// The root's type.
    pub task_type: String,
    /// Only these; empty: all.
    pub statuses: Vec<Status>,
}

/// Which leaves of a root to list with what their hosts said.
#[derive(Clone, Debug, Default)]
pub struct LeafFilter {
    /// Only these; empty: all.
    pub statuses: Vec<Status>,
    /// Only those that answered so.
    pub outcome: Option<OutcomeId>,
}

/// The parameter for each status of a list.
const STATUS_LIST: [&str; Status::ALL.len()] = [
    "StatusList.1",
    "StatusList.2",
    "StatusList.3",
    "StatusList.4",
    "StatusList.5",
    "StatusList.6",
];

fn status_params(statuses: &[Status]) -> impl Iterator<Item = (&'static str, String)> {
    let names = statuses.iter().map(|it| it.wire().to_owned());
    STATUS_LIST.into_iter().zip(names)
}

/// The `Param` with a `clientToken`, unless it has one. What is no JSON object is for the server to refuse.
fn with_token(param: &str) -> Result<String, Error> {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(param) else {
        return Ok(param.to_owned());
    };
    if let Entry::Vacant(place) = members.entry("clientToken") {
        place.insert(Value::String(nonce()?));
    }
    Ok(Value::Object(members).to_string())
}

impl Client {
    /// Creates a root task. It runs by itself. If no answer comes, it is asked for again, and not created twice.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn create_task(&self, task: &NewTask) -> Result<GenerateOnceTask, Error> {
        let task_type = task.task_type.wire().to_owned();
        let mut params = vec![
            ("TaskType", task_type.clone()),
            ("TaskName", task_type),
            ("Param", with_token(&task.param)?),
        ];
        params.extend(task.source.clone().map(|it| ("Source", it)));
        self.call_once_only("GenerateOnceTask", &params).await
    }

    /// Roots, newest first.
    #[must_use]
    pub fn tasks(&self, query: &TaskQuery, page_size: u32) -> Pages<'_, DescribeOnceTask> {
        let number = |name, ms: Option<i64>| ms.map(|it| (name, it.to_string()));
        let params = [
            query.task_type.map(|it| ("TaskType", it.wire().to_owned())),
            number("StartTimeQuery", query.since_ms),
            number("EndTimeQuery", query.until_ms),
            query.source.clone().map(|it| ("Source", it)),
        ];
        let params = params.into_iter().flatten().collect();
        Pages::new(
            self,
            "DescribeOnceTask",
            params,
            page_size.min(PAGE_SIZE_MAX),
        )
    }

    /// One task, root or leaf; `None` if there is no such task.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, Error> {
        let params = [
            ("RootTaskId", id.root().to_string()),
            ("TaskId", id.to_string()),
        ];
        let page: DescribeOnceTask = match self.call("DescribeOnceTask", &params).await {
            Err(Error::Invalid(refusal))
                if refusal.code == protocol::error::Code::EntityNotExist.wire() =>
            {
                return Ok(None);
            }
            other => other?,
        };
        Ok(page.task_manage_response_list.into_iter().next())
    }

    /// The leaves of a root with what their hosts said, by number.
    #[must_use]
    pub fn leaves(
        &self,
        root: &str,
        filter: &LeafFilter,
        page_size: u32,
    ) -> Pages<'_, DescribeOnceTask> {
        let mut params = vec![("RootTaskId", root.to_owned())];
        params.extend(status_params(&filter.statuses));
        params.extend(filter.outcome.map(|it| ("OutcomeId", it.to_string())));
        Pages::new(
            self,
            "DescribeOnceTask",
            params,
            page_size.min(PAGE_SIZE_MAX),
        )
    }

    /// The leaves of a root that have ended, by what they answered, the largest group first.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn outcomes(&self, root: RootId) -> Result<DescribeOnceTaskOutcomes, Error> {
        let params = [("RootTaskId", root.to_string())];
        self.call("DescribeOnceTaskOutcomes", &params).await
    }

    /// The leaves of a root without what their hosts said, by number.
    #[must_use]
    pub fn leaf_records(&self, query: &LeafQuery) -> Pages<'_, DescribeOnceTaskLeafRecordPage> {
        let mut params = vec![
            ("TaskId", query.root.clone()),
            ("TaskType", query.task_type.clone()),
            ("RelateInfo", "false".to_owned()),
        ];
        params.extend(status_params(&query.statuses));
        Pages::new(
            self,
            "DescribeOnceTaskLeafRecordPage",
            params,
            LEAF_PAGE_SIZE_MAX,
        )
    }

    /// How the newest root of a type stands.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn last_task(&self, task_type: TaskType) -> Result<OnceTaskInfo, Error> {
        let task_type = task_type.wire().to_owned();
        let params = [("TaskType", task_type.clone()), ("TaskName", task_type)];
        self.call("GetLastOnceTaskInfo", &params).await
    }

    /// How one root stands.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn task_result(&self, task_type: &str, id: TaskId) -> Result<OnceTaskInfo, Error> {
        let params = [
            ("TaskType", task_type.to_owned()),
            ("TaskName", task_type.to_owned()),
            ("TaskId", id.to_string()),
        ];
        self.call("GetOnceTaskResultInfo", &params).await
    }

    /// The unfinished leaves of one type that concern one host.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn unfinished_tasks(
        &self,
        task_type: TaskType,
        host: &str,
    ) -> Result<ListUnfinishedOnceTask, Error> {
        let params = [
            ("TaskType", task_type.wire().to_owned()),
            ("Target", host.to_owned()),
        ];
        self.call("ListUnfinishedOnceTask", &params).await
    }

    /// Does a task again on the hosts whose part stands so. Without statuses: where it failed or timed out or, if hosts are
    /// named, has ended on those. Without an answer it is asked for again, and not done twice.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn rerun_task(
        &self,
        root: TaskId,
        statuses: &[Status],
        reasons: &[Reason],
        uuids: &[String],
    ) -> Result<GenerateOnceTask, Error> {
        let mut params = vec![
            ("TaskId".to_owned(), root.to_string()),
            ("ClientToken".to_owned(), nonce()?),
        ];
        for (at, status) in statuses.iter().enumerate() {
            params.push((format!("StatusList.{}", at + 1), status.wire().to_owned()));
        }
        for (at, reason) in reasons.iter().enumerate() {
            params.push((format!("ReasonList.{}", at + 1), reason.wire().to_owned()));
        }
        if !uuids.is_empty() {
            params.push(("Uuids".to_owned(), uuids.join(",")));
        }
        let params: Vec<(&str, String)> = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        self.call_once_only("RerunOnceTask", &params).await
    }

    /// Stops a root: what waits ends, what runs is killed.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn cancel_task(&self, root: TaskId) -> Result<Done, Error> {
        let params = [("TaskId", root.to_string())];
        self.call("CancelOnceTask", &params).await
    }
}
