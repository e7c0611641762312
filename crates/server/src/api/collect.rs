//! Starts of collections: what is on the hosts is asked for anew.

use model::{AssetItem, HostUuid, TaskType};
use protocol::api::host::{ModifyPushAllTask, PushTask, PushTaskResult, RefreshAssets};
use protocol::api::param::TaskParam;
use protocol::error::Fault;
use serde_json::json;

use super::Call;
use super::host::Addresses;
use crate::service::Error;
use crate::service::host::HostView;
use crate::service::task::NewTask;

/// What `RefreshAssets` is asked for if it is not said: servers.
const SERVERS: &str = "ecs";

/// `RefreshAssets`: all that is collected, from every host that is connected.
pub(super) async fn refresh(call: &Call<'_>) -> Result<RefreshAssets, Error> {
    let task_id = match call.params.get("AssetType").unwrap_or(SERVERS) {
        SERVERS if call.app.hosts.online().is_empty() => None,
        SERVERS => {
            let param = json!({ "selector": "status = online" });
            Some(collect(call, "RefreshAssets", &param.to_string()).await?)
        }
        "cloud_product" | "container_image" => None,
        _ => {
            let help = "is `ecs`, `cloud_product` or `container_image`";
            return Err(Fault::invalid("AssetType", help).into());
        }
    };
    Ok(RefreshAssets { task_id })
}

/// `ModifyPushAllTask`: some items, from hosts that are named; those that are not connected are not waited for.
pub(super) async fn push(call: &Call<'_>) -> Result<ModifyPushAllTask, Error> {
    let items = items(call.params.required("Tasks")?)?;
    call.params.required("Uuids")?;
    let mut rows = Vec::new();
    let mut asked = Vec::new();
    for uuid in call.uuids()? {
        let view = call.app.hosts.find(uuid.as_str()).await?;
        let row = row(&uuid, view.as_ref(), !items.is_empty());
        asked.extend(row.success.then(|| row.uuid.clone()));
        rows.push(row);
    }
    let task_id = if asked.is_empty() {
        None
    } else {
        let param = json!({ "uuids": asked, "items": items });
        Some(collect(call, "ModifyPushAllTask", &param.to_string()).await?)
    };
    Ok(ModifyPushAllTask {
        push_task_rsp: PushTask {
            push_task_result_list: rows,
        },
        task_id,
    })
}

/// The names of those that are collected; the others that are documented are passed over.
fn items(text: &str) -> Result<Vec<&str>, Error> {
    let names = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let mut items = Vec::new();
    for name in names {
        let is_foreign =
            AssetItem::FOREIGN.contains(&name) || AssetItem::FOREIGN_CHECKS.contains(&name);
        if AssetItem::from_wire(name).is_some() {
            items.push(name);
        } else if !is_foreign {
            let known = AssetItem::ALL.map(AssetItem::wire).join(", ");
            let help = format!("names what nobody collects; collected are {known}");
            return Err(Fault::invalid("Tasks", &help).into());
        }
    }
    Ok(items)
}

fn row(uuid: &HostUuid, view: Option<&HostView>, is_collected: bool) -> PushTaskResult {
    let (online, message) = match view {
        None => (false, "there is no such host"),
        Some(it) if !it.online => (false, "the agent is offline"),
        Some(_) if !is_collected => (true, "nothing of what was asked for is collected"),
        Some(_) => (true, "successful"),
    };
    let addresses = view.map(|it| Addresses::of(&it.facts.addresses));
    PushTaskResult {
        instance_id: uuid.to_string(),
        instance_name: view.map(|it| it.host.name.clone()),
        ip: addresses.and_then(|it| it.internet.or(it.intranet)),
        message: message.to_owned(),
        online,
        os_version: view.map(|_| "linux".to_owned()),
        success: online && is_collected,
        uuid: uuid.to_string(),
    }
}

/// Creates the task, and returns its id.
async fn collect(call: &Call<'_>, name: &str, param_text: &str) -> Result<String, Error> {
    let task_type = TaskType::AssetsCollection;
    let new = NewTask {
        task_type,
        name,
        source: "",
        param: TaskParam::parse(task_type, param_text)?,
        param_text,
        nonce: call.nonce,
    };
    let root = call.app.tasks.create(call.caller, new).await?;
    Ok(root.id.to_string())
}
