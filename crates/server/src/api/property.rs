//! What is on hosts, entry by entry.

use std::collections::HashMap;
use std::sync::Arc;

use model::{AssetItem, limits};
use protocol::answer::{Account, Package, Port, Process};
use protocol::api::property::{
    Origin, PortProperty, ProcessProperty, Properties, PropertyPage, SoftwareProperty,
    UserProperty, time_text,
};
use protocol::asset;
use protocol::error::Fault;
use serde::de::DeserializeOwned;
use store::{HostNo, Snapshot, Window};

use super::Call;
use super::host::Addresses;
use crate::service::Error;
use crate::service::host::HostView;
use crate::service::property::Found;
use crate::service::property::index::{Filter, Part, Place, Text};

/// A list of one kind with the host it is of.
struct Listed<T> {
    origin: Origin,
    entries: Vec<T>,
}

/// `DescribePropertyProcDetail`.
pub(super) async fn processes(call: &Call<'_>) -> Result<Properties<ProcessProperty>, Error> {
    let texts = [
        name(call, "Name")?,
        text(call, "User"),
        text(call, "Cmdline"),
    ];
    let window = call.window("ProcTimeStart", "ProcTimeEnd")?;
    answer(call, AssetItem::Processes, texts, window, process).await
}

fn process(list: &Listed<Process>, at: usize) -> Option<ProcessProperty> {
    let it = list.entries.get(at)?;
    let parent = list.entries.iter().find(|other| other.pid == it.ppid);
    Some(ProcessProperty {
        origin: list.origin.clone(),
        cmdline: it.cmdline.clone(),
        name: it.name.clone(),
        path: known(&it.path),
        pid: it.pid.to_string(),
        pname: parent.map(|it| it.name.clone()),
        start_time: time_text(it.started_ms),
        start_time_dt: it.started_ms,
        state: state(&it.state).to_owned(),
        user: it.user.clone(),
    })
}

/// The word for a letter of proc_pid_stat(5).
fn state(letter: &str) -> &str {
    match letter {
        "R" => "running",
        "S" => "sleeping",
        "D" => "disk sleep",
        "T" => "stopped",
        "t" => "tracing stop",
        "X" => "dead",
        "Z" => "zombie",
        "I" => "idle",
        other => other,
    }
}

/// `DescribePropertyPortDetail`.
pub(super) async fn ports(call: &Call<'_>) -> Result<Properties<PortProperty>, Error> {
    let texts = [
        text(call, "Port"),
        text(call, "BindIp"),
        name(call, "ProcName")?,
    ];
    answer(call, AssetItem::Ports, texts, Window::default(), port).await
}

fn port(list: &Listed<Port>, at: usize) -> Option<PortProperty> {
    let it = list.entries.get(at)?;
    Some(PortProperty {
        origin: list.origin.clone(),
        bind_ip: it.address.clone(),
        pid: it.pid.map(|it| it.to_string()),
        port: it.port.to_string(),
        proc_name: known(&it.process),
        proto: it.protocol.clone(),
    })
}

/// `DescribePropertyUserDetail`.
pub(super) async fn users(call: &Call<'_>) -> Result<Properties<UserProperty>, Error> {
    let is_root = call.params.get("IsRoot");
    if is_root.is_some_and(|it| it != "0" && it != "1") {
        return Err(Fault::invalid("IsRoot", "is `0` or `1`").into());
    }
    let texts = [name(call, "User")?, text(call, "IsRoot"), None];
    let window = call.window("LastLoginTimeStart", "LastLoginTimeEnd")?;
    answer(call, AssetItem::Accounts, texts, window, user).await
}

fn user(list: &Listed<Account>, at: usize) -> Option<UserProperty> {
    let it = list.entries.get(at)?;
    let taken = list.origin.create_timestamp;
    let is_over = |end: Option<i64>| u8::from(end.is_some_and(|it| it <= taken));
    Some(UserProperty {
        origin: list.origin.clone(),
        accounts_expiration_date: it.expiry.map(|it| day(it.account_ms)),
        group_names: it.groups.clone(),
        is_could_login: it.can_login.into(),
        is_passwd_expired: it.expiry.map(|it| is_over(it.password_ms)),
        is_passwd_locked: it.password_locked.map(Into::into),
        is_root: u8::from(it.uid == 0).to_string(),
        is_sudoer: it.sudoer.map(Into::into),
        is_user_expired: it.expiry.map(|it| is_over(it.account_ms)),
        last_login_ip: known(&it.last_login_from),
        last_login_time: it.last_login_ms.map(time_text),
        last_login_time_dt: it.last_login_ms,
        last_login_timestamp: it.last_login_ms,
        password_expiration_date: it.expiry.map(|it| day(it.password_ms)),
        user: it.name.clone(),
    })
}

/// The day of a time, or that it never comes.
fn day(at: Option<i64>) -> String {
    let text = at.map_or_else(|| "never".to_owned(), time_text);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// `DescribePropertySoftwareDetail`.
pub(super) async fn software(call: &Call<'_>) -> Result<Properties<SoftwareProperty>, Error> {
    let texts = [
        name(call, "Name")?,
        text(call, "SoftwareVersion"),
        text(call, "Path"),
    ];
    let window = call.window("InstallTimeStart", "InstallTimeEnd")?;
    answer(call, AssetItem::Packages, texts, window, package).await
}

fn package(list: &Listed<Package>, at: usize) -> Option<SoftwareProperty> {
    let it = list.entries.get(at)?;
    Some(SoftwareProperty {
        origin: list.origin.clone(),
        install_time: it.installed_ms.map(time_text),
        install_time_dt: it.installed_ms,
        name: it.name.clone(),
        path: known(&it.path),
        version: it.version.clone(),
    })
}

fn text(call: &Call<'_>, parameter: &str) -> Option<Text> {
    call.params.get(parameter).map(|it| Text::Is(it.to_owned()))
}

/// The filter that `Extend` makes a search.
fn name(call: &Call<'_>, parameter: &str) -> Result<Option<Text>, Error> {
    let is_part = match call.params.get("Extend") {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(Fault::invalid("Extend", "is `0` or `1`").into()),
    };
    let text = call.params.get(parameter);
    Ok(text.map(|it| match is_part {
        true => Text::Has(it.to_lowercase()),
        false => Text::Is(it.to_owned()),
    }))
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Finds entries and shows them.
async fn answer<T: DeserializeOwned, P>(
    call: &Call<'_>,
    item: AssetItem,
    texts: [Option<Text>; 3],
    window: Window,
    show: impl Fn(&Listed<T>, usize) -> Option<P>,
) -> Result<Properties<P>, Error> {
    let filter = Filter {
        item,
        texts,
        window,
        hosts: hosts(call).await?,
    };
    let size = limits::PROPERTY_PAGE_SIZE_DEFAULT;
    let page = call.page(size, limits::PAGE_SIZE_MAX)?;
    let by_token = call.params.boolean("UseNextToken")?.unwrap_or_default();
    let part = if by_token {
        Part::Beyond(token(call)?)
    } else {
        Part::From(page.offset())
    };
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let found = call.app.properties.find(&filter, part, size).await?;
    let propertys = shown(call, &found, show).await?;
    let page_info = PropertyPage {
        count: u32::try_from(propertys.len()).unwrap_or(u32::MAX),
        current_page: (!by_token).then_some(page.number),
        page_size: page.size,
        total_count: (!by_token).then_some(found.total),
        next_token: found.next.filter(|_| by_token).map(written),
    };
    Ok(Properties {
        page_info,
        propertys,
    })
}

/// The hosts asked for: none for all.
async fn hosts(call: &Call<'_>) -> Result<Option<Vec<HostNo>>, Error> {
    let properties = &call.app.properties;
    let uuid = match call.params.get("Uuid") {
        Some(uuid) => Some(properties.hosts_of_uuid(uuid).await?),
        None => None,
    };
    let Some(remark) = call.params.get("Remark") else {
        return Ok(uuid);
    };
    let mut hosts = properties.hosts_of_remark(remark).await?;
    hosts.retain(|it| uuid.as_ref().is_none_or(|own| own.contains(it)));
    Ok(Some(hosts))
}

/// The place that a token tells.
fn token(call: &Call<'_>) -> Result<Option<Place>, Error> {
    let Some(token) = call.params.get("NextToken") else {
        return Ok(None);
    };
    let read = token.split_once('-').and_then(|(host, entry)| {
        Some(Place {
            host: HostNo(host.parse().ok()?),
            entry: entry.parse().ok()?,
        })
    });
    let help = "is not one that was answered to this question";
    read.map(Some)
        .ok_or_else(|| Fault::invalid("NextToken", help).into())
}

fn written(place: Place) -> String {
    format!("{}-{}", place.host.0, place.entry)
}

/// The entries that were found as the API shows them.
async fn shown<T: DeserializeOwned, P>(
    call: &Call<'_>,
    found: &Found,
    show: impl Fn(&Listed<T>, usize) -> Option<P>,
) -> Result<Vec<P>, Error> {
    let mut numbers: Vec<HostNo> = found.entries.iter().map(|it| it.0.host).collect();
    numbers.dedup();
    let views = call.app.hosts.views(&numbers).await?;
    let views: HashMap<HostNo, HostView> =
        views.into_iter().map(|it| (it.host.number, it)).collect();
    let mut shown = Vec::with_capacity(found.entries.len());
    for one in found
        .entries
        .chunk_by(|one, next| Arc::ptr_eq(&one.0, &next.0))
    {
        let Some((list, view)) = one.first().and_then(|(list, _)| {
            let view = views.get(&list.host)?;
            Some((list, view))
        }) else {
            continue;
        };
        let entries = asset::typed(&list.json).map_err(Error::internal)?.entries;
        let listed = Listed {
            origin: origin(view, list),
            entries,
        };
        shown.extend(one.iter().filter_map(|(_, at)| show(&listed, *at)));
    }
    Ok(shown)
}

fn origin(view: &HostView, list: &Snapshot) -> Origin {
    let addresses = Addresses::of(&view.facts.addresses);
    Origin {
        create_timestamp: list.taken_at.0,
        instance_id: view.host.uuid.to_string(),
        instance_name: view.host.name.clone(),
        ip: addresses
            .internet
            .clone()
            .or_else(|| addresses.intranet.clone()),
        internet_ip: addresses.internet,
        intranet_ip: addresses.intranet,
        uuid: view.host.uuid.to_string(),
    }
}
