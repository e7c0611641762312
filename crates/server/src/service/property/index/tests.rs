//! The index, compared with a look at every entry.

use proptest::prelude::*;

use super::*;

const ITEM: AssetItem = AssetItem::Processes;

fn entry(name: &str, user: &str, at: Option<i64>) -> Property {
    Property {
        texts: [name.to_owned(), user.to_owned(), String::new()],
        at,
    }
}

fn all() -> Filter {
    Filter {
        item: ITEM,
        texts: [None, None, None],
        window: Window::default(),
        hosts: None,
    }
}

fn named(text: Text) -> Filter {
    Filter {
        texts: [Some(text), None, None],
        ..all()
    }
}

/// The places that are found, as host and entry.
fn places(matches: &Matches) -> Vec<(i64, u32)> {
    let places = matches.places.iter();
    places.map(|(it, _)| (it.host.0, it.entry)).collect()
}

#[test]
fn a_list_takes_the_place_of_the_one_before_and_goes_with_its_host() {
    let mut index = Index::default();
    let is = |text: &str| named(Text::Is(text.to_owned()));
    let total = |index: &Index, filter| index.find(&filter, Part::From(0), 10).total;
    index.learn(ITEM, HostNo(2), 7, Some(vec![entry("sshd", "root", None)]));
    index.learn(ITEM, HostNo(1), 8, Some(vec![entry("sshd", "root", None)]));
    index.learn(ITEM, HostNo(1), 9, None);
    assert_eq!((total(&index, is("sshd")), index.last_change()), (2, 9));
    index.learn(ITEM, HostNo(2), 10, Some(vec![entry("nginx", "www", None)]));
    assert_eq!(
        (total(&index, is("sshd")), total(&index, is("nginx"))),
        (1, 1)
    );
    let found = index.find(&all(), Part::From(0), 10);
    assert_eq!(
        found.places.last().map(|it| it.1),
        Some(10),
        "the list's number"
    );
    index.keep(&[HostNo(2)]);
    assert_eq!((total(&index, is("sshd")), total(&index, all())), (0, 1));
    index.keep(&[]);
    let shelf = &index.shelves[&ITEM];
    assert_eq!(
        (shelf.numbers.len(), shelf.free.len()),
        (0, shelf.texts.len())
    );
}

#[test]
fn a_filter_asks_for_all_it_names() {
    let mut index = Index::default();
    let list = vec![
        entry("nginx", "root", Some(10)),
        entry("Nginx-worker", "www", Some(20)),
        entry("cron", "root", None),
    ];
    for host in [1, 2] {
        index.learn(ITEM, HostNo(host), host, Some(list.clone()));
    }
    let found = |filter: &Filter| places(&index.find(filter, Part::From(0), 9));
    assert_eq!(
        found(&named(Text::Is("nginx".to_owned()))),
        [(1, 0), (2, 0)]
    );
    let part = named(Text::Has("nginx".to_owned()));
    assert_eq!(found(&part), [(1, 0), (1, 1), (2, 0), (2, 1)]);
    let user = Filter {
        texts: [None, Some(Text::Is("root".to_owned())), None],
        ..all()
    };
    assert_eq!(found(&user), [(1, 0), (1, 2), (2, 0), (2, 2)]);
    let window = |start: i64, end: i64| Window {
        start: Some(UnixMillis(start)),
        end: Some(UnixMillis(end)),
    };
    let then = Filter {
        window: window(10, 19),
        hosts: Some(vec![HostNo(2), HostNo(3)]),
        ..user
    };
    assert_eq!(found(&then), [(2, 0)]);
    let at = Filter {
        window: window(20, 20),
        ..all()
    };
    assert_eq!(found(&at), [(1, 1), (2, 1)], "both ends are in");
}

/// Lists of some hosts, written over one another.
fn lists() -> impl Strategy<Value = Vec<(i64, Vec<Property>)>> {
    let one = (0..4_u8, 0..3_u8, proptest::option::of(0..4_i64));
    let one = one.prop_map(|(name, user, at)| entry(&format!("n{name}"), &format!("u{user}"), at));
    let list = (1..6_i64, proptest::collection::vec(one, 0..6));
    proptest::collection::vec(list, 0..12)
}

proptest! {
    #[test]
    fn pages_and_totals_are_those_of_a_look_at_every_entry(
        lists in lists(),
        name in proptest::option::of(0..4_u8),
        start in proptest::option::of(0..4_i64),
        size in 1..5_usize,
    ) {
        let mut index = Index::default();
        let mut kept = BTreeMap::new();
        for (change, (host, entries)) in (1..).zip(&lists) {
            index.learn(ITEM, HostNo(*host), change, Some(entries.clone()));
            kept.insert(*host, entries);
        }
        let name = name.map(|it| format!("n{it}"));
        let mut filter = all();
        filter.texts[0] = name.clone().map(Text::Is);
        filter.window.start = start.map(UnixMillis);
        let expected: Vec<(i64, u32)> = kept
            .iter()
            .flat_map(|(host, entries)| (0..).zip(entries.iter()).map(move |it| (*host, it)))
            .filter(|(_, (_, it))| name.as_ref().is_none_or(|name| it.texts[0] == *name))
            .filter(|(_, (_, it))| start.is_none_or(|start| it.at.is_some_and(|at| at >= start)))
            .map(|(host, (entry, _))| (host, entry))
            .collect();
        let mut token = None;
        for (number, part) in (0_u64..).zip(expected.chunks(size).chain([&[][..]])) {
            let first = number * u64::try_from(size).unwrap();
            let page = index.find(&filter, Part::From(first), size);
            prop_assert_eq!(places(&page), part);
            prop_assert_eq!(page.total, u64::try_from(expected.len()).unwrap());
            let beyond = index.find(&filter, Part::Beyond(token), size);
            prop_assert_eq!(places(&beyond), part);
            prop_assert_eq!(beyond.has_more, expected.len() > usize::try_from(first).unwrap() + part.len());
            token = beyond.places.last().map(|it| it.0).or(token);
        }
    }
}
