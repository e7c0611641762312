use super::*;
use model::RootId;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn leaf(number: u32) -> LeafId {
    RootId::new(NOW, [7; 6]).leaf(number)
}

fn order(leaf: LeafId, deadline: UnixMillis) -> SignedOrder {
    let order = Order {
        leaf_id: leaf.to_string(),
        deadline_ms: deadline.0,
        ..Order::default()
    };
    SignedOrder {
        body: order.encode_to_vec(),
        ..SignedOrder::default()
    }
}

fn success(leaf: LeafId) -> LeafResult {
    bare_result(leaf, Status::Success, Reason::None, "done", NOW)
}

fn started(journal: &mut Journal, number: u32) -> LeafId {
    let leaf = leaf(number);
    let deadline = NOW.plus(1_000);
    journal
        .start(leaf, deadline, &order(leaf, deadline))
        .unwrap();
    leaf
}

#[test]
fn a_leaf_that_was_running_at_a_crash_fails_and_one_that_had_ended_keeps_its_result() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    let running = started(&mut journal, 1);
    let ended = started(&mut journal, 2);
    journal.end(ended, success(ended));
    let known = started(&mut journal, 3);
    journal.end(known, success(known));
    journal.acknowledge(known);
    drop(journal);

    for _ in 0..2 {
        let mut journal = Journal::open(temp.path(), NOW.plus(5)).unwrap();
        assert_eq!(journal.held(), [running, ended]);
        assert_eq!(journal.pending(), [running, ended]);
        let lost = journal.result(running, NOW).unwrap();
        assert_eq!(lost.status, 3);
        assert_eq!(lost.reason, "agent_restarted");
        assert_eq!(journal.result(ended, NOW), Some(success(ended)));
        assert_eq!(journal.stage(known), Some(Stage::Acknowledged));
        assert_eq!(journal.result(known, NOW), Some(success(known)));
    }
}

#[test]
fn damaged_files_are_moved_aside_and_nothing_is_run_again() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    let torn_order = started(&mut journal, 1);
    let torn_result = started(&mut journal, 2);
    journal.end(torn_result, success(torn_result));
    drop(journal);
    let file = |name: String| temp.path().join(name);
    fs::write(file(format!("{torn_order}.order")), b"\xff\xff").unwrap();
    fs::write(file(format!("{torn_result}.result")), b"").unwrap();
    fs::write(file("notes.txt".into()), b"not ours").unwrap();
    fs::write(file(format!("{}.order.tmp", leaf(3))), b"half").unwrap();

    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    assert_eq!(journal.stage(leaf(3)), None);
    let result = journal.result(torn_order, NOW).unwrap();
    assert_eq!(result.reason, "agent_restarted");
    let result = journal.result(torn_result, NOW).unwrap();
    assert_eq!(result.reason, "agent_fault");
    assert!(file(format!("{torn_order}.order.damaged")).exists());
    assert!(file(format!("{torn_result}.result.damaged")).exists());
    assert!(file("notes.txt".into()).exists());
    assert!(!file(format!("{}.order.tmp", leaf(3))).exists());
}

#[test]
fn acknowledged_leaves_are_forgotten_a_day_after_their_deadline_and_pending_ones_never() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    let known = started(&mut journal, 1);
    journal.end(known, success(known));
    journal.acknowledge(known);
    let pending = started(&mut journal, 2);
    journal.end(pending, success(pending));

    let deadline = NOW.plus(1_000);
    journal.prune(deadline.plus(REMEMBERED_MS));
    assert_eq!(journal.stage(known), Some(Stage::Acknowledged));
    journal.prune(deadline.plus(REMEMBERED_MS + 1));
    assert_eq!(journal.stage(known), None);
    assert_eq!(journal.pending(), [pending]);
    drop(journal);
    let journal = Journal::open(temp.path(), deadline).unwrap();
    assert_eq!(journal.stage(known), None);
    assert_eq!(journal.pending(), [pending]);
}

#[test]
fn an_order_that_the_disk_does_not_take_is_not_started_and_its_result_stays_in_memory() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("journal");
    let mut journal = Journal::open(&dir, NOW).unwrap();
    let held = started(&mut journal, 1);
    fs::remove_dir_all(&dir).unwrap();
    assert!(journal.start(leaf(2), NOW, &order(leaf(2), NOW)).is_err());
    assert_eq!(journal.stage(leaf(2)), None);
    journal.end(held, success(held));
    assert_eq!(journal.pending(), [held]);
    assert_eq!(journal.result(held, NOW), Some(success(held)));
    journal.acknowledge(held);
    assert_eq!(journal.pending(), []);
}
