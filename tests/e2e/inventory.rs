//! What is on the hosts is kept, shown, and chosen by.

use model::TaskType::{AssetSecurityCheck, AssetsCollection, ClientDevOps};
use serde_json::{Value, json};
use tests::{Agent, Server};

/// How many hosts match, and of how many others that is not known.
async fn preview(server: &Server, selector: &str) -> (u64, u64) {
    let preview = server
        .client()
        .preview_targets(Some(client::HostChoice::Selector(selector)))
        .await;
    let preview = preview.unwrap_or_else(|error| panic!("{selector}: {error}"));
    (preview.total_count, preview.unknown_count)
}

/// Kept lists as the command line shows them.
async fn items(server: &Server, host: &Agent, items: &str) -> Vec<Value> {
    let args = ["host", "get", &host.uuid, "--items", items, "-o", "json"];
    let said = server.sickbay(&args).await;
    assert_eq!(said.code, 0, "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test]
async fn hosts_are_chosen_by_what_was_last_seen_on_them() {
    let mut server = Server::start(&[]).await;
    let seen = Agent::online(&server).await;
    let unseen = Agent::enrol(&server).await;
    let number = server.authority().rsplit(':').next().unwrap().to_owned();
    let port = format!("port = {number}");
    assert_eq!(preview(&server, &port).await, (0, 2));
    let param = json!({"command": "true", "selector": port}).to_string();
    let params = [
        ("TaskType", "CLIENT_DEV_OPS"),
        ("TaskName", "CLIENT_DEV_OPS"),
        ("Param", param.as_str()),
    ];
    let refused = server.request("GenerateOnceTask", &params).send().await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let why = "of 2 hosts there is no inventory that tells";
    assert!(refused.text().contains(why), "{}", refused.text());

    let uuids = json!({"uuids": [seen.uuid]});
    let root = server.create(AssetSecurityCheck, uuids).await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let leaf = server.leaf(&root).await.0.task_id;
    server.kill9().await;
    server.restart().await;
    seen.until_online(&server).await;
    for (selector, expected) in [
        (port.as_str(), (1, 1)),
        (
            &format!("port in (1, {number}) and port >= {number}"),
            (1, 1),
        ),
        ("process.name = sickbay and process.name ~ agent", (1, 1)),
        ("not process.name = no-such-program", (1, 1)),
        ("account.name = root", (1, 1)),
        ("account.name = root and status = offline", (0, 1)),
        (
            &format!("account.name = root and not uuid = {}", unseen.uuid),
            (1, 0),
        ),
        ("account.name = root or uuid exists", (2, 0)),
        ("package(no-such-package) exists", (0, 1)),
    ] {
        assert_eq!(preview(&server, selector).await, expected, "{selector}");
    }
    let packages = &items(&server, &seen, "packages").await[0];
    if let Some(one) = packages["Entries"].get(0) {
        let (name, version) = (&one["name"], &one["version"]);
        for (order, expected) in [("=", 1), ("<=", 1), ("<", 0), ("!=", 0)] {
            let selector = format!("package({name}) {order} {version}");
            assert_eq!(
                preview(&server, &selector).await,
                (expected, 1),
                "{selector}"
            );
        }
        let selector = format!("package({name}) > 0 and package.name = {name}");
        assert_eq!(preview(&server, &selector).await, (1, 1), "{selector}");
    }
    let create = ["task", "create", "CLIENT_DEV_OPS", "-p", "command=true"];
    let dry = [
        &create[..],
        &["--selector", &port, "--dry-run", "-o", "table"],
    ]
    .concat();
    let said = server.sickbay(&dry).await;
    assert!(
        said.out
            .contains("1 host is meant, 1 of them online; of 1 other"),
        "{said:?}"
    );
    let root = server
        .create(ClientDevOps, json!({"command": "true", "selector": port}))
        .await;
    assert_eq!(server.ended(&root).await.total_count, 1);

    let lists = items(&server, &seen, "ports,processes").await;
    let shown: Vec<&Value> = lists.iter().map(|it| &it["Item"]).collect();
    assert_eq!(shown, ["PORT_SNAPSHOT", "PROC_SNAPSHOT"]);
    assert!(
        lists.iter().all(|it| it["TaskId"] == leaf.as_str()),
        "{leaf}"
    );
    let table = [
        "host",
        "get",
        &seen.uuid,
        "--items",
        "ports,system",
        "-o",
        "table",
    ];
    let said = server.sickbay(&table).await;
    assert!(
        said.out.contains(&number) && said.out.contains("second"),
        "{said:?}"
    );
    let said = server
        .sickbay(&["host", "get", &unseen.uuid, "--items", "cron"])
        .await;
    assert!(said.err.contains("cron: not known"), "{said:?}");
}

#[tokio::test]
async fn a_new_inventory_takes_the_place_of_what_it_asked_for_again() {
    let server = Server::start(&[]).await;
    let host = Agent::online(&server).await;
    let first = server.create(AssetSecurityCheck, json!({})).await;
    server.ended(&first).await;
    let second = server
        .create(AssetsCollection, json!({"items": "ACCOUNT_SNAPSHOT"}))
        .await;
    server.ended(&second).await;
    let (first, second) = (
        server.leaf(&first).await.0.task_id,
        server.leaf(&second).await.0.task_id,
    );
    let lists = items(&server, &host, "accounts,system,ports").await;
    let leaves: Vec<&str> = lists
        .iter()
        .map(|it| it["TaskId"].as_str().unwrap())
        .collect();
    assert_eq!(leaves, [second.as_str(), first.as_str(), first.as_str()]);
    let verified = server.sickbay(&["admin", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    server.client().remove_host(&host.uuid).await.unwrap();
    let gone = server.client().host_snapshots(&host.uuid, &[]).await;
    assert!(gone.is_err(), "{gone:?}");
    let verified = server.sickbay(&["admin", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}
