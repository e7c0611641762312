//! The audit log: everything asked for is in it, and nobody changes it unseen.

use model::TaskType::ClientDevOps;
use serde_json::{Value, json};
use tests::{Agent, Server};

/// Entries as the command line exports them, newest first.
async fn export(server: &Server, more: &[&str]) -> Vec<Value> {
    let all = [&["audit", "list", "-o", "jsonl"], more].concat();
    let said = server.sickbay(&all).await;
    assert_eq!(said.code, 0, "{said:?}");
    let line = |it: &str| serde_json::from_str(it).unwrap();
    said.out.lines().map(line).collect()
}

fn record(entry: &Value) -> Value {
    serde_json::from_str(entry["Record"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_changed_refused_and_read_is_in_the_log_and_secrets_are_not() {
    let mut server = Server::start(&[]).await;
    let client = server.client();
    let agent = Agent::online(&server).await;
    let work = json!({"command": "true", "env": {"TOKEN": "hush-hush"}});
    let task = server.create(ClientDevOps, work).await;
    server.ended(&task).await;
    client.create_user("ann").await.unwrap();
    let key = client.create_key("ann").await.unwrap();
    let mut ann = server.request("CancelOnceTask", &[("TaskId", &task)]);
    (ann.key_id, ann.secret) = (key.access_key_id.clone(), key.access_key_secret.clone());
    assert_eq!(ann.send().await.status, 403);
    for _ in 0..3 {
        let mut look = server.request("DescribeOnceTask", &[("TaskType", "CLIENT_DEV_OPS")]);
        (look.key_id, look.secret) = (key.access_key_id.clone(), key.access_key_secret.clone());
        assert_eq!(look.send().await.status, 403);
    }
    let mut stranger = server.request("ListUsers", &[]);
    stranger.secret = "wrong".to_owned();
    stranger.send().await;
    // What was acknowledged is there after a crash; what was only counted may be lost.
    let before = export(&server, &[]).await;
    server.kill9().await;
    server.restart().await;
    let entries = export(&server, &[]).await;
    assert!(
        entries.ends_with(&before),
        "nothing of it is lost or changed"
    );
    let find = |user: &str, action: &str| {
        let fits = |it: &&Value| it["User"] == user && it["Action"] == action;
        let found = entries.iter().find(fits);
        record(found.unwrap_or_else(|| panic!("{user} {action}: {entries:#?}")))
    };
    let created = find("root", "GenerateOnceTask");
    assert_eq!(
        (&created["Outcome"], &created["TaskId"]),
        (&json!("OK"), &json!(task))
    );
    assert_eq!(
        (&created["Hosts"], &created["Source"]),
        (&json!(1), &json!("127.0.0.1"))
    );
    assert!(
        created["Parameters"]["Param"]
            .as_str()
            .unwrap()
            .contains("TOKEN")
    );
    assert_eq!(find("ann", "CancelOnceTask")["Outcome"], "NoPermission");
    let own = |it: &&Value| it["User"] == "ann" && it["Action"] == "DescribeOnceTask";
    let looks: Vec<Value> = entries.iter().filter(own).map(record).collect();
    assert_eq!(
        looks.len(),
        1,
        "refused looks are counted together: {looks:?}"
    );
    assert_eq!(
        (&looks[0]["Outcome"], &looks[0]["Count"]),
        (&json!("NoPermission"), &json!(3))
    );
    assert_eq!(find("", "ListUsers")["Outcome"], "SignatureDoesNotMatch");
    let read = find("root", "DescribeOnceTask");
    assert!(
        read["Count"].as_i64().unwrap() > 1,
        "alike are counted: {read}"
    );
    let all = format!("{entries:?}");
    assert!(!all.contains("hush-hush") && !all.contains(&key.access_key_secret));
    let of_ann = export(&server, &["--user", "ann"]).await;
    assert!(!of_ann.is_empty() && of_ann.iter().all(|it| it["User"] == "ann"));
    drop(agent);
}

#[tokio::test]
async fn one_changed_byte_is_found_on_the_node_and_in_an_export() {
    let server = Server::start(&[]).await;
    let client = server.client();
    for name in ["ann", "bob", "cid"] {
        client.create_user(name).await.unwrap();
    }
    let verified = server.sickbay(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let head = verified.out.trim().to_owned();
    let said = server.sickbay(&["audit", "list", "-o", "jsonl"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.jsonl");
    let path = file.to_str().unwrap();
    std::fs::write(&file, &said.out).unwrap();
    let good = server
        .sickbay(&["audit", "verify", path, "--head", &head])
        .await;
    assert_eq!(good.code, 0, "{good:?}");
    std::fs::write(&file, said.out.replacen("bob", "rob", 1)).unwrap();
    let bad = server.sickbay(&["audit", "verify", path]).await;
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("was changed"), "{bad:?}");
    let (older, newest) = (said.out.lines().skip(2), said.out.lines().next().unwrap());
    let cut: Vec<&str> = older.collect();
    std::fs::write(&file, cut.join("\n")).unwrap();
    assert_eq!(server.sickbay(&["audit", "verify", path]).await.code, 0);
    let newest: Value = serde_json::from_str(newest).unwrap();
    let head = format!("{}:{}", newest["No"], newest["Digest"].as_str().unwrap());
    let short = server
        .sickbay(&["audit", "verify", path, "--head", &head])
        .await;
    assert_eq!(short.code, 1, "{short:?}");
    assert!(short.out.contains("taken away"), "{short:?}");

    let database = rusqlite::Connection::open(server.data().join("sickbay.db")).unwrap();
    let changed = "UPDATE audit SET text = replace(text, 'ann', 'eve') WHERE text LIKE '%ann%'";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    let bad = server.sickbay(&["audit", "verify"]).await;
    assert_eq!(bad.code, 1, "{bad:?}");
    let bad = server.sickbay(&["admin", "verify"]).await;
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("audit: entry"), "{bad:?}");
}
