//! Lists of what is on a host, as the store takes and gives them.

use std::sync::Arc;

use model::{AssetItem, LeafId, UnixMillis, limits};

use crate::{Error, HostNo, journal};

/// A list to be kept. Compressed where it is made, so that the writer need not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    pub(crate) item: AssetItem,
    pub(crate) packed: Arc<[u8]>,
}

/// A list as a host last reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The host.
    pub host: HostNo,
    /// What it is a list of.
    pub item: AssetItem,
    /// The leaf with whose result it came, which may have been dropped since.
    pub leaf: LeafId,
    /// When it came.
    pub taken_at: UnixMillis,
    /// Its number among all lists that were ever written, in the order of writing; a list that takes the
    /// place of another has a new one.
    pub change: i64,
    /// JSON of the list.
    pub json: Vec<u8>,
}

impl NewSnapshot {
    /// The list of an item from its JSON.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is longer than [`limits::SNAPSHOT_BYTES_MAX`].
    pub fn new(item: AssetItem, json: &[u8]) -> Result<Self, Error> {
        if json.len() > limits::SNAPSHOT_BYTES_MAX {
            return Err(Error::Corrupt("a list of a host is too long".into()));
        }
        let unavailable = |error| Error::Unavailable(Box::new(error));
        let packed = journal::compressor().and_then(|mut it| it.compress(json));
        Ok(Self {
            item,
            packed: packed.map_err(unavailable)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_as_long_as_the_limit_and_no_longer() {
        let mut json = vec![b' '; limits::SNAPSHOT_BYTES_MAX];
        let packed = NewSnapshot::new(AssetItem::Ports, &json).unwrap().packed;
        let read = journal::unpack(&packed, limits::SNAPSHOT_BYTES_MAX);
        assert_eq!(read.unwrap(), json);
        json.push(b' ');
        let refused = NewSnapshot::new(AssetItem::Ports, &json);
        assert!(matches!(refused, Err(Error::Corrupt(_))));
    }
}
