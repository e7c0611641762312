//! The hosts, chosen by the same language as a task's targets.

use axum::extract::Query;
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use protocol::api::host::{DescribeCloudCenterInstances, Instance};
use serde::Deserialize;

use super::super::page::page as frame;
use super::super::part;
use super::super::refusal::{Answer, Refuse as _};
use super::super::time::moment;
use super::super::visitor::Visitor;
use super::super::words::Words;
use protocol::error::Code;

/// What of the list is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    q: String,
    page: Option<u64>,
}

/// The page.
pub(crate) async fn page(visitor: Visitor, Query(shown): Query<Shown>) -> Answer {
    let w = Words(visitor.look.language);
    let page = shown.page.unwrap_or(1).to_string();
    let mut params = vec![("CurrentPage", page.as_str()), ("PageSize", "50")];
    if !shown.q.trim().is_empty() {
        params.push(("Selector", &shown.q));
    }
    let asked = visitor
        .ask::<DescribeCloudCenterInstances>("DescribeCloudCenterInstances", &params)
        .await;
    // A filter that cannot be read is shown beside what was typed.
    let (found, complaint) = match asked {
        Err(error) if error.fault.code == Code::InvalidParameter => (
            DescribeCloudCenterInstances::default(),
            Some(error.fault.message),
        ),
        other => (other.or_refuse(visitor.look)?, None),
    };
    let address = |page: u64| {
        let page = page.to_string();
        part::address("/console/hosts", &[("q", &shown.q), ("page", &page)])
    };
    let body = html! {
        h1 { (w.hosts()) }
        form.filter method="get" action="/console/hosts" role="search" {
            input name="q" type="search" value=(shown.q) placeholder=(w.filter_hint()) aria-label=(w.filter()) data-filter="" spellcheck="false" autocapitalize="off";
            button type="submit" { (w.filter()) }
        }
        @if let Some(complaint) = &complaint { p.complaint role="alert" { (complaint) } }
        (table(&found.instances, &visitor, shown.q.is_empty()))
        (part::pager(found.page_info, &address, w))
    };
    Ok(frame(&visitor, w.hosts(), "/console/hosts", body).into_response())
}

fn table(hosts: &[Instance], visitor: &Visitor, all: bool) -> Markup {
    let language = visitor.look.language;
    let w = Words(language);
    if hosts.is_empty() && all {
        return html! { p.empty { (w.no_hosts()) " " code { "sickbay install-code create" } } };
    }
    if hosts.is_empty() {
        return html! { p.empty { (w.no_match()) } };
    }
    html! {
        div.scroll tabindex="0" { table.rows {
            thead { tr { th { (w.host()) } th { (w.status()) } th { (w.address()) } th { (w.system()) } th { (w.labels()) } th { (w.version()) } th { (w.last_contact()) } } }
            tbody { @for it in hosts { tr {
                td { a href={ "/console/hosts/" (it.uuid) } { (it.instance_name) } }
                td { (presence(&it.client_status, w)) }
                td { (it.ip.as_deref().unwrap_or_default()) }
                td { (it.os_name.as_deref().unwrap_or_default()) }
                td { @for (key, value) in &it.labels { span.label { (key) "=" (value) } " " } }
                td { (it.client_version.as_deref().unwrap_or_default()) }
                td { @if let Some(at) = it.last_login_timestamp.filter(|_| it.client_status != "online") { (moment(at, visitor.now(), language)) } }
            } } }
        } }
    }
}

/// Whether a host is connected: colour, shape and word.
pub(crate) fn presence(client_status: &str, w: Words) -> Markup {
    let online = client_status == "online";
    html! { span.status.(if online { "success" } else { "offline" }) { (if online { w.online() } else { w.offline() }) } }
}
