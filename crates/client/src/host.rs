//! Calls about hosts.

use model::limits::LEAF_PAGE_SIZE_MAX;
use model::{AssetItem, LabelChange};
use protocol::api::Done;
use protocol::api::host::{
    DescribeAgentInstallStatus, DescribeCloudCenterInstances, DescribeHostSnapshots,
    GetAssetDetailByUuid, PreviewTargets,
};
use protocol::api::label::{self, SetHostLabels};
use serde_json::json;

use crate::{Client, Error, Pages};

/// Which hosts to list.
#[derive(Clone, Debug, Default)]
pub struct HostQuery {
    /// Pairs of a name such as `instanceName` and a value. All must match.
    pub criteria: Vec<(String, String)>,
    /// A selector instead.
    pub selector: Option<String>,
}

/// Hosts to do something with.
#[derive(Clone, Copy, Debug)]
pub enum HostChoice<'a> {
    /// These.
    Uuids(&'a [String]),
    /// Those that match now.
    Selector(&'a str),
}

impl HostChoice<'_> {
    fn param(self) -> (&'static str, String) {
        match self {
            Self::Uuids(uuids) => ("Uuids", uuids.join(",")),
            Self::Selector(selector) => ("Selector", selector.to_owned()),
        }
    }
}

impl Client {
    /// The hosts.
    #[must_use]
    pub fn hosts(
        &self,
        query: &HostQuery,
        page_size: u32,
    ) -> Pages<'_, DescribeCloudCenterInstances> {
        let mut params = Vec::new();
        if !query.criteria.is_empty() {
            let criteria: Vec<_> = query
                .criteria
                .iter()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            params.push(("Criteria", json!(criteria).to_string()));
            params.push(("LogicalExp", "AND".to_owned()));
        }
        params.extend(query.selector.clone().map(|it| ("Selector", it)));
        Pages::new(
            self,
            "DescribeCloudCenterInstances",
            params,
            page_size.min(LEAF_PAGE_SIZE_MAX),
        )
    }

    /// One host in full.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn host(&self, uuid: &str) -> Result<GetAssetDetailByUuid, Error> {
        self.call("GetAssetDetailByUuid", &[("Uuid", uuid.to_owned())])
            .await
    }

    /// What the last inventories of a host said of these items.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn host_snapshots(
        &self,
        uuid: &str,
        items: &[AssetItem],
    ) -> Result<DescribeHostSnapshots, Error> {
        let items: Vec<_> = items.iter().map(|it| it.wire()).collect();
        let params = [("Uuid", uuid.to_owned()), ("Items", items.join(","))];
        self.call("DescribeHostSnapshots", &params).await
    }

    /// Whether these hosts have an agent.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn install_status(
        &self,
        uuids: &[String],
    ) -> Result<DescribeAgentInstallStatus, Error> {
        self.call("DescribeAgentInstallStatus", &[("Uuids", uuids.join(","))])
            .await
    }

    /// What naming hosts so means now; nothing: all hosts.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn preview_targets(
        &self,
        hosts: Option<HostChoice<'_>>,
    ) -> Result<PreviewTargets, Error> {
        let params: Vec<_> = hosts.map(HostChoice::param).into_iter().collect();
        self.call("PreviewTargets", &params).await
    }

    /// Changes the labels of hosts.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn set_host_labels(
        &self,
        hosts: HostChoice<'_>,
        change: &LabelChange,
    ) -> Result<SetHostLabels, Error> {
        let labels = ("Labels", label::change_json(change));
        let replace = ("Replace", change.replaces.to_string());
        self.call("SetHostLabels", &[hosts.param(), labels, replace])
            .await
    }

    /// Forgets a host: its agent is refused from now on.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn remove_host(&self, uuid: &str) -> Result<Done, Error> {
        self.call("RemoveHost", &[("Uuid", uuid.to_owned())]).await
    }
}
