//! What is on all hosts, in a form in which any filter is decided without a look into the lists.
//!
//! Owns memory that derives from the kept lists: of each entry the number of its texts, which hosts share,
//! and its time. A filter is decided once for each different texts, then entries are counted by their numbers.
//! Learns lists in the order in which they were written. Never reads or writes what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{AssetItem, UnixMillis};
use protocol::asset::Property;
use store::{HostNo, Window};

type Texts = [String; 3];
/// The time of an entry of which none is known: half as large as an option.
const UNKNOWN: UnixMillis = UnixMillis(i64::MIN);

/// What entries are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// What they are entries of.
    pub(crate) item: AssetItem,
    /// What each of their texts must be.
    pub(crate) texts: [Option<Text>; 3],
    /// When: see [`Property::at`].
    pub(crate) window: Window,
    /// On which hosts, ascending; none: on all.
    pub(crate) hosts: Option<Vec<HostNo>>,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// This, letter by letter.
    Is(String),
    /// It has this in it, whatever the case; it is in lower case here.
    Has(String),
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Is(whole) => text == whole,
            Self::Has(part) => text.to_lowercase().contains(part),
        }
    }
}

/// Where an entry stands: its host and its place in the host's list. In this order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) host: HostNo,
    pub(crate) entry: u32,
}

/// Which part of the matches is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the match of this number, from 0; all are counted.
    From(u64),
    /// Those beyond a place; nothing is counted.
    Beyond(Option<Place>),
}

/// Matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches {
    /// Where they are, each with the number of the list that it was in.
    pub(crate) places: Vec<(Place, i64)>,
    /// How many there are in all, if they were counted.
    pub(crate) total: u64,
    /// Whether there are more beyond the last place.
    pub(crate) has_more: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    shelves: BTreeMap<AssetItem, Shelf>,
    last_change: i64,
}

/// The entries of one item.
#[derive(Debug, Default)]
struct Shelf {
    /// By number; none: the number is free.
    texts: Vec<Option<Shared>>,
    numbers: HashMap<Arc<Texts>, u32>,
    free: Vec<u32>,
    lists: BTreeMap<HostNo, List>,
}

#[derive(Debug)]
struct Shared {
    texts: Arc<Texts>,
    entries: u64,
}

/// The entries of one host.
#[derive(Debug)]
struct List {
    change: i64,
    numbers: Box<[u32]>,
    /// Their times, or [`UNKNOWN`]; empty if none is known.
    times: Box<[i64]>,
}

impl Index {
    /// The number of the last list that was learnt; see [`store::Snapshot::change`].
    pub(crate) fn last_change(&self) -> i64 {
        self.last_change
    }

    /// Learns a list; one of the same host and item goes. None: there are no entries to look for in it.
    pub(crate) fn learn(
        &mut self,
        item: AssetItem,
        host: HostNo,
        change: i64,
        entries: Option<Vec<Property>>,
    ) {
        self.last_change = self.last_change.max(change);
        if let Some(entries) = entries {
            self.shelves
                .entry(item)
                .or_default()
                .put(host, change, entries);
        }
    }

    /// Forgets the lists of all hosts but these, which are ascending.
    pub(crate) fn keep(&mut self, hosts: &[HostNo]) {
        for shelf in self.shelves.values_mut() {
            let is_gone = |it: &&HostNo| hosts.binary_search(it).is_err();
            let gone: Vec<HostNo> = shelf.lists.keys().filter(is_gone).copied().collect();
            for host in gone {
                shelf.remove(host);
            }
        }
    }

    /// Up to `size` entries that match.
    pub(crate) fn find(&self, filter: &Filter, part: Part, size: usize) -> Matches {
        match self.shelves.get(&filter.item) {
            Some(shelf) => Search::new(shelf, filter, part, size).run(),
            None => Matches::default(),
        }
    }
}

impl Shelf {
    fn put(&mut self, host: HostNo, change: i64, entries: Vec<Property>) {
        let mut times: Vec<i64> = entries
            .iter()
            .map(|it| it.at.unwrap_or(UNKNOWN.0))
            .collect();
        if times.iter().all(|it| *it == UNKNOWN.0) {
            times = Vec::new();
        }
        let numbers = entries.into_iter().map(|it| self.number(it.texts));
        let numbers = numbers.collect();
        self.remove(host);
        let list = List {
            change,
            numbers,
            times: times.into(),
        };
        self.lists.insert(host, list);
    }

    /// The number of these texts, which have one entry more.
    fn number(&mut self, texts: Texts) -> u32 {
        if let Some(number) = self.numbers.get(&texts).copied() {
            if let Some(shared) = self.shared(number) {
                shared.entries += 1;
            }
            return number;
        }
        let texts = Arc::new(texts);
        let shared = Some(Shared {
            texts: Arc::clone(&texts),
            entries: 1,
        });
        let number = self.free.pop().unwrap_or_else(|| {
            self.texts.push(None);
            u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.place(number) {
            *place = shared;
        }
        self.numbers.insert(texts, number);
        number
    }

    fn place(&mut self, number: u32) -> Option<&mut Option<Shared>> {
        self.texts.get_mut(usize::try_from(number).ok()?)
    }

    fn shared(&mut self, number: u32) -> Option<&mut Shared> {
        self.place(number)?.as_mut()
    }

    fn remove(&mut self, host: HostNo) {
        let Some(list) = self.lists.remove(&host) else {
            return;
        };
        for number in list.numbers {
            let Some(shared) = self.shared(number) else {
                continue;
            };
            shared.entries -= 1;
            if shared.entries > 0 {
                continue;
            }
            let texts = Arc::clone(&shared.texts);
            self.numbers.remove(&texts);
            self.free.push(number);
            if let Some(place) = self.place(number) {
                *place = None;
            }
        }
    }
}

/// A search over the lists of hosts, in their order.
struct Search<'a> {
    shelf: &'a Shelf,
    filter: &'a Filter,
    /// Which texts match, by number; none: all do.
    chosen: Option<Vec<bool>>,
    part: Part,
    size: usize,
    matches: Matches,
}

impl<'a> Search<'a> {
    fn new(shelf: &'a Shelf, filter: &'a Filter, part: Part, size: usize) -> Self {
        let asks = filter.texts.iter().any(Option::is_some);
        let is_chosen = |shared: &Option<Shared>| {
            let pairs = filter
                .texts
                .iter()
                .zip(shared.iter().flat_map(|it| it.texts.iter()));
            shared.is_some()
                && pairs
                    .into_iter()
                    .all(|(text, own)| text.as_ref().is_none_or(|it| it.matches(own)))
        };
        Self {
            chosen: asks.then(|| shelf.texts.iter().map(is_chosen).collect()),
            shelf,
            filter,
            part,
            size,
            matches: Matches::default(),
        }
    }

    fn run(mut self) -> Matches {
        let lists = &self.shelf.lists;
        if self.chosen.as_ref().is_some_and(|it| !it.contains(&true)) {
            return self.matches;
        }
        match &self.filter.hosts {
            Some(hosts) => {
                let own = hosts.iter().filter_map(|it| Some((*it, lists.get(it)?)));
                self.look(own);
            }
            None => match self.part {
                Part::Beyond(Some(place)) => self.look(lists.range(place.host..).map(pair)),
                Part::Beyond(None) | Part::From(_) => self.look(lists.iter().map(pair)),
            },
        }
        self.matches
    }

    fn look<'b>(&mut self, lists: impl Iterator<Item = (HostNo, &'b List)>) {
        for (host, list) in lists {
            match self.part {
                Part::From(first) => {
                    let before = self.matches.total;
                    let count = self.count(list);
                    self.matches.total += count;
                    let is_full = self.matches.places.len() == self.size;
                    if count > 0 && before + count > first && !is_full {
                        let skip = first.saturating_sub(before);
                        self.take(host, list, usize::try_from(skip).unwrap_or(usize::MAX));
                    }
                    let shown = u64::try_from(self.matches.places.len()).unwrap_or(u64::MAX);
                    self.matches.has_more = self.matches.total > first.saturating_add(shown);
                }
                Part::Beyond(_) => {
                    self.take(host, list, 0);
                    if self.matches.has_more {
                        return;
                    }
                }
            }
        }
    }

    fn count(&self, list: &List) -> u64 {
        let count = match (&self.chosen, self.is_timed()) {
            (None, false) => list.numbers.len(),
            (Some(chosen), false) => {
                let numbers = list.numbers.iter();
                numbers.filter(|it| is_in(chosen, **it)).count()
            }
            (_, true) => self.entries(list).count(),
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn is_timed(&self) -> bool {
        self.filter.window.start.is_some() || self.filter.window.end.is_some()
    }

    /// The places of the entries of a list that match.
    fn entries(&self, list: &List) -> impl Iterator<Item = u32> {
        let is_timed = self.is_timed();
        (0..).zip(&list.numbers).filter_map(move |(entry, number)| {
            let is_chosen = self.chosen.as_ref().is_none_or(|it| is_in(it, *number));
            let is_meant = is_chosen && (!is_timed || self.is_then(list, entry));
            is_meant.then_some(entry)
        })
    }

    fn is_then(&self, list: &List, entry: u32) -> bool {
        let time = usize::try_from(entry).ok();
        let time = time.and_then(|it| list.times.get(it)).copied();
        let Window { start, end } = self.filter.window;
        time.map(UnixMillis).is_some_and(|it| {
            it != UNKNOWN && start.is_none_or(|at| it >= at) && end.is_none_or(|at| it <= at)
        })
    }

    fn take(&mut self, host: HostNo, list: &List, skip: usize) {
        let beyond = match self.part {
            Part::Beyond(place) => place,
            Part::From(_) => None,
        };
        let places = self
            .entries(list)
            .skip(skip)
            .map(|entry| Place { host, entry });
        let room = self.size - self.matches.places.len();
        let mut found: Vec<_> = places
            .filter(|it| beyond.is_none_or(|last| *it > last))
            .take(room + 1)
            .map(|it| (it, list.change))
            .collect();
        self.matches.has_more = found.len() > room;
        found.truncate(room);
        self.matches.places.append(&mut found);
    }
}

fn pair<'a>((host, list): (&HostNo, &'a List)) -> (HostNo, &'a List) {
    (*host, list)
}

fn is_in(chosen: &[bool], number: u32) -> bool {
    let place = usize::try_from(number).ok();
    place
        .and_then(|it| chosen.get(it).copied())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
