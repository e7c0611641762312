//! The task page while its task runs: what changed is sent at most twice a second.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, Query};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;

use super::super::refusal::{Answer, Refuse as _};
use super::super::visitor::Visitor;
use super::{Shown, View};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// After so many looks without a change it is asked whether the session still stands.
const LOOKS: u32 = 60;

/// The stream: a message is the content of the page, `ended` the last one.
pub(crate) async fn stream(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Answer {
    let look = visitor.look;
    View::ask(&visitor, &id, &shown).await.or_refuse(look)?;
    let watch = Watch {
        path: format!("/console/tasks/{id}"),
        visitor,
        id,
        shown,
        seen: None,
        sent: String::new(),
        ended: false,
    };
    let events = stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(20));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

struct Watch {
    visitor: Visitor,
    id: String,
    path: String,
    shown: Shown,
    /// The count of changes at the last look.
    seen: Option<u64>,
    /// What was sent last.
    sent: String,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let stopping = self.visitor.stopping();
        let mut looks = 0;
        loop {
            let changes = self.visitor.changes();
            if self.seen != Some(changes) || looks >= LOOKS {
                if !self.visitor.is_still_here().await {
                    return None;
                }
                self.seen = Some(changes);
                looks = 0;
                let view = View::ask(&self.visitor, &self.id, &self.shown).await.ok()?;
                if view.root.unfinished_count == 0 {
                    // The page is loaded anew: it has other actions now.
                    self.ended = true;
                    return Some(Event::default().event("ended").data("1"));
                }
                let content = view
                    .content(&self.visitor, &self.path, &self.shown)
                    .into_string();
                if content != self.sent {
                    self.sent.clone_from(&content);
                    return Some(Event::default().data(content));
                }
            }
            looks += 1;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stopping.cancelled() => return None,
            }
        }
    }
}
