//! What an operator sees of work that has not ended.

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Program, Server, until};

use crate::ops::Gate;

async fn until_said(program: &Program, what: &str) {
    until(what, async || program.log().contains(what).then_some(())).await;
}

#[tokio::test]
async fn a_command_is_seen_while_it_runs_and_its_output_as_it_comes() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let (first, second) = (
        Gate::new(agent.folder(), "first"),
        Gate::new(agent.folder(), "second"),
    );
    let (one, two) = (first.wait(), second.wait());
    let command = format!("echo one; {one}; printf 'two\\033[2J\\n' >&2; {two}; echo three");
    let root = server
        .create(ClientDevOps, json!({"command": command}))
        .await;
    let leaf = server.leaf(&root).await.0.task_id;

    let running = server
        .until_task(&leaf, "it says what it wrote", |it| {
            it.output_length.is_some()
        })
        .await;
    assert_eq!(running.output_tail, "one\n");
    assert_eq!(running.output_length, Some(4));
    assert_eq!((running.task_status, running.progress.as_str()), (1, "0%"));
    let records = [
        ("TaskType", "CLIENT_DEV_OPS"),
        ("RelateInfo", "true"),
        ("TaskId", &root),
    ];
    let page = server.request("DescribeOnceTaskLeafRecordPage", &records);
    let page = page.send().await.json();
    assert_eq!(page["OnceTasks"][0]["OutputLength"], 4, "{page}");
    for (args, line) in [
        (["task", "get", &leaf], "  so far │ one\n"),
        (["task", "get", &root], "  so far │ one\n"),
        (["task", "leaves", &root], "one\n"),
    ] {
        let said = server
            .sickbay(&[&args[..], &["-o", "table"]].concat())
            .await;
        let is_shown = said
            .out
            .lines()
            .any(|it| format!("{}\n", it.trim_end()).ends_with(line));
        assert!(is_shown, "{said:?}");
    }

    let log = |name: &str| agent.folder().join(name);
    let watch =
        |id: &str, name| server.start_sickbay(&["task", "watch", id, "-o", "table"], &log(name));
    let mut watchers = [watch(&leaf, "of-leaf"), watch(&root, "of-root")];
    for watcher in &watchers {
        until_said(watcher, "  output │ one\n").await;
    }
    first.open();
    for watcher in &watchers {
        until_said(watcher, "  output │ two?[2J\n").await;
    }
    second.open();
    for watcher in &mut watchers {
        assert_eq!(watcher.ended().await.code(), Some(0), "{}", watcher.log());
        assert!(watcher.log().contains("SUCCESS"), "{}", watcher.log());
    }
    let ended = server.task(&leaf).await;
    assert_eq!(
        (ended.progress.as_str(), ended.output_length),
        ("100%", None)
    );
    assert_eq!(ended.output_tail, "");
    let (_, detail) = server.leaf(&root).await;
    assert_eq!(detail.stdout.as_deref(), Some("one\nthree\n"));
}

#[tokio::test]
async fn a_node_that_starts_anew_learns_again_what_runs() {
    let mut server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let gate = Gate::new(agent.folder(), "gate");
    let command = format!("yes | head -c 10000; {}", gate.wait());
    let root = server
        .create(ClientDevOps, json!({"command": command}))
        .await;
    let leaf = server.leaf(&root).await.0.task_id;
    let says = async |server: &Server| {
        let row = server.until_task(&leaf, "it says what it wrote", |it| {
            it.output_length == Some(10_000)
        });
        let tail = row.await.output_tail;
        assert_eq!(tail.len(), model::limits::PROGRESS_OUTPUT_BYTES_MAX);
    };
    says(&server).await;
    let said = server.sickbay(&["task", "get", &leaf, "-o", "table"]).await;
    let line = "now    │ 10000 bytes of output, the last 4096 of them here";
    assert!(said.out.contains(line), "{said:?}");
    server.kill9().await;
    server.restart().await;
    says(&server).await;
    let watcher = ["task", "watch", &leaf, "-o", "table"];
    let mut watcher = server.start_sickbay(&watcher, &agent.folder().join("watch"));
    until_said(&watcher, "… 5904 bytes not shown …\n").await;
    gate.open();
    assert_eq!(watcher.ended().await.code(), Some(0), "{}", watcher.log());
}
