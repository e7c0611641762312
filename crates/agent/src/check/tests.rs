use protocol::answer::ProbeOutcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn work(problem_type: &str) -> CheckWork {
    CheckWork {
        problem_type: problem_type.to_owned(),
        mode: 1,
        subject: "sickbay".to_owned(),
    }
}

/// What a caller knows, with nothing of the host's own.
pub(super) fn local(dir: &Path, server: Option<&str>) -> Local {
    Local {
        server: server.map(|it| it.parse().unwrap()),
        ..Local::new(dir, &dir.join("profiles"))
    }
}

/// Sickbay's own agent with its data there.
pub(super) fn own(dir: &Path, server: Option<&str>) -> Subject {
    let local = local(dir, server);
    let profiles = Profiles::load(&local.profiles_dir);
    profile::on_this_host(profiles.find(OWN).unwrap(), &local)
}

/// This very process as the agent.
fn here(dir: &Path, port: u16) -> Local {
    Local {
        own_pid: Some(std::process::id()),
        ..local(dir, Some(&format!("http://localhost:{port}")))
    }
}

fn outcome_of(report: &CheckReport, name: &str) -> ProbeOutcome {
    report
        .probes
        .iter()
        .find(|it| it.name == name)
        .unwrap()
        .outcome
}

#[tokio::test]
async fn a_server_that_answers_is_reached_and_the_bundle_is_as_announced() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1_024];
            let size = stream.read(&mut request).await.unwrap();
            assert!(request[..size].starts_with(b"GET /healthz HTTP/1.1\r\nHost: localhost:"));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    };
    let (local, work) = (here(dir.path(), port), work("offline"));
    let progress = Progress::default();
    let checking = run(&work, &local, Some(12), dir.path(), &progress);
    let outcome = tokio::select! { outcome = checking => outcome, () = serving => unreachable!() };
    let outcome = outcome.unwrap();

    let report = &outcome.report;
    for name in [
        "dns",
        "tcp",
        "http",
        "clock",
        "installed",
        "process",
        "files",
    ] {
        assert_eq!(
            outcome_of(report, name),
            ProbeOutcome::Clear,
            "{name}: {report:#?}"
        );
    }
    assert_eq!(outcome_of(report, "tls"), ProbeOutcome::Skipped);
    assert!(
        !report
            .findings
            .iter()
            .any(|it| (2100..2400).contains(&it.cause)),
        "{report:#?}"
    );
    let bundle = outcome.bundle.unwrap();
    let size = std::fs::metadata(&bundle).unwrap().len();
    assert_eq!(report.bundle.as_ref().unwrap().bytes, size);
}

#[tokio::test]
async fn a_closed_port_is_found_and_what_builds_on_it_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outcome = run(
        &work("offline"),
        &here(dir.path(), port),
        None,
        dir.path(),
        &Progress::default(),
    )
    .await
    .unwrap();
    let report = &outcome.report;
    let refused = report.findings.iter().find(|it| it.cause == 2303).unwrap();
    assert_eq!(refused.known["PORT"], port.to_string());
    assert_eq!(outcome_of(report, "tcp"), ProbeOutcome::Found);
    assert_eq!(outcome_of(report, "http"), ProbeOutcome::Skipped);
    assert!(render(report, false).contains("critical 2303"));
}
