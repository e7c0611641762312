//! What is said of running work on a session, and what to whom not.

use super::*;
use model::limits;
use protocol::frame;

fn told(leaf: model::LeafId) -> UpFrame {
    UpFrame::Progress(frame::Progress {
        leaf_id: leaf.to_string(),
        output: b"told\n".to_vec(),
        output_length: 5,
        ..frame::Progress::default()
    })
}

fn wanted(order: Order) -> Order {
    Order {
        progress_ms: limits::PROGRESS_MS_MIN,
        ..order
    }
}

#[tokio::test]
async fn what_work_does_is_said_once_on_each_session_and_no_more_when_it_has_ended() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let order = wanted(order(leaf(1), "tell"));
        peer.order(&fixture.node.sign(&order)).await;
        peer.receipt(leaf(1)).await;
        assert_eq!(peer.hear().await, told(leaf(1)));
        drop(peer);

        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hear().await, told(leaf(1)));
        peer.cancel(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 3, "cancelled");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_said_to_a_node_that_does_not_take_it_or_does_not_want_it() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.greet().await;
        peer.say(welcome(fixture.node.order_keys())).await;
        let (unwanted, wanted) = (order(leaf(1), "tell"), wanted(order(leaf(2), "tell")));
        for order in [unwanted, wanted] {
            peer.order(&fixture.node.sign(&order)).await;
        }
        peer.receipt(leaf(1)).await;
        peer.receipt(leaf(2)).await;
        drop(peer);

        // This one takes it. Both have told something by now; only one is wanted.
        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hear().await, told(leaf(2)));
        peer.cancel(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 3, "cancelled");
    })
    .await;
}
