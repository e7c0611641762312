//! Signs orders and the tokens of manual commands.

use model::{HostUuid, LeafId, UnixMillis, limits};
use protocol::frame::{OrderKey, SignedOrder};
use protocol::order::{Order, key_digest, key_id, sign, sign_all};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use store::Root;

/// Holds the keys that make orders and manual commands genuine.
pub(crate) struct Signer {
    order: Ed25519KeyPair,
    ticket: hmac::Key,
}

impl Signer {
    pub(crate) fn new(order: Ed25519KeyPair, ticket: hmac::Key) -> Self {
        Self { order, ticket }
    }

    /// The order of one leaf.
    pub(crate) fn order(
        &self,
        root: &Root,
        leaf: LeafId,
        host: &HostUuid,
        now: UnixMillis,
    ) -> SignedOrder {
        sign(&order_of(root, leaf, host, now), &self.order)
    }

    /// The orders of leaves of one root, in their order.
    pub(crate) fn orders(
        &self,
        root: &Root,
        leaves: &[(LeafId, HostUuid)],
        now: UnixMillis,
    ) -> Vec<SignedOrder> {
        let orders = leaves
            .iter()
            .map(|(leaf, host)| order_of(root, *leaf, host, now));
        sign_all(&orders.collect::<Vec<_>>(), &self.order)
    }

    /// The keys whose orders agents are to obey.
    pub(crate) fn order_keys(&self) -> Vec<OrderKey> {
        let public_key = self.order.public_key().as_ref().to_vec();
        vec![OrderKey {
            id: key_id(&public_key),
            public_key,
        }]
    }

    /// SHA-256 of the public key that signs orders, lower-case hexadecimal: what a checker pins.
    pub(crate) fn order_key_digest(&self) -> String {
        key_digest(self.order.public_key().as_ref())
    }

    /// The token that opens a session for this leaf and host only. It is derived, not stored, and
    /// good until the leaf ends.
    pub(crate) fn ticket(&self, leaf: LeafId, host: &HostUuid) -> String {
        let tag = hmac::sign(&self.ticket, ticket_message(leaf, host).as_bytes());
        data_encoding::BASE64URL_NOPAD.encode(tag.as_ref())
    }

    /// Whether this is the token of that leaf and host.
    pub(crate) fn is_ticket(&self, ticket: &str, leaf: LeafId, host: &HostUuid) -> bool {
        data_encoding::BASE64URL_NOPAD
            .decode(ticket.as_bytes())
            .is_ok_and(|tag| {
                hmac::verify(&self.ticket, ticket_message(leaf, host).as_bytes(), &tag).is_ok()
            })
    }
}

fn order_of(root: &Root, leaf: LeafId, host: &HostUuid, now: UnixMillis) -> Order {
    Order {
        leaf_id: leaf.to_string(),
        host_uuid: host.to_string(),
        task_type: root.task_type.number().into(),
        work: root.work.clone(),
        issued_ms: now.0,
        deadline_ms: root.plan.leaf_deadline(root.deadline, now).0,
        operator: root.operator.clone(),
        progress_ms: progress_ms(root),
    }
}

/// How often a host is to say what its leaf of this root does: the hosts of a large root rarely, since a
/// node hears them all.
fn progress_ms(root: &Root) -> u64 {
    let hosts = u64::from(root.totals.total());
    limits::PROGRESS_MS_MIN.max(hosts * 1_000 / limits::PROGRESS_PER_SECOND_MAX)
}

fn ticket_message(leaf: LeafId, host: &HostUuid) -> String {
    format!("{leaf}:{host}")
}
