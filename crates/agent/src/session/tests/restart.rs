//! What becomes of orders when the agent stops, dies and starts again.

use model::TaskType;
use protocol::work::AssetsWork;

use super::node::Peer;
use super::*;

#[tokio::test]
async fn an_agent_that_stops_ends_its_work_and_reports_it() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "wait")))
            .await;
        peer.receipt(leaf(1)).await;
        agent.stop.send(()).unwrap();
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        peer.ack(leaf(1)).await;
        assert_eq!(peer.try_hear().await, None);
        agent.agent.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn work_that_a_crash_cut_short_is_reported_and_not_run_again() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let signed = fixture.node.sign(&order(leaf(1), "wait"));
        peer.order(&signed).await;
        peer.receipt(leaf(1)).await;
        agent.die().await;

        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        peer.order(&signed).await;
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

fn one_at_a_time() -> Policy {
    Policy {
        work_at_once_max: 1,
        ..Policy::default()
    }
}

/// An agent on which leaf 1 runs and those from 2 to `last` wait.
async fn busy(fixture: &Fixture, last: u32) -> (Running, Peer) {
    let agent = fixture.agent(one_at_a_time());
    let mut peer = fixture.node.accept().await;
    for number in 1..=last {
        let command = if number == 1 { "wait" } else { "done" };
        let order = order(leaf(number), command);
        peer.order(&fixture.node.sign(&order)).await;
        peer.receipt(leaf(number)).await;
    }
    (agent, peer)
}

#[tokio::test]
async fn orders_that_waited_when_the_agent_died_are_run_at_the_next_start() {
    limited(async {
        let fixture = Fixture::new().await;
        let (agent, _) = busy(&fixture, 4).await;
        agent.die().await;

        let agent = fixture.agent(one_at_a_time());
        let mut peer = fixture.node.accept().await;
        let held = [1, 2, 3, 4].map(|it| leaf(it).to_string());
        assert_eq!(peer.hello.held_leaf_ids, held);
        // Cancelled while the agent was away: known before anything starts.
        peer.cancel(leaf(2)).await;
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        is(&peer.result(leaf(2)).await, 3, "cancelled");
        assert_eq!(fixture.runs(), 1);
        peer.beat(config::now().0).await;
        is(&peer.result(leaf(3)).await, 2, "");
        is(&peer.result(leaf(4)).await, 2, "");
        assert_eq!(fixture.runs(), 3);
        agent.die().await;

        // Nothing is run a second time.
        let _agent = fixture.agent(one_at_a_time());
        let mut peer = fixture.node.accept().await;
        for number in [1, 2, 3, 4] {
            peer.result(leaf(number)).await;
        }
        assert_eq!(fixture.runs(), 3);
    })
    .await;
}

#[tokio::test]
async fn orders_that_waited_too_long_for_a_start_are_not_run() {
    limited(async {
        let fixture = Fixture::new().await;
        let (agent, _) = busy(&fixture, 2).await;
        agent.die().await;
        let _agent = fixture.agent(one_at_a_time());
        let mut peer = fixture.node.accept().await;
        peer.result(leaf(1)).await;
        peer.beat(config::now().0 + 2 * 3_600_000).await;
        is(&peer.result(leaf(2)).await, 4, "deadline");
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn orders_that_wait_when_the_agent_is_told_to_stop_stay_for_the_next_start() {
    limited(async {
        let fixture = Fixture::new().await;
        let (agent, mut peer) = busy(&fixture, 2).await;
        agent.stop.send(()).unwrap();
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        peer.ack(leaf(1)).await;
        assert_eq!(peer.try_hear().await, None);
        agent.agent.await.unwrap();

        let _agent = fixture.agent(one_at_a_time());
        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, [leaf(2).to_string()]);
        peer.beat(config::now().0).await;
        is(&peer.result(leaf(2)).await, 2, "");
        assert_eq!(fixture.runs(), 2);
    })
    .await;
}

#[tokio::test]
async fn work_that_only_reads_is_run_again() {
    limited(async {
        let fixture = Fixture::new().await;
        let work = Work::Assets(AssetsWork { items: Vec::new() });
        let order = Order {
            task_type: u32::from(TaskType::AssetsCollection.number()),
            work: serde_json::to_string(&work).unwrap(),
            ..order(leaf(1), "")
        };
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order)).await;
        peer.receipt(leaf(1)).await;
        agent.die().await;

        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.beat(config::now().0).await;
        is(&peer.result(leaf(1)).await, 2, "");
        assert_eq!(fixture.runs(), 2);
    })
    .await;
}
