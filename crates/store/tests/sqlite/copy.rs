//! Copies of a store that is open, and looking at one that is closed.

use store::{Error, SqliteStore, Store};

use super::{NOW, create, damage, succeed};

#[tokio::test]
async fn a_copy_is_of_one_moment_while_work_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let root = create(&store, 1, 200).await.unwrap();
    for number in 1..=20 {
        succeed(&store, root, number).await.unwrap();
    }
    let target = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().to_owned(), target.path().to_owned());
    let copying = tokio::task::spawn_blocking(move || SqliteStore::copy(&from, &to));
    for number in 21..=200 {
        succeed(&store, root, number).await.unwrap();
    }
    assert!(copying.await.unwrap().unwrap() > 100_000);
    let again = SqliteStore::copy(directory.path(), target.path());
    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
    let files = std::fs::read_dir(target.path()).unwrap();
    let files: Vec<_> = files.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(files, ["sickbay.db"]);
    let found = SqliteStore::verify_closed(target.path()).unwrap();
    assert_eq!(found, Vec::<String>::new());
    let copy = SqliteStore::open(target.path()).unwrap();
    let done = copy.root_get(root).await.unwrap().unwrap().totals.success;
    assert!((20..=200).contains(&done), "{done}");
    for number in 1..=done {
        let leaf = copy.leaf_get(root.leaf(number)).await.unwrap().unwrap();
        assert_eq!(leaf.answer.unwrap().len(), 8_000);
    }
    assert_eq!(copy.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_closed_store_is_verified_as_it_lies_there() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = SqliteStore::verify_closed(directory.path());
    assert!(matches!(nothing, Err(Error::NotFound)), "{nothing:?}");
    let nothing = SqliteStore::copy(directory.path(), directory.path());
    assert!(matches!(nothing, Err(Error::NotFound)), "{nothing:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let store = SqliteStore::open(directory.path()).unwrap();
    let root = create(&store, 1, 2).await.unwrap();
    succeed(&store, root, 1).await.unwrap();
    let used = SqliteStore::verify_closed(directory.path());
    assert!(matches!(used, Err(Error::Unavailable(_))), "{used:?}");
    drop(store);
    let clean = SqliteStore::verify_closed(directory.path()).unwrap();
    assert_eq!(clean, Vec::<String>::new());
    damage(directory.path(), "UPDATE root SET success = 2");
    let lines = SqliteStore::verify_closed(directory.path()).unwrap();
    assert!(
        lines.iter().any(|it| it.contains("row counts")),
        "{lines:?}"
    );
    damage(directory.path(), "PRAGMA user_version = 1");
    let old = SqliteStore::verify_closed(directory.path());
    assert!(matches!(old, Err(Error::Unavailable(_))), "{old:?}");
}

#[tokio::test]
async fn damage_to_what_dropping_left_is_found() {
    let cases = [
        (
            "DELETE FROM root WHERE no = 3",
            "root numbers 3 to 3 are gone",
        ),
        (
            "UPDATE floor SET root_no = 1",
            "root numbers 1 to 2 are gone",
        ),
        (
            "UPDATE floor SET root_no = 4",
            "root number 3: it was dropped",
        ),
        ("UPDATE root SET rank_type = 9 WHERE no = 4", "by type"),
        ("UPDATE root SET cum_source = -1 WHERE no = 3", "by source"),
    ];
    for (sql, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        for number in 1..=4 {
            let root = create(&store, number, 1).await.unwrap();
            succeed(&store, root, 1).await.unwrap();
        }
        let dropped = store.root_drop_oldest(NOW, Some(2), 1_000).await.unwrap();
        assert_eq!((dropped.roots.len(), dropped.is_done), (2, true));
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
        damage(directory.path(), sql);
        let lines = store.verify().await.unwrap();
        assert!(
            lines.iter().any(|it| it.contains(expected)),
            "{sql}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn a_root_that_was_set_aside_is_dropped_when_its_time_comes() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let bad = create(&store, 1, 2).await.unwrap();
    succeed(&store, bad, 1).await.unwrap();
    create(&store, 2, 1).await.unwrap();
    drop(store);
    damage(directory.path(), "UPDATE journal SET data = x'02'");
    let store = SqliteStore::open(directory.path()).unwrap();
    let kept = store.root_drop_oldest(NOW, None, 100).await.unwrap();
    assert_eq!(kept.roots, []);
    let dropped = store.root_drop_oldest(NOW.plus(1), None, 100).await;
    assert_eq!(dropped.unwrap().roots, [bad]);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}
