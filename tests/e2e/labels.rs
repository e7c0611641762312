//! Labels: operators give them, selectors ask for them, hosts have no say.

use model::TaskType::ClientDevOps;
use serde_json::{Value, json};
use tests::{Agent, Server};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a command that succeeds, and returns its JSON.
async fn sickbay(server: &Server, args: &[&str]) -> Value {
    let said = server.sickbay(&[args, &["-o", "json"]].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
    json(&said.out)
}

/// The uuids that a selector means, oldest first.
async fn selected(server: &Server, selector: &str) -> Vec<String> {
    let hosts = sickbay(server, &["host", "list", "--selector", selector]).await;
    let hosts = hosts.as_array().unwrap().iter();
    hosts
        .map(|it| it["Uuid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn hosts_are_labelled_chosen_by_label_and_keep_it() {
    let mut server = Server::start(&[]).await;
    let web = Agent::online(&server).await;
    let spare = Agent::enrol(&server).await;
    let gone = Agent::enrol(&server).await;
    let label = [
        "host", "label", &web.uuid, &gone.uuid, "Env=prod", "tier=web",
    ];
    let counts = |it: &Value| (it["TotalCount"].clone(), it["ChangedCount"].clone());
    let done = sickbay(&server, &label).await;
    assert_eq!(counts(&done), (json!(2), json!(2)));
    let again = sickbay(&server, &label).await;
    assert_eq!(counts(&again), (json!(2), json!(0)));
    let by_selector = ["host", "label", "--selector", "not label.env exists"];
    let done = sickbay(&server, &[&by_selector[..], &["env=stage"]].concat()).await;
    assert_eq!(counts(&done), (json!(1), json!(1)));
    sickbay(&server, &["host", "label", &web.uuid, "tier-"]).await;
    let replaced = ["host", "label", &gone.uuid, "--replace", "owner=ann b"];
    sickbay(&server, &replaced).await;

    server.kill9().await;
    server.restart().await;
    web.until_online(&server).await;
    for (selector, expected) in [
        ("label.env in (prod, stage)", vec![&web, &spare]),
        ("label.env = PROD", vec![&web]),
        ("label.env != prod", vec![&spare, &gone]),
        ("label.owner = \"ann b\" or label.tier exists", vec![&gone]),
        ("not label.env exists", vec![&gone]),
        (
            "label.env not in (prod) and status = offline",
            vec![&spare, &gone],
        ),
    ] {
        let expected: Vec<&str> = expected.iter().map(|it| it.uuid.as_str()).collect();
        assert_eq!(selected(&server, selector).await, expected, "{selector}");
    }
    let mut pages = Vec::new();
    for number in ["1", "2", "3"] {
        let params = [
            ("Selector", "label.env = prod or label.owner exists"),
            ("PageSize", "1"),
            ("CurrentPage", number),
        ];
        let page = server.request("DescribeCloudCenterInstances", &params);
        let page = page.send().await.json();
        assert_eq!(page["PageInfo"]["TotalCount"], 2, "{page}");
        let rows = page["Instances"].as_array().unwrap();
        pages.extend(rows.iter().map(|it| it["Uuid"].clone()));
    }
    assert_eq!(pages, [json!(web.uuid), json!(gone.uuid)]);
    let shown = sickbay(&server, &["host", "get", &web.uuid]).await;
    assert_eq!(shown["Labels"], json!({"env": "prod"}));
    let table = server
        .sickbay(&["host", "get", &web.uuid, "-o", "table"])
        .await;
    assert!(table.out.contains("env=prod"), "{table:?}");
    let table = server.sickbay(&["host", "list", "-o", "csv"]).await;
    assert!(table.out.contains("owner=ann b"), "{table:?}");

    let create = ["task", "create", "CLIENT_DEV_OPS", "-p", "command=true"];
    let create = [&create[..], &["--selector", "label.env in (prod,stage)"]].concat();
    let task = sickbay(&server, &create).await;
    assert_eq!(task["TotalCount"], 2);
    sickbay(&server, &["host", "label", &web.uuid, "env-"]).await;
    let leaves = server.leaves(task["TaskId"].as_str().unwrap()).await;
    let hosts: Vec<&str> = leaves.iter().map(|it| it.1.uuid.as_str()).collect();
    assert_eq!(hosts, [web.uuid.as_str(), spare.uuid.as_str()]);

    server.client().remove_host(&gone.uuid).await.unwrap();
    let none: Vec<String> = selected(&server, "label.owner exists").await;
    assert!(none.is_empty(), "{none:?}");
    let verified = server.sickbay(&["admin", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test]
async fn a_host_that_enrols_has_the_labels_of_its_code() {
    let server = Server::start(&[]).await;
    let create = ["install-code", "create", "--label", "env=prod", "--label"];
    let code = sickbay(&server, &[&create[..], &["zone=a"]].concat()).await;
    assert_eq!(code["Labels"], json!({"env": "prod", "zone": "a"}));
    let code = code["CaptchaCode"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let enrol = async || {
        let said = Agent::try_enrol(&server.url, code, server.pin.as_deref(), folder.path()).await;
        said.out.trim().to_owned()
    };
    let uuid = enrol().await;
    assert_eq!(selected(&server, "label.zone = a").await, [uuid.as_str()]);
    sickbay(&server, &["host", "label", &uuid, "env=stage", "zone-"]).await;
    enrol().await;
    let shown = sickbay(&server, &["host", "get", &uuid]).await;
    assert_eq!(shown["Labels"], json!({"env": "stage"}), "operators decide");
    let twice = server
        .sickbay(&["install-code", "create", "--label", "a=b", "--label", "A=c"])
        .await;
    assert_eq!(twice.code, 2, "{twice:?}");
}

#[tokio::test]
async fn labels_that_cannot_be_change_nothing() {
    let server = Server::start(&[]).await;
    let host = Agent::enrol(&server).await;
    let uuid = host.uuid.as_str();
    let many: Vec<String> = (0..65).map(|it| format!("\"k{it}\":\"v\"")).collect();
    let many = format!("{{{}}}", many.join(","));
    for (params, code, why) in [
        (
            &[("Uuids", uuid), ("Labels", "{\"env\":\"\"}")][..],
            "InvalidParameter",
            "is no label value",
        ),
        (&[("Uuids", uuid), ("Labels", &many)], "IllegalParam", uuid),
        (
            &[
                ("Uuids.1", uuid),
                ("Uuids.2", "inet-of-nobody"),
                ("Labels", "{\"a\":\"b\"}"),
            ],
            "IllegalParam",
            "inet-of-nobody",
        ),
        (
            &[("Selector", "label.=x"), ("Labels", "{\"a\":\"b\"}")],
            "InvalidParameter",
            "`label.` at character 1",
        ),
        (
            &[("Selector", "os exists"), ("Uuids", uuid), ("Labels", "{}")],
            "InvalidParameter",
            "only one of the two",
        ),
        (&[("Labels", "{\"a\":\"b\"}")], "MissingParameter", "Uuids"),
        (&[("Uuids", uuid)], "MissingParameter", "Labels"),
    ] {
        let reply = server.request("SetHostLabels", params).send().await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.json()["Code"], json!(code), "{}", reply.text());
        assert!(reply.text().contains(why), "{}", reply.text());
    }
    let host = server.client().host(uuid).await.unwrap().asset_detail;
    assert!(host.labels.is_empty(), "{host:?}");
    let both = [
        ("Selector", "os exists"),
        ("Criteria", "[{\"name\":\"ip\",\"value\":\"::1\"}]"),
    ];
    let reply = server
        .request("DescribeCloudCenterInstances", &both)
        .send()
        .await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(server.tasks(ClientDevOps).await.is_empty());
}
