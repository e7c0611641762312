//! What packing does to the file.

use model::{RootId, limits};
use rusqlite::Connection;
use store::{SqliteStore, Store};

use super::{create, damage, succeed_all};

const LEAVES: u32 = 2_000;

/// Leaves that lie beside each other answer far apart in time.
fn scattered() -> Vec<u32> {
    (0..LEAVES).map(|it| it * 701 % LEAVES + 1).collect()
}

async fn run(store: &SqliteStore, number: u8, order: &[u32]) -> RootId {
    let root = create(store, number, order.len().try_into().unwrap()).await;
    let root = root.unwrap();
    for leaves in order.chunks(100) {
        succeed_all(store, root, leaves).await.unwrap();
    }
    root
}

/// Of each page of 20 leaves of root number `no`, how many journal blocks it needs.
fn blocks_of_pages(file: &Connection, no: i64) -> Vec<usize> {
    let sql = "SELECT data FROM state_segment WHERE segment >> 12 = ? ORDER BY segment";
    let mut select = file.prepare(sql).unwrap();
    let segments = select.query_map([no], |row| row.get::<_, Vec<u8>>(0));
    let data: Vec<u8> = segments.unwrap().flat_map(Result::unwrap).collect();
    // The number of the block is in bytes 8 to 11 of a leaf's 14.
    let leaves = data.chunks_exact(14).filter_map(|it| it.get(8..12));
    let leaves: Vec<&[u8]> = leaves.collect();
    let pages = leaves.chunks(20).map(|page| {
        let mut page = page.to_vec();
        page.sort_unstable();
        page.dedup();
        page.len()
    });
    pages.collect()
}

fn number(file: &Connection, sql: &str) -> u32 {
    file.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_page_of_a_packed_root_needs_two_journal_blocks_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    run(&store, 1, &scattered()).await;
    store.packed().await.unwrap();
    let file = Connection::open(directory.path().join("sickbay.db")).unwrap();
    assert!(blocks_of_pages(&file, 1).iter().all(|it| *it <= 2));
    let answers = LEAVES.div_ceil(u32::try_from(limits::JOURNAL_BLOCK_EVENTS_MAX).unwrap());
    let blocks = number(&file, "SELECT count(*) FROM journal");
    assert!((answers + 1..answers + 8).contains(&blocks), "{blocks}");
}

#[tokio::test]
async fn what_packing_has_freed_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let file = Connection::open(directory.path().join("sickbay.db")).unwrap();
    let mut pages = Vec::new();
    for root in 1..=4 {
        run(&store, root, &scattered()).await;
        store.packed().await.unwrap();
        pages.push(number(&file, "PRAGMA page_count"));
    }
    // The first takes the room of two, each of the others that of one.
    let (first, more) = (pages[0], pages[3] - pages[0]);
    assert!(more < first / 2 * 3 + first / 5, "{pages:?}");
}

#[tokio::test]
async fn a_root_whose_answers_came_in_the_order_of_its_leaves_or_that_is_small_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let in_order: Vec<u32> = (1..=LEAVES).collect();
    run(&store, 1, &in_order).await;
    let small = u32::try_from(limits::PACK_LEAVES_MIN).unwrap() - 1;
    let backwards: Vec<u32> = (1..=small).map(|it| it * 101 % small + 1).collect();
    run(&store, 2, &backwards).await;
    let file = Connection::open(directory.path().join("sickbay.db")).unwrap();
    let blocks = "SELECT count(*) || ' ' || sum(length(data)) FROM journal";
    let before: String = file.query_row(blocks, [], |row| row.get(0)).unwrap();
    store.packed().await.unwrap();
    let after: String = file.query_row(blocks, [], |row| row.get(0)).unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn verify_finds_what_is_wrong_with_a_packed_root() {
    let cases = [
        (
            "DELETE FROM journal WHERE block = (SELECT max(block) FROM journal)",
            "blocks of",
        ),
        (
            "DELETE FROM journal WHERE block = (SELECT min(block) FROM journal)",
            "block 1 of its journal is missing",
        ),
        (
            "UPDATE state_segment SET data = data_of.data FROM
               (SELECT data FROM state_segment WHERE segment & 4095 = 1) AS data_of
             WHERE segment & 4095 = 2",
            "leaves are not as the journal tells",
        ),
    ];
    for (sql, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        run(&store, 1, &scattered()).await;
        store.packed().await.unwrap();
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
async fn a_copy_made_while_a_root_is_packed_is_sound_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let root = run(&store, 1, &scattered()).await;
    let copied = tempfile::tempdir().unwrap();
    SqliteStore::copy(directory.path(), copied.path()).unwrap();
    let lines = SqliteStore::verify_closed(copied.path()).unwrap();
    assert_eq!(lines, Vec::<String>::new());
    let copied = SqliteStore::open(copied.path()).unwrap();
    copied.packed().await.unwrap();
    for leaf in (1..=LEAVES).step_by(50) {
        let found = copied.leaf_get(root.leaf(leaf)).await.unwrap();
        let original = store.leaf_get(root.leaf(leaf)).await.unwrap();
        assert_eq!(found, original);
    }
    assert_eq!(copied.verify().await.unwrap(), Vec::<String>::new());
}
