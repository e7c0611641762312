use super::*;

fn context(deep: bool) -> Arc<Context> {
    Arc::new(Context {
        subject: crate::check::tests::own("/nonexistent".as_ref(), None),
        detected: Arc::default(),
        running: Arc::default(),
        problem: "other".to_owned(),
        deep,
        clock_offset_ms: None,
        now_ms: 0,
    })
}

#[tokio::test]
async fn a_probe_that_hangs_is_skipped_and_says_so() {
    let hung = probe(
        "hung",
        Area::Agent,
        Scope::Subject,
        1,
        Body::Waiting(|_| Box::pin(std::future::pending())),
    );
    let steps = hung.run(&context(false)).await;
    assert_eq!(steps[0].verdict.outcome, ProbeOutcome::Skipped);
    assert_eq!(steps[0].verdict.note, "did not finish within 1 ms");
}

#[tokio::test]
async fn a_probe_that_breaks_is_skipped() {
    let broken = probe(
        "broken",
        Area::Agent,
        Scope::Subject,
        5_000,
        Body::Blocking(|_| panic!("odd")),
    );
    let steps = broken.run(&context(false)).await;
    assert_eq!(steps[0].verdict.outcome, ProbeOutcome::Skipped);
}

#[test]
fn an_offline_agent_gets_every_probe_and_a_slow_host_no_network_probe() {
    for it in PROBES {
        assert!(it.applies_to("offline", false) && it.applies_to("other", false));
        assert!(it.applies_to("host_slow", true), "deep runs everything");
    }
    let slow = PROBES.iter().filter(|it| it.applies_to("host_slow", false));
    assert!(slow.clone().any(|it| it.name == "cpu"));
    assert!(slow.clone().all(|it| it.area != Area::Network));
}

#[test]
fn a_check_says_which_probes_it_is_at() {
    let progress = Progress::default();
    let leaf = model::RootId::new(model::UnixMillis(0), [0; 6]).leaf(1);
    let said = || {
        let frame = progress.frame(leaf);
        (frame.percent, frame.note)
    };
    let hung = |name| {
        probe(
            name,
            Area::Agent,
            Scope::Subject,
            1,
            Body::Blocking(|_| panic!("odd")),
        )
    };
    let (disk, memory, cpu) = (hung("disk"), hung("memory"), hung("cpu"));
    let steps = Steps::new(&progress, &[&disk, &memory, &cpu]);
    assert_eq!(said(), (Some(0), "disk, memory, cpu".to_owned()));
    steps.ended("memory");
    assert_eq!(said(), (Some(25), "disk, cpu".to_owned()));
    steps.ended("disk");
    steps.ended("cpu");
    assert_eq!(said(), (Some(75), "collecting the logs".to_owned()));
}

#[test]
fn evidence_ends_with_a_command_that_can_be_typed() {
    let mut it = finding(
        Cause::DiskFull,
        "full",
        vec!["a\nb".into()],
        &[("PATH", "/var")],
    );
    let subject = crate::check::tests::own("/nonexistent".as_ref(), None);
    complete(&mut it, &subject);
    assert_eq!(it.evidence, ["a b", "see it: df -h /var"]);
    let mut it = finding(Cause::AgentNotRunning, "gone", Vec::new(), &[]);
    complete(&mut it, &subject);
    let command = "pgrep -a -f sickbay-agent";
    let last = it.evidence.last().unwrap();
    assert!(
        last.starts_with("see it: ") && last.ends_with(command),
        "{last}"
    );
}

/// The kernel keeps 15 bytes of a name: what matches whole names by it must know the cut one.
#[test]
fn the_command_that_resumes_an_agent_works_for_one_with_a_long_name() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("prometheus-node-exporter");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let mut child = std::process::Command::new(&program)
        .arg("60")
        .spawn()
        .unwrap();
    let pid = child.id();
    let state = || procfs::process(pid).unwrap().state;
    let signalled = |signal: &str| {
        let line = format!("kill -{signal} {pid}");
        let done = std::process::Command::new("sh")
            .args(["-c", &line])
            .status();
        assert!(done.unwrap().success());
    };
    while procfs::process(pid).unwrap().name != "prometheus-node" {
        std::thread::yield_now();
    }
    signalled("STOP");
    while state() != 'T' {
        std::thread::yield_now();
    }
    let subject = Subject {
        processes: vec!["prometheus-node-exporter".into()],
        ..Subject::default()
    };
    let cause = Cause::AgentFrozen;
    let mut found = finding(cause, "x", Vec::new(), &[("PID", &*pid.to_string())]);
    complete(&mut found, &subject);
    let command = model::Fix::ResumeProcess.action().unwrap().command;
    let line = found.fill(command).unwrap();
    let done = std::process::Command::new("sh")
        .args(["-c", &line])
        .status();
    assert!(done.unwrap().success(), "{line}");
    assert_ne!(state(), 'T', "{line}");
    let other = line.replace("prometheus-node", "another");
    let done = std::process::Command::new("sh")
        .args(["-c", &other])
        .status();
    assert!(
        !done.unwrap().success(),
        "the number belongs to another: {other}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn no_command_of_systemd_is_named_where_it_does_not_run() {
    let subject = Subject {
        unit: "x.service".into(),
        ..Subject::default()
    };
    let mut found = finding(Cause::ServiceFailed, "x", Vec::new(), &[]);
    complete(&mut found, &subject);
    let names = |it: &String| it.contains("systemctl") || it.contains("journalctl");
    let runs = command::systemd_runs();
    assert_eq!(found.evidence.iter().any(names), runs);
    assert_eq!(
        found.known.contains_key("UNIT"),
        runs,
        "it has no script either"
    );
}
