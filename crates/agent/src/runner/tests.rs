use std::{
    future::{pending, ready},
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

fn shell(line: &str) -> OpsWork {
    OpsWork {
        command: line.to_owned(),
        ..OpsWork::default()
    }
}

fn program(name: &str, args: &[&str]) -> OpsWork {
    OpsWork {
        args: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
        ..shell(name)
    }
}

/// An end of something that was started.
struct Ran {
    verdict: Verdict,
    reason: Reason,
    report: OpsReport,
    message: String,
}

impl From<RunEnd> for Ran {
    fn from(end: RunEnd) -> Self {
        Self {
            verdict: end.verdict,
            reason: end.reason,
            report: end.report.expect("it was started"),
            message: end.message,
        }
    }
}

async fn run_within(work: &OpsWork, limits: &Limits, cancel: impl Future<Output = ()>) -> Ran {
    let progress = Progress::default();
    run(work, limits, None, &progress, cancel).await.into()
}

async fn run_whole(work: &OpsWork) -> Ran {
    run_within(work, &Limits::default(), pending()).await
}

/// A `sleep` for a time that no other process sleeps, so that it can be found.
struct Sleeper {
    seconds: String,
}

impl Sleeper {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            seconds: format!("1000.{}{number:03}", std::process::id()),
        }
    }

    fn running(&self) -> Vec<i32> {
        let wanted = format!("sleep\0{}\0", self.seconds);
        let stats = crate::inventory::processes::stats();
        let mut pids: Vec<i32> = stats.iter().map(|stat| stat.pid).collect();
        pids.retain(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line == wanted.as_bytes())
        });
        pids
    }

    /// Resolves when so many of them run; fails the test if that takes unreasonably long.
    async fn are(&self, count: usize) {
        for _ in 0..2_000 {
            if self.running().len() == count {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("{} instead of {count} run", self.running().len());
    }
}

#[tokio::test]
async fn a_command_that_ends_well_is_a_success() {
    let end = run_whole(&shell("echo out; echo err >&2")).await;
    assert_eq!((end.verdict, end.reason), (Verdict::Success, Reason::None));
    assert_eq!(end.report.exit_code, Some(0));
    assert_eq!(end.report.stdout.text, "out\n");
    assert_eq!(end.report.stderr.text, "err\n");
}

#[tokio::test]
async fn an_exit_code_and_a_signal_are_told_apart() {
    let code = run_whole(&shell("exit 7")).await;
    assert_eq!(
        (code.verdict, code.reason),
        (Verdict::Fail, Reason::ExitCode)
    );
    assert_eq!((code.report.exit_code, code.report.signal), (Some(7), None));
    let signal = run_whole(&shell("kill -9 $$")).await;
    assert_eq!(
        (signal.verdict, signal.reason),
        (Verdict::Fail, Reason::Signal)
    );
    assert_eq!(
        (signal.report.exit_code, signal.report.signal),
        (None, Some(9))
    );
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let end = run_whole(&program("printf", &["%s|", "a b", "$HOME", ";id"])).await;
    assert_eq!(end.report.stdout.text, "a b|$HOME|;id|");
}

#[tokio::test]
async fn there_is_nothing_to_read_on_standard_input() {
    let end = run_whole(&program("cat", &[])).await;
    assert_eq!(
        (end.verdict, end.report.stdout.bytes),
        (Verdict::Success, 0)
    );
}

#[tokio::test]
async fn the_environment_is_minimal_and_what_was_asked_for() {
    let mut work = program("env", &[]);
    work.env.insert("SITE".to_owned(), "north".to_owned());
    let text = run_whole(&work).await.report.stdout.text;
    assert!(text.lines().any(|line| line == "SITE=north"), "{text}");
    let known = ["PATH", "HOME", "LANG", "USER", "LOGNAME", "SITE"];
    let is_known = |line: &str| line.split_once('=').is_some_and(|it| known.contains(&it.0));
    assert!(text.lines().all(is_known), "{text}");
    assert_eq!(
        run_whole(&program("pwd", &[])).await.report.stdout.text,
        "/\n"
    );
}

#[tokio::test]
async fn long_output_is_cut_in_the_middle_with_length_and_digest_of_the_whole() {
    let limits = Limits {
        output_bytes_max: 8,
        ..Limits::default()
    };
    let end = run_within(&shell("printf hello; printf ' world'"), &limits, pending()).await;
    let stdout = end.report.stdout;
    assert_eq!(stdout.text, "hell\n[… 3 bytes left out …]\norld");
    assert_eq!((stdout.bytes, stdout.cut), (11, true));
    assert_eq!(
        stdout.sha256,
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    );
}

#[tokio::test]
async fn bytes_that_cannot_be_shown_can_be_got_back() {
    let end = run_whole(&shell(r"printf 'a\377\\\000b'; printf 'a\\b' >&2")).await;
    let OpsReport { stdout, stderr, .. } = end.report;
    assert_eq!(
        (stdout.text.as_str(), stdout.escaped),
        (r"a\xff\\\x00b", true)
    );
    assert_eq!(stdout.bytes, 5);
    assert_eq!((stderr.text.as_str(), stderr.escaped), (r"a\b", false));
    let nothing = run_whole(&shell("true")).await.report.stdout;
    assert_eq!((nothing.bytes, nothing.cut), (0, false));
    assert!(nothing.sha256.starts_with("e3b0c442"), "that of nothing");
}

#[tokio::test]
async fn endless_output_is_stopped() {
    let mut work = program("yes", &[]);
    work.limits.output_bytes = Some(1 << 20);
    let end = run_whole(&work).await;
    assert_eq!(
        (end.verdict, end.reason),
        (Verdict::Fail, Reason::LimitExceeded)
    );
    assert!(end.report.stdout.bytes > 1 << 20);
    assert!(end.report.stdout.cut);
    let limit = &end.report.limits[0];
    assert_eq!((limit.by.as_str(), limit.reached), ("agent", true));
}

#[tokio::test]
async fn the_deadline_ends_the_whole_tree() {
    let sleeper = Sleeper::new();
    let line = format!("sleep {0} & setsid sleep {0} & wait", sleeper.seconds);
    let limits = Limits {
        deadline: Duration::from_secs(2),
        ..Limits::default()
    };
    let end = run_within(&shell(&line), &limits, pending()).await;
    assert_eq!(
        (end.verdict, end.reason),
        (Verdict::Timeout, Reason::Deadline)
    );
    sleeper.are(0).await;
}

#[tokio::test]
async fn cancelling_ends_the_whole_tree_even_what_ignores_the_request() {
    let sleeper = Sleeper::new();
    let line = format!(
        "trap '' TERM; sleep {0} & setsid sleep {0} & wait",
        sleeper.seconds
    );
    let limits = Limits {
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    let end = run_within(&shell(&line), &limits, sleeper.are(2)).await;
    assert_eq!(
        (end.verdict, end.reason),
        (Verdict::Fail, Reason::Cancelled)
    );
    assert_eq!(end.report.signal, Some(9));
    sleeper.are(0).await;
}

#[tokio::test]
async fn what_a_command_does_when_asked_to_end_is_still_told() {
    let sleeper = Sleeper::new();
    let line = format!(
        "trap 'echo bye; exit 3' TERM; sleep {} & wait",
        sleeper.seconds
    );
    let end = run_within(&shell(&line), &Limits::default(), sleeper.are(1)).await;
    assert_eq!(end.reason, Reason::Cancelled);
    assert_eq!(end.report.exit_code, Some(3));
    assert_eq!(end.report.stdout.text, "bye\n");
}

#[tokio::test]
async fn a_process_left_behind_that_keeps_the_output_open_does_not_hold_the_result() {
    let sleeper = Sleeper::new();
    let line = format!("sleep {} & echo done", sleeper.seconds);
    let end = run_whole(&shell(&line)).await;
    assert_eq!(end.verdict, Verdict::Success);
    assert_eq!(end.report.stdout.text, "done\n");
    assert!(end.message.contains("was ended"), "{}", end.message);
    sleeper.are(0).await;
}

#[tokio::test]
async fn what_is_left_in_the_group_is_ended_and_a_daemon_of_its_own_session_stays() {
    let (left, daemon) = (Sleeper::new(), Sleeper::new());
    let temp = tempfile::tempdir().unwrap();
    let line = format!(
        "exec >&- 2>&-; cd {}; sleep {} & setsid -f sh -c 'touch up; exec sleep {}'; \
         until [ -e up ]; do sleep 0.01; done",
        temp.path().display(),
        left.seconds,
        daemon.seconds
    );
    let end = run_whole(&shell(&line)).await;
    assert!(end.message.contains("was ended"), "{}", end.message);
    left.are(0).await;
    daemon.are(1).await;
    for pid in daemon.running() {
        let daemon = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(daemon, rustix::process::Signal::KILL).unwrap();
    }
    let end = run_whole(&shell("true")).await;
    assert_eq!(end.message, "exit code 0");
}

#[tokio::test]
async fn what_a_command_writes_is_told_as_it_comes() {
    let progress = Progress::default();
    let work = shell("echo out; echo err >&2; exec sleep 1000");
    let limits = Limits::default();
    let both_told = async {
        while progress
            .frame(model::RootId::new(model::UnixMillis(0), [0; 6]).leaf(1))
            .output_length
            < 8
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let end = Ran::from(run(&work, &limits, None, &progress, both_told).await);
    assert_eq!(end.reason, Reason::Cancelled);
    assert_eq!(end.report.stdout.text, "out\n");
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing_behind() {
    let sleeper = Sleeper::new();
    let work = shell(&format!("sleep {} & wait", sleeper.seconds));
    let (limits, progress) = (Limits::default(), Progress::default());
    tokio::select! {
        _end = run(&work, &limits, None, &progress, pending()) => panic!("it ended"),
        () = sleeper.are(1) => {}
    }
    sleeper.are(0).await;
}

#[tokio::test]
async fn a_command_that_is_cancelled_at_once_ends() {
    let end = run_within(&program("sleep", &["1000"]), &Limits::default(), ready(())).await;
    assert_eq!(
        (end.verdict, end.reason),
        (Verdict::Fail, Reason::Cancelled)
    );
}

#[tokio::test]
async fn what_cannot_start_says_what_and_why() {
    use Reason as R;
    let with = |change: fn(&mut OpsWork)| {
        let mut work = shell("true");
        change(&mut work);
        work
    };
    let temp = tempfile::tempdir().unwrap();
    let text = temp.path().join("text");
    std::fs::write(&text, "no program").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&text, mode).unwrap();
    for (work, reason, message) in [
        (
            program("/no/such/program", &[]),
            R::NoSuchProgram,
            "cannot start `/no/such/program`: No such file or directory",
        ),
        (
            program("no-such-program", &[]),
            R::NoSuchProgram,
            "cannot start `no-such-program`",
        ),
        (program("/etc/passwd", &[]), R::NotExecutable, "Permission"),
        (
            with(|it| it.script = Some("#!/no/interpreter -x\n".to_owned())),
            R::NoSuchProgram,
            "its interpreter `/no/interpreter -x`",
        ),
        (
            with(|it| it.cwd = Some("/no/such/place".to_owned())),
            R::NoSuchDirectory,
            "cannot enter the working directory `/no/such/place`",
        ),
        (
            with(|it| it.cwd = Some("/etc/passwd".to_owned())),
            R::NoSuchDirectory,
            "Not a directory",
        ),
        (
            with(|it| it.run_as = Some("no-such-user".to_owned())),
            R::NoSuchUser,
            "`no-such-user`: /etc/passwd has no such user",
        ),
        (
            with(|it| it.limits.cpu_percent = Some(10)),
            R::NotStarted,
            "cpuPercent cannot be limited on this host",
        ),
        (
            with(|it| drop(it.env.insert("A=B".to_owned(), String::new()))),
            R::NotStarted,
            "`A=B` cannot be the name",
        ),
        (
            with(|it| drop(it.env.insert("A".to_owned(), "\0".to_owned()))),
            R::NotStarted,
            "NUL byte in the environment",
        ),
        (shell("a\0b"), R::NotStarted, "NUL byte in the command"),
        (
            program("true", &["\0"]),
            R::NotStarted,
            "NUL byte in the arguments",
        ),
    ] {
        let (limits, progress) = (Limits::default(), Progress::default());
        let end = run(&work, &limits, None, &progress, pending()).await;
        assert_eq!((end.verdict, end.reason), (Verdict::Fail, reason));
        assert!(end.message.contains(message), "{}", end.message);
        assert_eq!(end.report, None);
    }
}

#[tokio::test]
async fn a_script_runs_by_its_interpreter_with_its_arguments_and_input() {
    let mut work = OpsWork {
        script: Some("#!/bin/sh -e\necho \"$1\"; pwd; cat; cat".to_owned()),
        args: Some(vec!["a b".to_owned()]),
        cwd: Some("/usr".to_owned()),
        stdin: Some("in\0put".to_owned()),
        ..OpsWork::default()
    };
    let end = run_whole(&work).await;
    assert_eq!(end.report.stdout.text, "a b\n/usr\nin\\x00put");
    // Nobody else can change it, not even who runs it.
    work.script = Some("#!/bin/sh\necho id >>\"$0\" || echo sealed".to_owned());
    if rustix::process::geteuid().is_root() {
        work.run_as = Some("nobody".to_owned());
    }
    assert_eq!(run_whole(&work).await.report.stdout.text, "sealed\n");
}

#[tokio::test]
async fn there_is_no_terminal_to_ask() {
    let end = run_whole(&shell("read answer </dev/tty")).await;
    assert_eq!(end.reason, Reason::ExitCode);
}

#[tokio::test]
async fn another_user_is_taken_on_wholly_or_refused() {
    let is_root = rustix::process::geteuid().is_root();
    let mut work = shell("id -un; id -G; echo $USER");
    work.run_as = Some(if is_root { "nobody" } else { "root" }.to_owned());
    let end = run_whole(&work).await;
    if is_root {
        let lines: Vec<&str> = end.report.stdout.text.lines().collect();
        assert_eq!((lines[0], lines[2]), ("nobody", "nobody"));
        let groups = lines[1];
        assert!(!groups.contains(' ') && groups != "0", "groups: {groups}");
    } else {
        assert_eq!(end.reason, Reason::NotStarted);
        assert!(end.message.contains("does not run as root"));
    }
}

#[tokio::test]
async fn a_memory_limit_holds_for_what_the_command_starts() {
    let mut work = shell("ulimit -v");
    work.limits.memory_bytes = Some(256 << 20);
    let end = run_whole(&work).await;
    assert_eq!(end.report.stdout.text, "262144\n");
    assert_eq!(end.report.limits[0].by, "rlimit");
}

#[tokio::test]
async fn the_output_that_takes_most_room_as_json_fits_an_answer() {
    let line = "head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2";
    let end = run_whole(&shell(line)).await;
    assert!(end.report.stdout.cut && end.report.stderr.cut);
    let json = serde_json::to_vec(&end.report).unwrap();
    assert!(json.len() < model::limits::ANSWER_BYTES_MAX);
}

#[tokio::test]
async fn a_later_agent_finds_a_command_by_its_mark_and_ends_it() {
    let temp = tempfile::tempdir().unwrap();
    let now = model::UnixMillis(0);
    let leaf = model::RootId::new(now, [0; 6]).leaf(1);
    let order = protocol::order::Order {
        leaf_id: leaf.to_string(),
        ..Default::default()
    };
    let signed = protocol::frame::SignedOrder {
        body: prost::Message::encode_to_vec(&order),
        ..Default::default()
    };
    let mut journal = crate::journal::Journal::open(temp.path(), now).unwrap();
    journal.take(leaf, now, &signed, true).unwrap();
    let mark = journal.begin(leaf).unwrap();
    let (work, limits, progress) = (
        shell("echo here; exec sleep 1000"),
        Limits::default(),
        Progress::default(),
    );
    let running = run(&work, &limits, Some(&mark), &progress, pending());
    let mut running = std::pin::pin!(running);
    // It has written when it has started, and it is noted before its output is read.
    while progress.changes() == 0 {
        let turn = tokio::time::timeout(Duration::from_millis(1), running.as_mut());
        assert!(turn.await.is_err(), "it runs");
    }
    let mut later = crate::journal::Journal::open(temp.path(), now).unwrap();
    assert_eq!(running.await.report.unwrap().signal, Some(9));
    let result = later.result(leaf, now).unwrap();
    let said = String::from_utf8(result.answer).unwrap();
    assert!(said.contains("it was stopped"), "{said}");
}
