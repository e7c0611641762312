//! What every store must do: one list of cases for all backends.
//!
//! Owns the cases and the naive model that pages are compared with. A backend's test calls
//! [`store_conformance!`](crate::store_conformance) with an expression that makes a new, empty
//! place and returns a function that opens the store there. Cases drop the store and open it again:
//! what was acknowledged must be there.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests; they are public so that backends elsewhere can run them"
)]
#![expect(missing_docs, reason = "the names of the cases are sentences")]

mod access;
mod audit;
mod drop;
mod host;
mod leaf;
mod many;
mod naive;
mod outcome;
mod pack;
mod pages;
mod root;
mod snapshot;

use model::{Event, Reason, RootId, Said, TaskType, UnixMillis, Verdict};

pub use self::access::*;
pub use self::audit::*;
pub use self::drop::*;
pub use self::host::*;
pub use self::leaf::*;
pub use self::many::*;
pub use self::outcome::*;
pub use self::pack::*;
pub use self::pages::*;
pub use self::root::*;
pub use self::snapshot::*;
use crate::{Applied, Error, HostNo, LeafAnswer, LeafEvent, NewRoot, PageRequest, Store};

/// Makes one test of each case. The argument is evaluated once per test, in an empty place, and
/// gives a `Fn() -> impl Store`.
#[macro_export]
macro_rules! store_conformance {
    ($open:expr) => {
        $crate::store_conformance! { $open;
            a_root_reads_back_as_it_was_created
            the_same_request_creates_only_once
            the_same_key_with_another_request_is_refused
            a_root_never_starts_before_the_one_before_it
            roots_are_paged_newest_first_within_type_source_and_window
            a_root_is_cancelled_once
            a_root_without_leaves_has_ended
            hosts_out_of_order_are_refused
            one_root_takes_the_most_hosts
            a_leaf_goes_its_way_and_ends_its_root
            the_first_final_event_wins
            a_bad_event_spoils_only_itself
            a_taken_leaf_waits_again_after_a_crash_if_its_work_only_reads
            why_a_taken_leaf_ended_is_known_after_a_crash
            a_leaf_of_a_cancelled_root_is_not_taken
            problems_come_first_then_what_is_unfinished
            what_was_acknowledged_is_there_after_a_crash
            cancelling_spares_what_a_node_has_taken
            an_event_on_all_leaves_counts_each_of_them
            late_news_about_a_finished_root_changes_nothing
            the_unfinished_leaves_of_a_host_are_found_oldest_first
            an_answer_may_be_as_long_as_the_limit_and_no_longer
            many_callers_at_once_all_get_their_own_results
            readers_see_one_moment_while_a_root_ends
            hosts_that_answered_the_same_are_counted_together
            outcomes_beyond_the_limit_are_one_group_of_each_status
            every_page_is_as_a_naive_model_has_it
            statuses_across_a_thousand_roots_are_as_a_naive_model_has_them
            every_page_stays_right_when_the_oldest_roots_are_dropped
            a_root_that_runs_and_the_newest_are_not_dropped
            dropping_goes_on_where_it_stopped_and_is_never_half_seen
            every_answer_is_read_while_a_root_is_packed_and_afterwards
            answers_that_do_not_fit_into_memory_together_are_packed_too
            a_root_is_dropped_while_it_is_packed
            hosts_are_added_seen_and_removed
            labels_change_together_and_stay
            hosts_are_paged_by_number_and_by_filter
            the_last_list_of_a_host_is_kept_with_its_result
            install_codes_are_kept_newest_first
            users_have_keys_and_policies
            the_audit_log_is_a_chain_across_restarts
            tokens_expire_and_go_with_their_user
            a_setting_is_stored_only_once
            a_nonce_is_used_once_even_across_a_restart
            a_closed_store_says_so
        }
    };
    ($open:expr; $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::$case($open).await;
            }
        )*
    };
}

/// Start of time in the cases.
const START: UnixMillis = UnixMillis(1_700_000_000_000);

const SUCCESS: Event = Event::Ended {
    verdict: Verdict::Success,
    reason: Reason::None,
};
const FAIL: Event = Event::Ended {
    verdict: Verdict::Fail,
    reason: Reason::ExitCode,
};

/// A root of its own id and request key.
pub(crate) fn new_root(number: u8, at: UnixMillis) -> NewRoot {
    NewRoot {
        id: RootId::new(at, [number; 6]),
        task_type: TaskType::ClientDevOps,
        name: format!("task {number}"),
        source: "console".into(),
        operator: "operator".into(),
        work: r#"{"command":"true"}"#.into(),
        created_at: at,
        deadline: at.plus(3_600_000),
        request_key: format!("request {number}"),
        request_digest: [number; 32],
        rerun_of: None,
        plan: "concurrency=9 waves=1,50% stop=3 leaf-ms=60000"
            .parse()
            .unwrap(),
    }
}

fn hosts(count: i64) -> Vec<HostNo> {
    (1..=count).map(HostNo).collect()
}

/// Creates a root with hosts 1 to `leaves`.
async fn create(store: &impl Store, number: u8, leaves: i64) -> RootId {
    let at = START.plus(i64::from(number) * 1_000);
    let created = store.root_create(new_root(number, at), hosts(leaves)).await;
    created.unwrap().id
}

fn event(root: RootId, number: u32, event: Event) -> LeafEvent {
    LeafEvent {
        leaf: root.leaf(number),
        event,
        answer: None,
    }
}

fn answered(root: RootId, number: u32, what: Event, answer: &str) -> LeafEvent {
    LeafEvent {
        answer: Some(said(answer.as_bytes(), 1)),
        ..event(root, number, what)
    }
}

/// An answer of the `kind`th kind.
fn said(json: &[u8], kind: u8) -> LeafAnswer {
    LeafAnswer {
        json: json.to_vec(),
        said: Said::new([kind; 14], format!("kind {kind}")),
        snapshots: Vec::new(),
    }
}

async fn apply(store: &impl Store, one: LeafEvent, now: UnixMillis) -> Result<Applied, Error> {
    let mut results = store.leaf_apply_many(vec![one], now).await?;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

async fn assert_verified(store: &impl Store) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

const fn page(number: u64, size: u32) -> PageRequest {
    PageRequest { number, size }
}
