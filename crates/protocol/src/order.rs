//! The signed order: the message that makes an agent run a leaf.

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

/// The bytes that are signed for an order's body.
#[must_use]
pub fn order_message(body: &[u8]) -> Vec<u8> {
    let mut message = b"sickbay-order-v1\0".to_vec();
    message.extend_from_slice(body);
    message
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
    let body = order.encode_to_vec();
    SignedOrder {
        signature: key.sign(&order_message(&body)).as_ref().to_vec(),
        key_id: key_id(key.public_key().as_ref()),
        body,
    }
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
    UnparsedPublicKey::new(&ED25519, &key.public_key)
        .verify(&order_message(&signed.body), &signed.signature)
        .map_err(|_| Refusal::BadSignature)?;
    let order = Order::decode(signed.body.as_slice()).map_err(|_| Refusal::Unreadable)?;
    if order.host_uuid == host_uuid {
        Ok(order)
    } else {
        Err(Refusal::OtherHost)
    }
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
}
