//! Orders: what runs, what does not, and what is answered.

use super::*;

#[tokio::test]
async fn an_order_runs_once_however_often_it_is_sent() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let signed = fixture.node.sign(&order(leaf(1), "done"));
        peer.order(&signed).await;
        peer.receipt(leaf(1)).await;
        let result = peer.result(leaf(1)).await;
        is(&result, 2, "");
        peer.order(&signed).await;
        assert_eq!(peer.result(leaf(1)).await, result);
        peer.ack(leaf(1)).await;
        peer.order(&signed).await;
        assert_eq!(peer.result(leaf(1)).await, result);
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_unconfirmed_result_is_sent_again_on_the_next_session() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, Vec::<String>::new());
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.receipt(leaf(1)).await;
        let result = peer.result(leaf(1)).await;
        drop(peer);

        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, [leaf(1).to_string()]);
        assert_eq!(peer.result(leaf(1)).await, result);
        peer.ack(leaf(1)).await;
        // A refusal is answered after the acknowledgement was taken: then nothing is held.
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.result(leaf(1)).await;
        drop(peer);
        let peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, Vec::<String>::new());
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn orders_that_must_not_run_are_answered_and_do_not_run() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            commands: false,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        let now = config::now().0;
        let good = || order(leaf(1), "done");
        let mut other_host = good();
        other_host.host_uuid = "inet-2".into();
        let mut late = order(leaf(2), "done");
        late.deadline_ms = now - 1_000;
        let mut mismatch = order(leaf(4), "done");
        mismatch.task_type = 1;
        let mut unknown = order(leaf(5), "done");
        unknown.work = r#"{"kind":"dance"}"#.into();
        let forbidden = order(leaf(6), "done");
        let sound = |order: &Order| fixture.node.sign(order);
        let mut altered = sound(&good());
        altered.signature[0] ^= 1;
        for (signed, number, status, reason, word) in [
            (sign(&good(), &key(2)), 1, 3, "refused", "does not know"),
            (altered, 1, 3, "refused", "altered or forged"),
            (sound(&other_host), 1, 3, "refused", "another host"),
            (sound(&late), 2, 4, "deadline", "had passed"),
            (sound(&mismatch), 4, 3, "refused", "not of its task type"),
            (sound(&unknown), 5, 3, "refused", "does not know such work"),
            (sound(&forbidden), 6, 3, "refused", "(commands)"),
        ] {
            peer.order(&signed).await;
            let result = peer.result(leaf(number)).await;
            is(&result, status, reason);
            assert!(message(&result).contains(word), "{}", message(&result));
        }
        assert_eq!(fixture.runs(), 0);
        drop(peer);
        // What nobody vouched for left no trace.
        let peer = fixture.node.accept().await;
        let held = [2, 4, 5, 6].map(|it| leaf(it).to_string());
        assert_eq!(peer.hello.held_leaf_ids, held);
    })
    .await;
}

#[tokio::test]
async fn cancelling_ends_what_runs_and_what_waits() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            work_at_once_max: 1,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        for number in [1, 2, 3] {
            let signed = fixture.node.sign(&order(leaf(number), "wait"));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
        }
        peer.cancel(leaf(2)).await;
        let result = peer.result(leaf(2)).await;
        is(&result, 3, "cancelled");
        assert_eq!(message(&result), "cancelled before it ran");
        assert_eq!(fixture.runs(), 1);
        // A repeat of what runs is confirmed and not started again.
        peer.order(&fixture.node.sign(&order(leaf(1), "wait")))
            .await;
        peer.receipt(leaf(1)).await;
        for number in [1, 3] {
            peer.cancel(leaf(number)).await;
            is(&peer.result(leaf(number)).await, 3, "cancelled");
        }
        assert_eq!(fixture.runs(), 2);
    })
    .await;
}

#[tokio::test]
async fn so_many_orders_may_wait_and_no_more() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            work_at_once_max: 1,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        let most = u32::try_from(desk::ORDERS_WAITING_MAX).unwrap() + 1;
        for number in 1..=most {
            let signed = fixture.node.sign(&order(leaf(number), "wait"));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
        }
        let one_more = fixture.node.sign(&order(leaf(most + 1), "wait"));
        peer.order(&one_more).await;
        is(&peer.result(leaf(most + 1)).await, 3, "not_started");
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_order_holds() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let most = u32::try_from(desk::CANCELLED_MAX).unwrap();
        // One too many: the oldest is forgotten.
        for number in 1..=most + 1 {
            peer.cancel(leaf(number)).await;
        }
        for number in [2, most + 1] {
            let signed = fixture.node.sign(&order(leaf(number), "done"));
            peer.order(&signed).await;
            let result = peer.result(leaf(number)).await;
            is(&result, 3, "cancelled");
            assert_eq!(message(&result), "cancelled before it ran");
        }
        assert_eq!(fixture.runs(), 0);
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.receipt(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 2, "");
    })
    .await;
}

#[tokio::test]
async fn the_nodes_clock_may_be_set_while_the_session_lasts() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let now = config::now().0;
        let hour = 3_600_000;
        let issued_at = |number, at: i64| {
            let mut order = order(leaf(number), "done");
            order.issued_ms = at;
            order.deadline_ms = at + 60_000;
            fixture.node.sign(&order)
        };
        // An order of a node that is ahead tells the time itself.
        peer.order(&issued_at(1, now + hour)).await;
        peer.receipt(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 2, "");
        peer.order(&issued_at(2, now)).await;
        is(&peer.result(leaf(2)).await, 4, "deadline");
        // A node whose clock was set back says so with its next sign of life.
        peer.beat(now - 2 * hour).await;
        peer.order(&issued_at(3, now - 2 * hour)).await;
        peer.receipt(leaf(3)).await;
        is(&peer.result(leaf(3)).await, 2, "");
        // An older node's says nothing.
        peer.beat(0).await;
        peer.order(&issued_at(4, now - 2 * hour)).await;
        peer.receipt(leaf(4)).await;
        is(&peer.result(leaf(4)).await, 2, "");
    })
    .await;
}

#[tokio::test]
async fn work_that_breaks_ends_its_leaf_and_nothing_else() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            work_at_once_max: 1,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        for (number, command, status, reason) in
            [(1, "panic", 3, "agent_fault"), (2, "done", 2, "")]
        {
            let signed = fixture.node.sign(&order(leaf(number), command));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
            is(&peer.result(leaf(number)).await, status, reason);
        }
    })
    .await;
}
