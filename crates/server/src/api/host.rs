//! Hosts.

use std::net::IpAddr;

use model::{AssetItem, limits};
use protocol::api::Done;
use protocol::api::access::GetServerInfo;
use protocol::api::host::{
    AssetDetail, DescribeAgentInstallStatus, DescribeCloudCenterInstances, DescribeHostSnapshots,
    DiskInfo, GetAssetDetailByUuid, HostSnapshot, InstallStatus, Instance, PreviewTargets, Target,
};
use protocol::api::label::{self, SetHostLabels};
use protocol::api::param::{Targets, read_items};
use protocol::asset;
use protocol::error::Fault;
use protocol::facts::Disk;
use serde::Deserialize;
use store::{HostFilter, HostMatch, Snapshot};

use super::Call;
use super::call::page_info;
use crate::service::Error;
use crate::service::host::HostView;

/// Most uuids of one `DescribeAgentInstallStatus`.
const UUIDS_MAX: usize = 1_000;
/// Most criteria of one filter.
const CRITERIA_MAX: usize = 20;

#[derive(Deserialize)]
struct Criterion {
    name: String,
    value: String,
}

/// `DescribeCloudCenterInstances`.
pub(super) async fn list(call: &Call<'_>) -> Result<DescribeCloudCenterInstances, Error> {
    let page = call.page(limits::PAGE_SIZE_DEFAULT, limits::LEAF_PAGE_SIZE_MAX)?;
    let hosts = &call.app.hosts;
    let found = match (call.selector()?, call.params.get("Criteria")) {
        (None, _) => hosts.page(&filter(call)?, page).await?,
        (Some(selector), None) => hosts.selected(selector, page).await?,
        (Some(_), Some(_)) => {
            let help = "is given together with Criteria: only one of the two can be";
            return Err(Fault::invalid("Selector", help).into());
        }
    };
    Ok(DescribeCloudCenterInstances {
        page_info: page_info(page, &found),
        instances: found.rows.iter().map(instance).collect(),
        success: true,
    })
}

fn filter(call: &Call<'_>) -> Result<HostFilter, Error> {
    let any = match call.params.get("LogicalExp") {
        None | Some("AND") => false,
        Some("OR") => true,
        Some(_) => return Err(Fault::invalid("LogicalExp", "is `AND` or `OR`").into()),
    };
    if call.params.boolean("UseNextToken")?.unwrap_or_default() {
        let help = "is not served yet: page with CurrentPage and PageSize";
        return Err(Fault::invalid("UseNextToken", help).into());
    }
    let Some(json) = call.params.get("Criteria") else {
        return Ok(HostFilter::default());
    };
    let criteria: Vec<Criterion> = serde_json::from_str(json).map_err(|error| {
        let help = format!("is a JSON array of {{\"name\":…,\"value\":…}}: {error}");
        Error::from(Fault::invalid("Criteria", &help))
    })?;
    if criteria.len() > CRITERIA_MAX {
        let help = format!("has at most {CRITERIA_MAX} entries");
        return Err(Fault::invalid("Criteria", &help).into());
    }
    let criteria: Result<Vec<HostMatch>, Error> =
        criteria.into_iter().map(|it| criterion(call, it)).collect();
    Ok(HostFilter {
        criteria: criteria?,
        any,
    })
}

fn criterion(call: &Call<'_>, Criterion { name, value }: Criterion) -> Result<HostMatch, Error> {
    Ok(match name.as_str() {
        "uuid" | "instanceId" => HostMatch::Uuid(value),
        "instanceName" | "hostName" => HostMatch::Name(value),
        "internetIp" | "intranetIp" | "ip" => HostMatch::Address(value),
        "os" | "osName" => HostMatch::Os(value),
        "groupName" | "groupTrace" => HostMatch::Group(value),
        "clientStatus" => match value.as_str() {
            "online" => HostMatch::OneOf(call.app.hosts.online()),
            "offline" => HostMatch::NoneOf(call.app.hosts.online()),
            _ => {
                return Err(Fault::invalid(
                    "Criteria",
                    "has a clientStatus other than `online` or `offline`",
                )
                .into());
            }
        },
        other => {
            let help = format!(
                "has the name `{other}`: known are uuid, instanceId, instanceName, hostName, internetIp, \
                 intranetIp, ip, os, osName, groupName, groupTrace, clientStatus"
            );
            return Err(Fault::invalid("Criteria", &help).into());
        }
    })
}

/// What the facts say of a host's addresses.
pub(in crate::api) struct Addresses {
    pub(in crate::api) internet: Option<String>,
    pub(in crate::api) intranet: Option<String>,
}

impl Addresses {
    pub(in crate::api) fn of(addresses: &[String]) -> Self {
        let find = |public: bool| {
            let mut addresses = addresses.iter();
            addresses.find(|it| is_public(it) == Some(public)).cloned()
        };
        Self {
            internet: find(true),
            intranet: find(false),
        }
    }
}

/// Whether an IPv4 address is publicly routed (RFC 1918, RFC 6598, RFC 3927); `None` for IPv6, which
/// the API's two fields do not name.
fn is_public(address: &str) -> Option<bool> {
    match address.parse().ok()? {
        IpAddr::V4(it) => {
            let [first, second, ..] = it.octets();
            let shared = first == 100 && (64..128).contains(&second);
            Some(!(it.is_private() || it.is_loopback() || it.is_link_local() || shared))
        }
        IpAddr::V6(_) => None,
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn status(view: &HostView) -> String {
    if view.online { "online" } else { "offline" }.to_owned()
}

fn instance(view: &HostView) -> Instance {
    let HostView {
        host,
        facts,
        online,
    } = view;
    let addresses = Addresses::of(&facts.addresses);
    Instance {
        client_status: status(view),
        client_sub_status: status(view),
        client_version: known(&host.agent_version),
        cores: Some(facts.cpu_count).filter(|it| *it > 0),
        cpu_info: known(&facts.cpu_model),
        created_time: host.created_at.0,
        flag: 1,
        instance_id: host.uuid.to_string(),
        instance_name: host.name.clone(),
        ip: addresses
            .internet
            .clone()
            .or_else(|| addresses.intranet.clone()),
        internet_ip: addresses.internet,
        intranet_ip: addresses.intranet,
        ip_list_string: known(&facts.addresses.join(",")),
        kernel: known(&facts.kernel),
        labels: label::members(&host.labels),
        last_login_timestamp: Some(host.seen_at.0),
        mac_list_string: known(&facts.mac_addresses.join(",")),
        mem: Some(facts.memory_bytes >> 20).filter(|it| *it > 0),
        os: Some("linux".to_owned()),
        os_name: known(&facts.os_name),
        status: Some(if *online { "Running" } else { "notRunning" }.to_owned()),
        uuid: host.uuid.to_string(),
    }
}

/// `GetAssetDetailByUuid`.
pub(super) async fn detail(call: &Call<'_>) -> Result<GetAssetDetailByUuid, Error> {
    let view = call.app.hosts.get(call.params.required("Uuid")?).await?;
    let HostView { host, facts, .. } = &view;
    let addresses = Addresses::of(&facts.addresses);
    let memory_mib = facts.memory_bytes >> 20;
    let asset_detail = AssetDetail {
        asset_type: "0".to_owned(),
        client_status: status(&view),
        client_sub_status: status(&view),
        client_version: known(&host.agent_version),
        cpu: Some(facts.cpu_count).filter(|it| *it > 0),
        cpu_info: known(&facts.cpu_model),
        create_time: host.created_at.0,
        disk_info_list: facts.disks.iter().map(disk).collect(),
        flag: 1,
        group_trace: known(&host.group),
        host_name: host.name.clone(),
        instance_id: host.uuid.to_string(),
        instance_name: host.name.clone(),
        ip: addresses
            .internet
            .clone()
            .or_else(|| addresses.intranet.clone()),
        internet_ip: addresses.internet,
        intranet_ip: addresses.intranet,
        ip_list: facts.addresses.clone(),
        kernel: known(&facts.kernel),
        labels: label::members(&host.labels),
        mac_list: facts.mac_addresses.clone(),
        mem: Some(memory_mib.div_ceil(1_024)).filter(|it| *it > 0),
        memory: Some(memory_mib).filter(|it| *it > 0),
        os: Some("linux".to_owned()),
        os_detail: Some(format!("Linux {}", facts.architecture)),
        os_name: known(&facts.os_name),
        sys_info: known(&facts.os_name),
        uuid: host.uuid.to_string(),
        last_login_timestamp: Some(host.seen_at.0),
    };
    Ok(GetAssetDetailByUuid { asset_detail })
}

fn disk(disk: &Disk) -> DiskInfo {
    DiskInfo {
        disk_name: disk.device.clone(),
        total_size: disk.total_bytes >> 30,
        total_size_byte: disk.total_bytes,
        use_size: disk.used_bytes >> 30,
        use_size_byte: disk.used_bytes,
    }
}

/// `DescribeAgentInstallStatus`.
pub(super) async fn install_status(call: &Call<'_>) -> Result<DescribeAgentInstallStatus, Error> {
    let uuids: Vec<&str> = call
        .params
        .required("Uuids")?
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    if uuids.is_empty() || uuids.len() > UUIDS_MAX {
        let help = format!("names 1 to {UUIDS_MAX} uuids, comma-separated");
        return Err(Fault::invalid("Uuids", &help).into());
    }
    let mut rows = Vec::with_capacity(uuids.len());
    for uuid in uuids {
        let found = call.app.hosts.find(uuid).await?;
        let (message, result_code, result) = match found {
            Some(view) if view.online => ("Installed, online", "1010", 1),
            Some(_) => ("Installed", "0", 1),
            None => ("Not installed", "-1", -1),
        };
        rows.push(InstallStatus {
            message: message.to_owned(),
            result_code: result_code.to_owned(),
            result,
            uuid: uuid.to_owned(),
        });
    }
    Ok(DescribeAgentInstallStatus {
        aegis_client_invoke_status_response_list: rows,
    })
}

/// `PreviewTargets`.
pub(super) async fn preview_targets(call: &Call<'_>) -> Result<PreviewTargets, Error> {
    let (selector, uuids) = (call.selector()?, call.uuids()?);
    let resolver = &call.app.resolver;
    let preview = match selector {
        Some(_) if !uuids.is_empty() => {
            let help = "says which hosts, and so does Selector: give one of them";
            return Err(Fault::invalid("Uuids", help).into());
        }
        None if !uuids.is_empty() => resolver.preview_named(&uuids).await?,
        selector => resolver.preview(selector.as_ref()).await?,
    };
    let target = |it: &store::Host| Target {
        uuid: it.uuid.to_string(),
        name: it.name.clone(),
    };
    Ok(PreviewTargets {
        total_count: preview.hosts,
        online_count: preview.online,
        unknown_count: preview.unknown,
        sample: preview.sample.iter().map(target).collect(),
    })
}

/// `DescribeHostSnapshots`.
pub(super) async fn snapshots(call: &Call<'_>) -> Result<DescribeHostSnapshots, Error> {
    let uuid = call.params.required("Uuid")?;
    let mut items = read_items("Items", call.params.get("Items").unwrap_or_default().into())?;
    if items.is_empty() {
        items = AssetItem::ALL.to_vec();
    }
    let lists = call.app.hosts.inventory(uuid, &items).await?;
    let snapshot = |(list, age_ms): (Snapshot, i64)| {
        let kept = asset::any(&list.json).map_err(Error::internal)?;
        Ok(HostSnapshot {
            item: list.item.wire().to_owned(),
            taken_time: list.taken_at.0,
            age_seconds: age_ms / 1_000,
            task_id: list.leaf.to_string(),
            is_partial: kept.is_partial,
            entries: kept.entries,
        })
    };
    let snapshots: Result<Vec<_>, Error> = lists.into_iter().map(snapshot).collect();
    Ok(DescribeHostSnapshots {
        snapshots: snapshots?,
    })
}

/// `SetHostLabels`.
pub(super) async fn set_labels(call: &Call<'_>) -> Result<SetHostLabels, Error> {
    let uuids = call.uuids()?;
    let targets = match (call.selector()?, uuids.is_empty()) {
        (Some(selector), true) => Targets::Selector(selector),
        (None, false) => Targets::Uuids(uuids),
        (None, true) => return Err(Fault::missing("Uuids").into()),
        (Some(_), false) => {
            let help = "is given together with Uuids: only one of the two can be";
            return Err(Fault::invalid("Selector", help).into());
        }
    };
    let replaces = call.params.boolean("Replace")?.unwrap_or_default();
    let change = label::read_change(call.params.required("Labels")?, replaces)?;
    let hosts = &call.app.hosts;
    hosts.label(call.caller, &targets, &change).await
}

/// `RemoveHost`.
pub(super) async fn remove(call: &Call<'_>) -> Result<Done, Error> {
    let uuid = call.params.required("Uuid")?;
    call.app.hosts.remove(call.caller, uuid).await?;
    Ok(Done {})
}

/// `GetServerInfo`.
pub(super) async fn server_info(call: &Call<'_>) -> Result<GetServerInfo, Error> {
    call.app.server_info().await
}
