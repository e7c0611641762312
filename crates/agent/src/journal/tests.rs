use super::*;
use crate::inventory::processes::Stat;
use crate::runner::Group;
use model::RootId;
use protocol::order::Order;

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
        .take(leaf, deadline, &order(leaf, deadline), false)
        .unwrap();
    leaf
}

fn begun(journal: &mut Journal, number: u32) -> LeafId {
    let leaf = taken(journal, number);
    journal.begin(leaf).unwrap();
    leaf
}

/// As a command that starts at once.
fn taken_and_begun(journal: &mut Journal, number: u32) -> LeafId {
    let leaf = leaf(number);
    let deadline = NOW.plus(1_000);
    let order = order(leaf, deadline);
    journal.take(leaf, deadline, &order, true).unwrap();
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

    for take in [taken, taken_and_begun] {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = open(temp.path());
        let running = take(&mut journal, 1);
        let mark = journal.begin(running).unwrap();
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("1000").process_group(0).spawn().unwrap();
        let leader = i32::try_from(child.id()).unwrap();
        let started = Stat::read(leader).unwrap().started_ticks;
        let leader = rustix::process::Pid::from_raw(leader).unwrap();
        mark.write(&Group::of(leader, started, None).unwrap())
            .unwrap();

        let mut journal = open(temp.path());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let result = journal.result(running, NOW).unwrap();
        let answer: Answer = serde_json::from_slice(&result.answer).unwrap();
        assert!(answer.message.contains("it was stopped"));
    }
}

#[test]
fn a_command_that_begins_with_its_order_is_begun_once_and_never_handed_out() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let begun = taken_and_begun(&mut journal, 1);
    let path = temp.path().join(format!("{begun}.held"));
    let before = fs::read(&path).unwrap();
    journal.begin(begun).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before, "there is nothing to add");
    let mut journal = open(temp.path());
    assert_eq!(left_waiting(&mut journal), []);
    assert_eq!(
        journal.result(begun, NOW).unwrap().reason,
        "agent_restarted"
    );
}

#[test]
fn a_crash_between_a_write_and_its_name_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let waiting = taken(&mut journal, 1);
    let begun = taken_and_begun(&mut journal, 2);
    let refused = leaf(3);
    journal.end(refused, success(refused));
    drop(journal);
    // The names as a power cut may leave them; the content was synced.
    for (number, leaf) in [waiting, begun, refused].into_iter().enumerate() {
        let spare = temp.path().join(format!("{number}.spare"));
        fs::rename(temp.path().join(format!("{leaf}.held")), spare).unwrap();
    }
    for _ in 0..2 {
        let mut journal = open(temp.path());
        assert_eq!(journal.held(), [waiting, begun, refused]);
        assert_eq!(
            journal.result(begun, NOW).unwrap().reason,
            "agent_restarted"
        );
        assert_eq!(journal.result(refused, NOW), Some(success(refused)));
        assert_eq!(left_waiting(&mut journal), [waiting]);
    }
    let names = fs::read_dir(temp.path()).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|it| it.ends_with(".held")).count(), 3);
}

#[test]
fn a_record_that_a_crash_cut_short_counts_for_nothing_but_that_its_leaf_is_not_run() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let cancelled = taken(&mut journal, 1);
    let length_before = journal.entries[&cancelled].end.unwrap();
    journal.end(cancelled, success(cancelled));
    let torn_spare = leaf(2);
    let record = encode(Kind::Order, &order(torn_spare, NOW).encode_to_vec());
    drop(journal);
    fs::write(temp.path().join("99.spare"), &record[..record.len() - 1]).unwrap();
    let path = temp.path().join(format!("{cancelled}.held"));
    let whole = fs::read(&path).unwrap();
    let length_after = parse(&whole).end;
    for length in length_before + 1..length_after {
        let mut torn = whole.clone();
        torn[usize::try_from(length).unwrap()..].fill(0);
        fs::write(&path, torn).unwrap();
        let mut journal = open(temp.path());
        assert_eq!(left_waiting(&mut journal), [], "{length}");
        // Where the bytes that are missing are zeros anyhow, the record is whole.
        let result = journal.result(cancelled, NOW).unwrap();
        let is_whole = result == success(cancelled);
        assert!(is_whole || result.reason == "agent_restarted", "{length}");
        assert_eq!(journal.stage(torn_spare), None);
    }
    assert!(!temp.path().join("99.spare").exists());
}

#[test]
fn files_that_cannot_be_read_now_are_read_later() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let waiting = taken(&mut journal, 1);
    let ended = taken(&mut journal, 2);
    journal.end(ended, success(ended));
    drop(journal);
    // A directory cannot be read as a file.
    let paths = [waiting, ended].map(|leaf| temp.path().join(format!("{leaf}.held")));
    for path in &paths {
        fs::rename(path, path.with_extension("away")).unwrap();
        fs::create_dir(path).unwrap();
    }
    let mut journal = open(temp.path());
    assert_eq!(journal.held(), [waiting, ended]);
    assert_eq!(left_waiting(&mut journal), []);
    assert_eq!(journal.result(ended, NOW), None);
    for path in &paths {
        fs::remove_dir(path).unwrap();
        fs::rename(path.with_extension("away"), path).unwrap();
    }
    assert_eq!(left_waiting(&mut journal), [waiting]);
    assert_eq!(journal.result(ended, NOW), Some(success(ended)));
}

#[test]
fn a_leaf_that_ended_without_being_run_is_not_run_although_its_result_cannot_be_written() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let cancelled = taken(&mut journal, 1);
    // Where the result goes, no disk has room.
    journal.entries.get_mut(&cancelled).unwrap().end = Some(u64::MAX >> 1);
    journal.end(cancelled, success(cancelled));
    assert_eq!(journal.result(cancelled, NOW), Some(success(cancelled)));
    let mut journal = open(temp.path());
    assert_eq!(left_waiting(&mut journal), []);
}

#[test]
fn damaged_files_are_moved_aside_and_nothing_is_run_again() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let torn_order = taken(&mut journal, 1);
    let torn_result = begun(&mut journal, 2);
    journal.end(torn_result, success(torn_result));
    let file = |name: String| temp.path().join(name);
    fs::write(file(format!("{torn_result}.held")), b"").unwrap();
    let result = journal.result(torn_result, NOW).unwrap();
    assert_eq!(result.reason, "agent_fault");
    assert!(file(format!("{torn_result}.damaged")).exists());
    drop(journal);
    fs::write(file(format!("{torn_order}.held")), b"\xff\xff").unwrap();
    fs::write(file("notes.txt".into()), b"not ours").unwrap();

    let mut journal = open(temp.path());
    for leaf in [torn_order, torn_result] {
        let result = journal.result(leaf, NOW).unwrap();
        assert_eq!(result.reason, "agent_fault");
    }
    assert!(file(format!("{torn_order}.damaged")).exists());
    assert!(file("notes.txt".into()).exists());
    assert_eq!(left_waiting(&mut journal), []);
    // Not even when nothing else of the leaf is left.
    fs::remove_file(file(format!("{torn_order}.held"))).unwrap();
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
    let refused = order(leaf(2), NOW);
    assert!(journal.take(leaf(2), NOW, &refused, true).is_err());
    assert_eq!(journal.stage(leaf(2)), None);
    journal.end(held, success(held));
    assert_eq!(journal.pending(), [held]);
    assert_eq!(journal.result(held, NOW), Some(success(held)));
    journal.acknowledge(held);
    assert_eq!(journal.pending(), []);
}

#[test]
fn results_that_wait_for_the_server_are_counted() {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = open(temp.path());
    let known = taken_and_begun(&mut journal, 1);
    let pending = taken_and_begun(&mut journal, 2);
    taken_and_begun(&mut journal, 3);
    for leaf in [known, pending] {
        journal.end(leaf, success(leaf));
    }
    assert_eq!(unconfirmed(temp.path()), 2);
    journal.acknowledge(known);
    assert_eq!(unconfirmed(temp.path()), 1);
}
