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
    assert_eq!(it.known["UNIT"], "sickbay-agent.service");
    let mut it = finding(Cause::AgentNotRunning, "gone", Vec::new(), &[]);
    complete(&mut it, &subject);
    let command = "see it: systemctl status sickbay-agent.service; pgrep -a sickbay-agent";
    assert_eq!(it.evidence, [command]);
}
