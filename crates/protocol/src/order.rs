//! The signed order: the message that makes an agent run a leaf.
//!
//! What is signed is the top of a hash tree over the orders that are issued together; each order
//! carries the hashes on its way there. So a node signs once for many hosts, and a host verifies its
//! own order without seeing the others.

use model::LeafId;
use prost::Message;
use ring::digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::frame::{OrderKey, SignedOrder};
use crate::work::Work;

/// What is signed.
#[derive(Clone, PartialEq, Message)]
pub struct Order {
    /// The leaf.
    #[prost(string, tag = "1")]
    pub leaf_id: String,
    /// The host that is to obey.
    #[prost(string, tag = "2")]
    pub host_uuid: String,
    /// Number of a [`model::TaskType`].
    #[prost(uint32, tag = "3")]
    pub task_type: u32,
    /// JSON of [`Work`].
    #[prost(string, tag = "4")]
    pub work: String,
    /// When it was issued, in ms since the Unix epoch.
    #[prost(int64, tag = "5")]
    pub issued_ms: i64,
    /// When the work must have ended, in ms since the Unix epoch.
    #[prost(int64, tag = "6")]
    pub deadline_ms: i64,
    /// Who ordered it: the name of the operator, for the host's own log.
    #[prost(string, tag = "7")]
    pub operator: String,
    /// Time between two [`crate::frame::Progress`] of the leaf, and before the first, in ms; 0: none is
    /// wanted.
    #[prost(uint64, tag = "8")]
    pub progress_ms: u64,
}

/// Why an order is not to be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is not one of the server's.
    #[error("the order is signed by a key that this agent does not know")]
    UnknownKey,
    /// The signature does not match.
    #[error("the order's signature does not match: it was altered or forged")]
    BadSignature,
    /// It cannot be read.
    #[error("the order cannot be read")]
    Unreadable,
    /// It is for another host.
    #[error("the order is for another host")]
    OtherHost,
}

/// Orders that one signature covers at most. Signing costs as much as some fifty hashes; each doubling
/// makes every order 32 bytes longer.
const ORDERS_PER_SIGNATURE: usize = 64;
/// Steps of a path at most: far more than [`ORDERS_PER_SIGNATURE`] needs.
const PATH_STEPS_MAX: usize = 16;

type Hash = [u8; digest::SHA256_OUTPUT_LEN];

/// The message whose signature vouches for an order: the top of the hash tree that it is a leaf of.
/// `None`: its path makes no sense.
#[must_use]
pub fn signed_message(signed: &SignedOrder) -> Option<Vec<u8>> {
    if signed.path.len() > PATH_STEPS_MAX {
        return None;
    }
    let mut top = leaf_hash(&signed.body);
    for step in &signed.path {
        top = pair_hash(&top, step.as_slice().try_into().ok()?);
    }
    Some(message(&top))
}

fn message(top: &Hash) -> Vec<u8> {
    [b"sickbay-orders-v1\0".as_slice(), top].concat()
}

/// Leaves and pairs are hashed apart, so that no pair can pass for an order.
fn leaf_hash(body: &[u8]) -> Hash {
    hash(&[b"\0", body])
}

/// Both ways round alike: a path needs no sides.
fn pair_hash(one: &Hash, other: &Hash) -> Hash {
    hash(&[b"\x01", one.min(other), one.max(other)])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    let mut hash = Hash::default();
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The top of a hash tree over `leaves`, and the way there from each of them.
fn tree(leaves: Vec<Hash>) -> (Hash, Vec<Vec<Vec<u8>>>) {
    let mut paths = vec![Vec::new(); leaves.len()];
    let mut level = leaves;
    // A node of this level stands for so many leaves, but the last one perhaps for fewer.
    let mut span = 1;
    while level.len() > 1 {
        for (paths, pair) in paths.chunks_mut(2 * span).zip(level.chunks(2)) {
            let [one, other] = pair else { continue };
            for (at, path) in paths.iter_mut().enumerate() {
                let sibling = if at < span { other } else { one };
                path.push(sibling.to_vec());
            }
        }
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [one, other] => pair_hash(one, other),
                alone => alone.first().copied().unwrap_or_default(),
            })
            .collect();
        span *= 2;
    }
    (level.first().copied().unwrap_or_default(), paths)
}

/// The id of a public key: finds it among a server's, proves nothing.
#[must_use]
pub fn key_id(public_key: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, public_key);
    let head = digest.as_ref().get(..8).unwrap_or_default();
    data_encoding::HEXLOWER.encode(head)
}

/// The SHA-256 of a public key, lower-case hexadecimal: names it beyond doubt.
#[must_use]
pub fn key_digest(public_key: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, public_key);
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

/// Signs an order.
#[must_use]
pub fn sign(order: &Order, key: &Ed25519KeyPair) -> SignedOrder {
    let id = key_id(key.public_key().as_ref());
    signed_together(&id, vec![order.encode_to_vec()], key)
        .next()
        .unwrap_or_default()
}

/// Signs many orders at the price of few signatures: one covers up to 64 of them. Each can still be
/// verified alone.
#[must_use]
pub fn sign_all(orders: &[Order], key: &Ed25519KeyPair) -> Vec<SignedOrder> {
    let id = key_id(key.public_key().as_ref());
    let parts = orders.chunks(ORDERS_PER_SIGNATURE);
    let bodies = parts.map(|part| part.iter().map(Message::encode_to_vec).collect());
    bodies
        .flat_map(|bodies| signed_together(&id, bodies, key))
        .collect()
}

fn signed_together(
    key_id: &str,
    bodies: Vec<Vec<u8>>,
    key: &Ed25519KeyPair,
) -> impl Iterator<Item = SignedOrder> {
    let (top, paths) = tree(bodies.iter().map(|it| leaf_hash(it)).collect());
    let signature = key.sign(&message(&top)).as_ref().to_vec();
    let key_id = key_id.to_owned();
    bodies
        .into_iter()
        .zip(paths)
        .map(move |(body, path)| SignedOrder {
            body,
            key_id: key_id.clone(),
            signature: signature.clone(),
            path,
        })
}

/// The order, if one of `keys` signed it and it is for `host_uuid`.
///
/// # Errors
/// [`Refusal`] says why it is not to be obeyed.
pub fn open(signed: &SignedOrder, keys: &[OrderKey], host_uuid: &str) -> Result<Order, Refusal> {
    let key = keys
        .iter()
        .find(|it| it.id == signed.key_id)
        .ok_or(Refusal::UnknownKey)?;
    let message = signed_message(signed).ok_or(Refusal::BadSignature)?;
    UnparsedPublicKey::new(&ED25519, &key.public_key)
        .verify(&message, &signed.signature)
        .map_err(|_| Refusal::BadSignature)?;
    read(signed, host_uuid)
}

/// The order, if it is for `host_uuid`, for who knows that [`signed_message`] was signed.
///
/// # Errors
/// [`Refusal`] says why it is not to be obeyed.
pub fn read(signed: &SignedOrder, host_uuid: &str) -> Result<Order, Refusal> {
    let order = Order::decode(signed.body.as_slice()).map_err(|_| Refusal::Unreadable)?;
    if order.host_uuid == host_uuid {
        Ok(order)
    } else {
        Err(Refusal::OtherHost)
    }
}

/// The leaf that an order is about; proves nothing.
#[must_use]
pub fn leaf_of(signed: &SignedOrder) -> Option<LeafId> {
    /// The first field of an [`Order`].
    #[derive(Clone, PartialEq, Message)]
    struct Head {
        #[prost(string, tag = "1")]
        leaf_id: String,
    }
    let head = Head::decode(signed.body.as_slice()).ok()?;
    head.leaf_id.parse().ok()
}

impl Order {
    /// The work in it.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`]: this agent does not know such work.
    pub fn work(&self) -> Result<Work, Refusal> {
        serde_json::from_str(&self.work).map_err(|_| Refusal::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> OrderKey {
        let public_key = key.public_key().as_ref().to_vec();
        OrderKey {
            id: key_id(&public_key),
            public_key,
        }
    }

    #[test]
    fn only_the_host_and_only_an_unaltered_order_is_obeyed() {
        let order = Order {
            leaf_id: "0a".into(),
            host_uuid: "inet-1".into(),
            ..Order::default()
        };
        let signed = sign(&order, &key(1));
        let keys = [public(&key(1))];
        assert_eq!(open(&signed, &keys, "inet-1"), Ok(order));
        assert_eq!(open(&signed, &keys, "inet-2"), Err(Refusal::OtherHost));
        assert_eq!(
            open(&signed, &[public(&key(2))], "inet-1"),
            Err(Refusal::UnknownKey)
        );
        for at in 0..signed.body.len() {
            let mut forged = signed.clone();
            forged.body[at] ^= 1;
            assert_eq!(open(&forged, &keys, "inet-1"), Err(Refusal::BadSignature));
        }
    }

    #[test]
    fn orders_signed_together_are_verified_alone_and_cannot_be_mixed() {
        let keys = [public(&key(1))];
        for count in [0, 1, 2, 3, 5, 63, 64, 65, 130] {
            let orders: Vec<_> = (0..count)
                .map(|it| Order {
                    leaf_id: format!("{:032x}", it + 1),
                    host_uuid: format!("inet-{it}"),
                    ..Order::default()
                })
                .collect();
            let signed = sign_all(&orders, &key(1));
            assert_eq!(signed.len(), count);
            for (order, signed) in orders.iter().zip(&signed) {
                assert_eq!(open(signed, &keys, &order.host_uuid).as_ref(), Ok(order));
                assert_eq!(leaf_of(signed).unwrap().to_string(), order.leaf_id);
            }
            for (one, other) in signed.iter().zip(signed.iter().skip(1)) {
                let mut mixed = other.clone();
                mixed.body.clone_from(&one.body);
                let uuid = Order::decode(one.body.as_slice()).unwrap().host_uuid;
                assert!(one.path.is_empty() || open(&mixed, &keys, &uuid).is_err());
            }
        }
    }

    #[test]
    fn a_forged_path_is_refused() {
        let orders = [Order::default(), Order::default(), Order::default()];
        let keys = [public(&key(1))];
        let signed = sign_all(&orders, &key(1)).remove(0);
        let refused = |path: Vec<Vec<u8>>| {
            let forged = SignedOrder {
                path,
                ..signed.clone()
            };
            assert_eq!(open(&forged, &keys, ""), Err(Refusal::BadSignature));
        };
        let mut altered = signed.path.clone();
        altered[0][31] ^= 1;
        refused(altered);
        refused(signed.path[..1].to_vec());
        refused(vec![vec![0; 31]]);
        refused(vec![]);
        refused(vec![vec![0; 32]; 10_000]);
        // An inner node of the tree is no order.
        let inner = SignedOrder {
            body: [signed.path[0].clone(), signed.path[0].clone()].concat(),
            path: signed.path[1..].to_vec(),
            ..signed.clone()
        };
        assert_eq!(open(&inner, &keys, ""), Err(Refusal::BadSignature));
    }
}
