//! Cases about the audit log.

use model::UnixMillis;

use super::{START, assert_verified};
use crate::{AUDIT_DIGEST_BYTES, AuditEntry, AuditQuery, NewAudit, Store, Window, audit_digest};

fn entry(at: UnixMillis, user: &str, action: &str) -> NewAudit {
    NewAudit {
        at,
        user: user.into(),
        action: action.into(),
        text: format!(r#"{{"by":"{user}"}}"#),
    }
}

async fn numbers(store: &impl Store, query: AuditQuery) -> Vec<i64> {
    let query = AuditQuery { size: 10, ..query };
    let page = store.audit_page(query).await.unwrap();
    page.iter().map(|it| it.no).collect()
}

pub async fn the_audit_log_is_a_chain_across_restarts<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let first = vec![
        entry(START, "ann", "CreateUser"),
        entry(START.plus(10), "bob", "CancelOnceTask"),
    ];
    store.audit_append(first).await.unwrap();
    drop(store);
    let store = open();
    // The clock went back: the order stands.
    let late = vec![entry(START.plus(5), "ann", "CancelOnceTask")];
    store.audit_append(late).await.unwrap();
    let all = AuditQuery {
        size: 10,
        ..AuditQuery::default()
    };
    let mut page: Vec<AuditEntry> = store.audit_page(all.clone()).await.unwrap();
    page.reverse();
    let mut before = [0; AUDIT_DIGEST_BYTES];
    for (it, no) in page.iter().zip(1..) {
        assert_eq!(
            (it.no, it.digest),
            (no, audit_digest(&before, no, &it.entry))
        );
        before = it.digest;
    }
    assert_eq!(page[2].entry.at, START.plus(10));
    assert_verified(&store).await;

    let of = |user: Option<&str>, action: Option<&str>| AuditQuery {
        user: user.map(Into::into),
        action: action.map(Into::into),
        ..AuditQuery::default()
    };
    assert_eq!(numbers(&store, of(Some("ann"), None)).await, [3, 1]);
    assert_eq!(
        numbers(&store, of(None, Some("CancelOnceTask"))).await,
        [3, 2]
    );
    assert_eq!(
        numbers(&store, of(Some("bob"), Some("CreateUser"))).await,
        [0; 0]
    );
    let in_time = |start, end| AuditQuery {
        window: Window { start, end },
        ..AuditQuery::default()
    };
    assert_eq!(
        numbers(&store, in_time(Some(START.plus(1)), None)).await,
        [3, 2]
    );
    assert_eq!(
        numbers(&store, in_time(None, Some(START.plus(9)))).await,
        [1]
    );
    assert_eq!(
        numbers(&store, in_time(Some(START.plus(11)), None)).await,
        [0; 0]
    );
    let older = AuditQuery {
        before: Some(3),
        ..AuditQuery::default()
    };
    assert_eq!(numbers(&store, older).await, [2, 1]);
    let one = AuditQuery { size: 1, ..all };
    assert_eq!(store.audit_page(one).await.unwrap().len(), 1);
}
