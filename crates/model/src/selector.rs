//! The selector language: which hosts a task is for.
//!
//! `os = debian and not status = offline`, `label.env in (prod, stage) or name ~ "db-"`. Words are
//! keys, `=`, `!=`, `~` (contains), `in ( , )`, `not in`, `exists`, `and`, `or`, `not` and parentheses;
//! `and` binds more strongly than `or`. Values are words or double-quoted. Comparing ignores the case of
//! letters. A host that has nothing under a key is not equal to anything there.
//!
//! Versions and port numbers also have an order, [`version::compare`]: `package(openssl) < 3.0.8` is true
//! if a package of that name is installed in a version before that one.
//!
//! What is on a host is known from its last inventory, if at all. Where it is not known, a comparison is
//! neither true nor false, and neither is what depends on it: such a host does not match. A selector
//! that was parsed cannot be wrong.

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::asset::AssetItem;
use crate::label::{self, LabelKey};
use crate::network::Network;
use crate::{limits, version};

/// What a selector can look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Name of any of its accounts.
    Account,
    /// Machine architecture, such as `x86_64`.
    Arch,
    /// Name of the host's group.
    Group,
    /// Any address of the host.
    Ip,
    /// Kernel release.
    Kernel,
    /// Name of any loaded kernel module.
    KernelModule,
    /// Host name.
    Name,
    /// Operating system: its id, such as `debian`, or its whole name.
    Os,
    /// Versions of the installed package of this name, in lower case.
    Package(String),
    /// Name of any installed package.
    PackageName,
    /// Number of any port on which it listens.
    Port,
    /// Short name of any of its processes.
    ProcessName,
    /// `online` or `offline`.
    Status,
    /// The host's uuid.
    Uuid,
    /// Version of its agent.
    Version,
    /// One of the labels that operators have given it.
    Label(LabelKey),
}

impl Key {
    /// The keys that are one word.
    const WORDS: [(&'static str, Self); 14] = [
        ("account.name", Self::Account),
        ("arch", Self::Arch),
        ("group", Self::Group),
        ("ip", Self::Ip),
        ("kernel", Self::Kernel),
        ("kernel.module", Self::KernelModule),
        ("name", Self::Name),
        ("os", Self::Os),
        ("package.name", Self::PackageName),
        ("port", Self::Port),
        ("process.name", Self::ProcessName),
        ("status", Self::Status),
        ("uuid", Self::Uuid),
        ("version", Self::Version),
    ];

    /// The list of an inventory that it looks at; `None`: it looks at none.
    #[must_use]
    pub const fn item(&self) -> Option<AssetItem> {
        match self {
            Self::Account => Some(AssetItem::Accounts),
            Self::KernelModule => Some(AssetItem::KernelModules),
            Self::Package(_) | Self::PackageName => Some(AssetItem::Packages),
            Self::Port => Some(AssetItem::Ports),
            Self::ProcessName => Some(AssetItem::Processes),
            Self::Arch
            | Self::Group
            | Self::Ip
            | Self::Kernel
            | Self::Name
            | Self::Os
            | Self::Status
            | Self::Uuid
            | Self::Version
            | Self::Label(_) => None,
        }
    }

    /// Whether its values are versions or numbers.
    const fn has_order(&self) -> bool {
        matches!(
            self,
            Self::Kernel | Self::Package(_) | Self::Port | Self::Version
        )
    }

    /// Whether a value is the one that was written, which is in lower case.
    fn is(&self, value: &str, wanted: &str) -> bool {
        if self.has_order() {
            version::compare(&value.to_lowercase(), wanted) == Ordering::Equal
        } else {
            value.to_lowercase() == wanted
        }
    }
}

/// What is known of a host under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values<'a> {
    /// Values that it has.
    pub known: Vec<&'a str>,
    /// Whether it has no others.
    pub is_all: bool,
}

impl<'a> Values<'a> {
    /// All values that there are.
    #[must_use]
    pub fn all(known: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            known: known.into_iter().collect(),
            is_all: true,
        }
    }
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Expr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Is {
        key: Key,
        values: Vec<String>,
    },
    /// An address of the host lies in one of these.
    Lies(Vec<Network>),
    Contains {
        key: Key,
        value: String,
    },
    Exists(Key),
    /// The version or number is one of these to the value.
    Order {
        key: Key,
        orders: &'static [Ordering],
        value: String,
    },
}

/// A place in a selector and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the first character, from 1.
    pub at: usize,
    /// The word or sign.
    pub found: String,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than it may be.
    #[error("a selector has at most {} bytes", limits::SELECTOR_BYTES_MAX)]
    TooLong,
    /// Deeper than it may be.
    #[error(
        "a selector has at most {} parentheses and `not` inside one another",
        limits::SELECTOR_DEPTH_MAX
    )]
    TooDeep,
    /// A word that is no key.
    #[error("{0} is not a key; keys are {keys}", keys = Keys)]
    NoKey(Place),
    /// A version of no package.
    #[error("{0} belongs to a package: write `package(openssl) < 3.0.8`")]
    NoPackage(Place),
    /// A key whose values have no order.
    #[error(
        "{0} has no order: `<`, `<=`, `>` and `>=` compare kernel, package(NAME), port and version"
    )]
    NoOrder(Place),
    /// The key of a label that can be none.
    #[error("{place}: {error}")]
    Label {
        /// Where.
        place: Place,
        /// Why not.
        error: label::Error,
    },
    /// Something else was expected.
    #[error("expected {expected} {where_}", where_ = Before(found))]
    Expected {
        /// What.
        expected: &'static str,
        /// What is there; `None` at the end.
        found: Option<Place>,
    },
    /// A value that the key never has.
    #[error("{place} is no value of {key}: {help}")]
    Value {
        /// Where.
        place: Place,
        /// Of what.
        key: &'static str,
        /// What is.
        help: &'static str,
    },
    /// A value without a sign.
    #[error("the value at character {0} is empty: `KEY exists` asks whether there is any")]
    EmptyValue(usize),
    /// Nothing at all.
    #[error("the selector is empty: say which hosts, as in `os = debian`")]
    Empty,
    /// A single quote.
    #[error("values with blanks or signs stand in double quotes: {0} has a single one")]
    SingleQuote(Place),
    /// A quote without its end.
    #[error("the quoted value at character {0} is not closed")]
    OpenQuote(usize),
}

struct Keys;

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Key::WORDS.map(|it| it.0);
        write!(f, "{}, package(NAME) and label.KEY", words.join(", "))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at character {}", self.found, self.at)
    }
}

struct Before<'a>(&'a Option<Place>);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, "before {place}"),
            None => f.write_str("at the end"),
        }
    }
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::selector(text)
    }

    /// The lists of an inventory that it looks at.
    #[must_use]
    pub fn items(&self) -> BTreeSet<AssetItem> {
        let mut items = BTreeSet::new();
        self.0.add_items(&mut items);
        items
    }

    /// Whether a host is meant; `values` gives what is known of it under a key. `None`: that depends on
    /// what is not known.
    pub fn matches<'a>(&self, values: &impl Fn(&Key) -> Values<'a>) -> Option<bool> {
        self.0.matches(values)
    }
}

impl Expr {
    fn add_items(&self, items: &mut BTreeSet<AssetItem>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|it| it.add_items(items)),
            Self::Not(part) => part.add_items(items),
            // Addresses are no list of an inventory.
            Self::Lies(_) => {}
            Self::Is { key, .. }
            | Self::Contains { key, .. }
            | Self::Exists(key)
            | Self::Order { key, .. } => items.extend(key.item()),
        }
    }

    fn matches<'a>(&self, values: &impl Fn(&Key) -> Values<'a>) -> Option<bool> {
        // Some value is so, or none is and none is unknown.
        let any = |key: &Key, test: &dyn Fn(&str) -> bool| {
            let Values { known, is_all } = values(key);
            let is_so = known.into_iter().any(test);
            (is_so || is_all).then_some(is_so)
        };
        match self {
            Self::All(parts) => decided(parts, false, values),
            Self::Any(parts) => decided(parts, true, values),
            Self::Not(part) => part.matches(values).map(|it| !it),
            Self::Is {
                key,
                values: wanted,
            } => any(key, &|it| wanted.iter().any(|wanted| key.is(it, wanted))),
            Self::Lies(networks) => any(&Key::Ip, &|it| {
                let address = it.parse::<IpAddr>().map(|it| it.to_canonical());
                address.is_ok_and(|it| networks.iter().any(|network| network.contains(it)))
            }),
            Self::Contains { key, value } => {
                any(key, &|it| it.to_lowercase().contains(value.as_str()))
            }
            Self::Exists(key) => any(key, &|it| !it.is_empty()),
            Self::Order { key, orders, value } => any(key, &|it| {
                !it.is_empty() && orders.contains(&version::compare(&it.to_lowercase(), value))
            }),
        }
    }
}

/// What the parts say together, if a single `by` decides: otherwise the opposite, unless a part is not
/// known.
fn decided<'a>(parts: &[Expr], by: bool, values: &impl Fn(&Key) -> Values<'a>) -> Option<bool> {
    let mut result = Some(!by);
    for part in parts {
        match part.matches(values) {
            Some(it) if it == by => return Some(by),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
