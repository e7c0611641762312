//! The first page: how the fleet is, and what runs.

use axum::response::IntoResponse as _;
use maud::html;
use protocol::api::access::GetServerInfo;
use protocol::api::task::{DescribeOnceTask, Task};

use super::page::page as frame;
use super::refusal::{Answer, Refuse as _};
use super::task::list;
use super::visitor::Visitor;
use super::words::Words;

/// The page.
pub(super) async fn page(visitor: Visitor) -> Answer {
    let w = Words(visitor.look.language);
    let info: Result<GetServerInfo, _> = visitor.ask("GetServerInfo", &[]).await;
    let mut tasks: Vec<Task> = Vec::new();
    for task_type in model::TaskType::ALL {
        let params = [("TaskType", task_type.wire()), ("PageSize", "10")];
        // Who may not see one kind of tasks sees the others.
        if let Ok(found) = visitor
            .ask::<DescribeOnceTask>("DescribeOnceTask", &params)
            .await
        {
            tasks.extend(found.task_manage_response_list);
        }
    }
    tasks.sort_by_key(|it| std::cmp::Reverse(it.task_start_time));
    let running = tasks.iter().filter(|it| it.unfinished_count > 0);
    let running = list::table(&running.cloned().collect::<Vec<_>>(), &visitor);
    tasks.truncate(10);
    let body = html! {
        h1 { (w.overview()) }
        @if let Ok(info) = &info {
            dl.figures {
                div { dt { (w.hosts()) } dd { a href="/console/hosts" { (info.hosts) } } }
                div { dt { (w.online()) } dd.success { (info.hosts_online) } }
                div { dt { (w.offline()) } dd { (info.hosts.saturating_sub(info.hosts_online)) } }
                div { dt { (w.running_now()) } dd { (info.roots_running) } }
            }
        }
        section { h2 { (w.running_now()) } (running) }
        section { h2 { (w.recent()) } (list::table(&tasks, &visitor)) }
    };
    if tasks.is_empty() {
        // What may be seen at all is asked once more, so that a refusal is told and not an empty page.
        let params = [("TaskType", model::TaskType::ClientProblemCheck.wire())];
        let asked: Result<DescribeOnceTask, _> = visitor.ask("DescribeOnceTask", &params).await;
        asked.or_refuse(visitor.look)?;
    }
    Ok(frame(&visitor, w.overview(), "/console", body).into_response())
}
