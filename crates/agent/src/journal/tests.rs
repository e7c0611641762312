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

fn taken(journal: &mut Journal, number: u32) -> LeafId {
    let leaf = leaf(number);
    let deadline = NOW.plus(1_000);
    journal
        .take(leaf, deadline, &order(leaf, deadline))
        .unwrap();
    leaf
}

fn begun(journal: &mut Journal, number: u32) -> LeafId {
    let leaf = taken(journal, number);
    journal.begin(leaf).unwrap();
    leaf
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, NOW).unwrap()
}

/// Leaves whose orders are to be run after a start.
fn left_waiting(journal: &mut Journal) -> Vec<LeafId> {
    let orders = journal.left_waiting(NOW).into_iter();
    orders.map(|it| it.0).collect()
}

#[test]
fn a_leaf_that_was_running_at_a_crash_fails_and_one_that_had_ended_keeps_its_result() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let running = begun(&mut journal, 1);
    let ended = begun(&mut journal, 2);
    journal.end(ended, success(ended));
    let known = begun(&mut journal, 3);
    journal.end(known, success(known));
    journal.acknowledge(known);
    drop(journal);

    for _ in 0..2 {
        let mut journal = open(temp.path());
        assert_eq!(left_waiting(&mut journal), []);
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
fn an_order_that_only_waited_at_a_crash_is_handed_out_once_per_start() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let waiting = taken(&mut journal, 1);
    let cancelled = taken(&mut journal, 2);
    journal.end(cancelled, success(cancelled));
    for _ in 0..2 {
        let mut journal = open(temp.path());
        assert_eq!(journal.held(), [waiting, cancelled]);
        assert_eq!(left_waiting(&mut journal), [waiting]);
        assert_eq!(left_waiting(&mut journal), []);
    }
    open(temp.path()).begin(waiting).unwrap();
    assert_eq!(left_waiting(&mut open(temp.path())), []);
}

#[test]
fn what_a_dead_agent_left_running_is_stopped_and_its_leaf_says_so() {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let running = taken(&mut journal, 1);
    let group_file = journal.begin(running).unwrap();
    let mut command = std::process::Command::new("sleep");
    let mut child = command.arg("1000").process_group(0).spawn().unwrap();
    let leader = i32::try_from(child.id()).unwrap();
    let group = Group::of(rustix::process::Pid::from_raw(leader).unwrap()).unwrap();
    fs::write(&group_file, group.to_string()).unwrap();

    let mut journal = open(temp.path());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let result = journal.result(running, NOW).unwrap();
    let answer: Answer = serde_json::from_slice(&result.answer).unwrap();
    assert!(answer.message.contains("it was stopped"));
    assert!(!group_file.exists());
}

#[test]
fn files_that_cannot_be_read_now_are_read_later() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let waiting = taken(&mut journal, 1);
    let ended = taken(&mut journal, 2);
    journal.end(ended, success(ended));
    drop(journal);
    let paths = [format!("{waiting}.order"), format!("{ended}.result")];
    // A directory cannot be read as a file.
    for path in &paths {
        let path = temp.path().join(path);
        fs::rename(&path, path.with_extension("away")).unwrap();
        fs::create_dir(&path).unwrap();
    }
    let mut journal = open(temp.path());
    assert_eq!(journal.stage(waiting), Some(Stage::Taken));
    assert_eq!(left_waiting(&mut journal), []);
    assert_eq!(journal.result(ended, NOW), None);
    for path in &paths {
        let path = temp.path().join(path);
        fs::remove_dir(&path).unwrap();
        fs::rename(path.with_extension("away"), &path).unwrap();
    }
    assert_eq!(left_waiting(&mut journal), [waiting]);
    assert_eq!(journal.result(ended, NOW), Some(success(ended)));
}

#[test]
fn a_leaf_that_ended_without_being_run_is_not_run_although_its_result_cannot_be_written() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let cancelled = taken(&mut journal, 1);
    // Where the result is written first, there is a directory.
    fs::create_dir(temp.path().join(format!("{cancelled}.result.tmp"))).unwrap();
    journal.end(cancelled, success(cancelled));
    assert_eq!(journal.result(cancelled, NOW), Some(success(cancelled)));
    let mut journal = open(temp.path());
    assert_eq!(left_waiting(&mut journal), []);
    assert_eq!(journal.stage(cancelled), Some(Stage::Ended));
}

#[test]
fn damaged_files_are_moved_aside_and_nothing_is_run_again() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    let torn_order = taken(&mut journal, 1);
    let torn_result = begun(&mut journal, 2);
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
    assert_eq!(left_waiting(&mut journal), []);
    // Not even when nothing else of the leaf is left.
    fs::remove_file(file(format!("{torn_order}.result"))).unwrap();
    let mut journal = open(temp.path());
    assert_eq!(journal.stage(torn_order), Some(Stage::Ended));
    assert_eq!(left_waiting(&mut journal), []);
}

#[test]
fn acknowledged_leaves_are_forgotten_a_day_after_their_deadline_and_pending_ones_never() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path(), NOW).unwrap();
    let known = begun(&mut journal, 1);
    journal.end(known, success(known));
    journal.acknowledge(known);
    let pending = begun(&mut journal, 2);
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
    let held = begun(&mut journal, 1);
    fs::remove_dir_all(&dir).unwrap();
    assert!(journal.take(leaf(2), NOW, &order(leaf(2), NOW)).is_err());
    assert_eq!(journal.stage(leaf(2)), None);
    journal.end(held, success(held));
    assert_eq!(journal.pending(), [held]);
    assert_eq!(journal.result(held, NOW), Some(success(held)));
    journal.acknowledge(held);
    assert_eq!(journal.pending(), []);
}
