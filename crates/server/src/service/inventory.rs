//! What is kept of a host's inventory, made ready for selectors.

use std::collections::BTreeMap;

use model::AssetItem;
use model::selector::{Key, Values};
use protocol::asset::{self, Kept};
use store::Snapshot;

use super::Error;

/// The lists of one host that a selector looks at: names with versions.
#[derive(Debug, Default)]
pub(super) struct Inventory(BTreeMap<AssetItem, Kept<Vec<(String, String)>>>);

impl Inventory {
    /// Reads lists of one host.
    ///
    /// # Errors
    /// One of them is not what was stored.
    pub(super) fn of<'a>(lists: impl Iterator<Item = &'a Snapshot>) -> Result<Self, Error> {
        let mut inventory = BTreeMap::new();
        for list in lists {
            let names = asset::names(list.item, &list.json).map_err(Error::internal)?;
            inventory.insert(list.item, names);
        }
        Ok(Self(inventory))
    }

    /// What is known under a key that looks at a list: of one that is not there, nothing.
    pub(super) fn values(&self, key: &Key) -> Values<'_> {
        let Some(list) = key.item().and_then(|it| self.0.get(&it)) else {
            return Values::default();
        };
        let entries = list.entries.iter();
        let known = match key {
            Key::Package(name) => entries
                .filter(|it| it.0.to_lowercase() == *name)
                .map(|it| it.1.as_str())
                .collect(),
            _ => entries.map(|it| it.0.as_str()).collect(),
        };
        Values {
            known,
            is_all: !list.is_partial,
        }
    }
}
