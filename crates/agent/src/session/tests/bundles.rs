//! Bundles and their results.

use super::node::Peer;
use super::*;

#[tokio::test]
async fn a_bundle_arrives_before_its_result_and_resumes_on_a_new_session() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut arrived = Vec::new();
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        for session in 0..2 {
            let UpFrame::BundleOpen(open) = peer.hear().await else {
                panic!("no bundle")
            };
            assert_eq!(open.size, BUNDLE_BYTES as u64);
            while arrived.len() < BUNDLE_BYTES {
                peer.say(bundle_ack(arrived.len(), "")).await;
                let UpFrame::BundleChunk(chunk) = peer.hear().await else {
                    panic!("no piece")
                };
                assert_eq!(chunk.offset, arrived.len() as u64);
                assert!(chunk.data.len() <= limits::BUNDLE_CHUNK_BYTES);
                arrived.extend_from_slice(&chunk.data);
                if session == 0 {
                    break;
                }
            }
            if session == 0 {
                drop(peer);
                peer = fixture.node.accept().await;
            }
        }
        assert_eq!(arrived, bundle());
        peer.say(bundle_ack(arrived.len(), "")).await;
        is(&peer.result(leaf(1)).await, 2, "");
        assert!(!fixture.data().work().join(leaf(1).to_string()).exists());
    })
    .await;
}

#[tokio::test]
async fn a_bundle_that_is_not_wanted_does_not_hold_up_its_result() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        assert!(matches!(peer.hear().await, UpFrame::BundleOpen(_)));
        peer.say(bundle_ack(0, "too large")).await;
        is(&peer.result(leaf(1)).await, 2, "");
    })
    .await;
}

#[tokio::test]
async fn bundles_go_one_at_a_time() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        for number in [1, 2, 3] {
            let signed = fixture.node.sign(&order(leaf(number), "bundle"));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
            if number == 1 {
                opened(&mut peer, 1).await;
            }
        }
        // A new session opens no more of them either.
        drop(peer);
        let mut peer = fixture.node.accept().await;
        for number in [1, 2, 3] {
            opened(&mut peer, number).await;
            peer.say(ack_of(number, BUNDLE_BYTES, "")).await;
            is(&peer.result(leaf(number)).await, 2, "");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bundle_that_two_sessions_did_not_take_does_not_hold_up_its_result() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        for _ in 0..2 {
            opened(&mut peer, 1).await;
            drop(peer);
            peer = fixture.node.accept().await;
        }
        is(&peer.result(leaf(1)).await, 2, "");
    })
    .await;
}

#[tokio::test]
async fn cancelling_does_not_wait_for_a_bundle() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        opened(&mut peer, 1).await;
        peer.cancel(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 2, "");
    })
    .await;
}

async fn opened(peer: &mut Peer, number: u32) {
    match peer.hear().await {
        UpFrame::BundleOpen(open) => assert_eq!(open.leaf_id, leaf(number).to_string()),
        other => panic!("no bundle: {other:?}"),
    }
}

fn bundle_ack(received: usize, refused: &str) -> DownFrame {
    ack_of(1, received, refused)
}

fn ack_of(number: u32, received: usize, refused: &str) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id: leaf(number).to_string(),
        received: received as u64,
        refused: refused.into(),
    })
}
