//! Cases about hosts and install codes.

use model::{HostUuid, LabelChange, Labels, limits};

use super::{START, page};
use crate::{Error, HostFilter, HostMatch, HostNo, InstallCode, NewHost, Store};

fn uuid(number: usize) -> HostUuid {
    format!("inet-{number}").parse().unwrap()
}

fn new_host(number: usize) -> NewHost {
    let (os, id) = [("Ubuntu 24.04", "ubuntu"), ("Alpine", "alpine")][number % 2];
    NewHost {
        uuid: uuid(number),
        public_key: vec![u8::try_from(number).unwrap(); 32],
        name: format!("web-{number}"),
        group: ["default", "db"][usize::from(number.is_multiple_of(3))].into(),
        facts: format!(
            r#"{{"hostname":"web-{number}","osName":"{os}","osId":"{id}","addresses":["10.0.0.{number}","::{number}"]}}"#
        ),
        labels: "env=prod".parse().unwrap(),
        agent_version: "1.0".into(),
        created_at: START,
    }
}

pub async fn hosts_are_added_seen_and_removed<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    for number in 1..=3 {
        let added = store.host_add(new_host(number)).await.unwrap();
        assert_eq!(added, HostNo(i64::try_from(number).unwrap()));
    }
    let again = store.host_add(new_host(2)).await;
    assert!(matches!(again, Err(Error::Conflict)));
    let facts = r#"{"hostname":"renamed"}"#.to_owned();
    let later = START.plus(1_000);
    for (version, facts, at) in [("1.1", Some(facts.clone()), 1_000), ("1.2", None, 500)] {
        let seen = store.host_seen(HostNo(2), version.into(), facts, START.plus(at));
        seen.await.unwrap();
    }
    let unknown = store.host_seen(HostNo(9), "1".into(), None, later).await;
    assert!(matches!(unknown, Err(Error::NotFound)));
    assert!(store.host_remove(&uuid(1), later).await.unwrap());
    assert!(!store.host_remove(&uuid(1), later.plus(1)).await.unwrap());
    assert!(!store.host_remove(&uuid(7), later).await.unwrap());
    let removed = store.host_seen(HostNo(1), "1".into(), None, later).await;
    assert!(matches!(removed, Err(Error::NotFound)));
    for _ in 0..2 {
        let host = store.host_get(&uuid(2)).await.unwrap().unwrap();
        assert_eq!((host.name.as_str(), &host.facts), ("renamed", &facts));
        assert_eq!((host.agent_version.as_str(), host.seen_at), ("1.2", later));
        assert_eq!((host.created_at, host.removed_at), (START, None));
        assert_eq!(host.public_key, [2; 32]);
        assert_eq!(store.host_get(&uuid(9)).await.unwrap(), None);
        let by_key = store.host_of_key(&host.public_key).await.unwrap();
        assert_eq!(by_key.map(|it| it.uuid), Some(uuid(2)));
        assert_eq!(store.host_of_key(b"nobody's").await.unwrap(), None);
        let many = [3, 9, 1, 3].map(HostNo);
        let many = store.host_get_many(&many).await.unwrap();
        let seen: Vec<_> = many.iter().map(|it| (it.number.0, it.removed_at)).collect();
        assert_eq!(seen, [(3, None), (1, Some(later)), (3, None)]);
        assert_eq!(store.host_numbers().await.unwrap(), [2, 3].map(HostNo));
        drop(store);
        store = open();
    }
    let added = store.host_add(new_host(4)).await.unwrap();
    assert_eq!(added, HostNo(4));
    let back = store.host_add(new_host(1)).await;
    assert!(matches!(back, Err(Error::Conflict)));
}

pub async fn labels_change_together_and_stay<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    for number in 1..=4 {
        store.host_add(new_host(number)).await.unwrap();
    }
    let labels = async |store: &S, number: usize| {
        let host = store.host_get(&uuid(number)).await.unwrap().unwrap();
        host.labels.to_string()
    };
    let change = |set: &str, gone: &[&str], replaces: bool| {
        let set: Labels = set.parse().unwrap();
        let set = set.iter().map(|(key, it)| (key.clone(), Some(it.clone())));
        let gone = gone.iter().map(|it| (it.parse().unwrap(), None));
        LabelChange {
            entries: set.chain(gone).collect(),
            replaces,
        }
    };
    store.host_remove(&uuid(4), START).await.unwrap();
    let before = store.generation();
    let all = [1, 2, 3, 4, 9].map(HostNo);
    for (hosts, change, expected) in [
        (&all[..], change("env=prod", &["tier"], false), 0),
        (&all[1..2], change("tier=web", &["env"], false), 1),
        (&all, change("zone=a", &[], false), 3),
        (&all[2..], change("rack=7", &[], true), 1),
    ] {
        assert_eq!(store.host_label(hosts, &change).await.unwrap(), expected);
    }
    assert_ne!(store.generation(), before);
    let full: Vec<_> = (1..limits::HOST_LABELS_MAX)
        .map(|it| format!("k{it}=v"))
        .collect();
    let full = change(&full.join("\n"), &[], false);
    assert_eq!(store.host_label(&all[2..3], &full).await.unwrap(), 1);
    let more = change("new=1", &[], false);
    let refused = store.host_label(&all, &more).await;
    assert!(matches!(refused, Err(Error::Conflict)));
    let facts = Some(r#"{"hostname":"other"}"#.to_owned());
    let seen = store.host_seen(HostNo(1), "2".into(), facts, START);
    seen.await.unwrap();
    for _ in 0..2 {
        assert_eq!(labels(&store, 1).await, "env=prod\nzone=a");
        assert_eq!(labels(&store, 2).await, "tier=web\nzone=a");
        let third = labels(&store, 3).await;
        assert_eq!(third.lines().count(), limits::HOST_LABELS_MAX);
        assert_eq!(labels(&store, 4).await, "", "it was removed");
        drop(store);
        store = open();
    }
}

pub async fn hosts_are_paged_by_number_and_by_filter<S: Store>(open: impl Fn() -> S) {
    use HostMatch as M;
    let store = open();
    for number in 1..=20 {
        store.host_add(new_host(number)).await.unwrap();
    }
    store.host_remove(&uuid(5), START).await.unwrap();
    let all: Vec<i64> = (1..=20).filter(|it| *it != 5).collect();
    let which = |test: fn(&i64) -> bool| all.iter().copied().filter(test).collect::<Vec<_>>();
    let numbers = |list: &[i64]| list.iter().copied().map(HostNo).collect::<Vec<_>>();
    let cases: Vec<(Vec<HostMatch>, bool, Vec<i64>)> = vec![
        (vec![], false, all.clone()),
        (vec![], true, all.clone()),
        (vec![M::Uuid("inet-7".into())], false, vec![7]),
        (vec![M::Uuid("inet-7".into())], true, vec![7]),
        (vec![M::Uuid("inet-5".into())], false, vec![]),
        (
            vec![M::Name("web-1".into())],
            false,
            which(|n| *n == 1 || (10..20).contains(n)),
        ),
        (vec![M::Name("WEB".into())], false, vec![]),
        (vec![M::Address("10.0.0.1".into())], false, vec![1]),
        (vec![M::Address("::12".into())], false, vec![12]),
        (vec![M::Os("ubUNTU".into())], false, which(|n| n % 2 == 0)),
        (vec![M::Os("24.04".into())], false, which(|n| n % 2 == 0)),
        (vec![M::Group("db".into())], false, which(|n| n % 3 == 0)),
        (vec![M::OneOf(numbers(&[2, 5, 9, 99]))], false, vec![2, 9]),
        (
            vec![M::NoneOf(numbers(&[2, 9]))],
            false,
            which(|n| *n != 2 && *n != 9),
        ),
        (
            vec![M::Group("db".into()), M::Os("alpine".into())],
            false,
            which(|n| n % 6 == 3),
        ),
        (
            vec![M::Group("db".into()), M::Os("alpine".into())],
            true,
            which(|n| n % 3 == 0 || n % 2 == 1),
        ),
        (
            vec![M::Uuid("inet-7".into()), M::Uuid("inet-8".into())],
            true,
            vec![7, 8],
        ),
    ];
    for (criteria, any, expected) in cases {
        let filter = HostFilter { criteria, any };
        for number in 1..=5 {
            let found = store.host_page(&filter, page(number, 6)).await.unwrap();
            let skip = usize::try_from(number - 1).unwrap() * 6;
            let rows: Vec<_> = found.rows.iter().map(|it| it.number.0).collect();
            let wanted: Vec<_> = expected.iter().copied().skip(skip).take(6).collect();
            assert_eq!(rows, wanted, "{filter:?}, page {number}");
            assert_eq!(found.total, u64::try_from(expected.len()).unwrap());
        }
    }
}

pub async fn install_codes_are_kept_newest_first<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let code = |number: i64| InstallCode {
        id: format!("code-{number}"),
        sealed_code: vec![7; 3],
        expires_at: START.plus(number * 1_000),
        uses_max: 2,
        uses: 0,
        group_id: number,
        group: "default".into(),
        labels: format!("code={number}").parse().unwrap(),
        os: "linux".into(),
        vendor: "ALIYUN".into(),
        only_image: number % 2 == 0,
        proxy_cluster: String::new(),
        created_at: START.plus(number / 2),
    };
    for number in 1..=4 {
        store.install_code_add(code(number)).await.unwrap();
    }
    let again = store.install_code_add(code(1)).await;
    assert!(matches!(again, Err(Error::Conflict)));
    assert!(store.install_code_delete("code-3").await.unwrap());
    assert!(!store.install_code_delete("code-3").await.unwrap());
    drop(store);
    let store = open();
    let list = store.install_code_list().await.unwrap();
    assert_eq!(list, [code(4), code(2), code(1)]);
    let one = store.install_code_get("code-2").await.unwrap();
    assert_eq!(one, Some(code(2)));
    assert_eq!(store.install_code_get("code-3").await.unwrap(), None);
    for left in [true, true, false] {
        assert_eq!(store.install_code_use("code-2").await.unwrap(), left);
    }
    assert!(!store.install_code_use("code-3").await.unwrap());
    let used = store.install_code_get("code-2").await.unwrap();
    assert_eq!(used.unwrap().uses, 2);
}
