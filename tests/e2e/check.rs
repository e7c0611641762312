//! A problem check by a connected agent, and its log bundle.

use std::io::Read as _;

use data_encoding::HEXLOWER;
use flate2::read::GzDecoder;
use model::TaskType::ClientProblemCheck;
use protocol::answer::ProbeOutcome;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tests::{Agent, Reply, Server};

/// Unpacks a bundle and compares every file with what its manifest says.
pub(crate) fn verify_bundle(archive: &[u8]) {
    let mut files = std::collections::BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(archive))
        .entries()
        .unwrap()
    {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
    let (name, manifest) = files
        .iter()
        .find(|(path, _)| path.ends_with("manifest.json"))
        .expect("a manifest");
    let folder = name.strip_suffix("manifest.json").unwrap();
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let listed = manifest["files"]
        .as_array()
        .expect("the manifest lists files");
    assert!(!listed.is_empty(), "{manifest}");
    for file in listed {
        let path = format!("{folder}{}", file["name"].as_str().unwrap());
        let content = files
            .get(&path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        let sha256 = HEXLOWER.encode(digest(&SHA256, content).as_ref());
        assert_eq!(file["sha256"], json!(sha256), "{path}");
        assert_eq!(file["bytes"], json!(content.len()), "{path}");
    }
    assert_eq!(
        listed.len() + 1,
        files.len(),
        "nothing is in it that is not in the manifest"
    );
}

/// Fetches what an address on this server has.
pub(crate) async fn fetch(server: &Server, url: &str) -> Reply {
    let target = url
        .strip_prefix(&server.url)
        .expect("an address of this server");
    Reply::to(
        server.authority(),
        "GET",
        target,
        &[("host", server.authority())],
        b"",
    )
    .await
}

#[tokio::test]
async fn a_check_says_what_was_looked_at_and_keeps_the_logs() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let param = json!({"problemType": "offline", "mode": 1, "uuids": agent.uuid});
    let root = server.create(ClientProblemCheck, param).await;
    let ended = server.ended(&root).await;
    assert_eq!(
        (ended.task_status_text.as_str(), ended.result_info.as_str()),
        ("SUCCESS", "successful")
    );

    let (leaf, detail) = server.leaf(&root).await;
    assert_eq!(leaf.task_status, 2);
    assert_eq!(detail.problem_type, "offline");
    assert_eq!(detail.uuid, agent.uuid);
    assert!(detail.probes.len() >= 10, "{:?}", detail.probes);
    assert!(
        detail
            .probes
            .iter()
            .any(|it| it.outcome == ProbeOutcome::Clear)
    );
    assert!(
        detail.probes.iter().all(|it| !it.note.is_empty()),
        "{:?}",
        detail.probes
    );
    // Codes and sentences run side by side, and every cause has its finding with evidence.
    assert_eq!(detail.cause_code.len(), detail.cause_msg.len());
    assert_eq!(detail.res_code.len(), detail.res_msg.len());
    assert_eq!(detail.cause_code.len(), detail.findings.len());
    assert!(
        detail.findings.iter().all(|it| !it.evidence.is_empty()),
        "{:?}",
        detail.findings
    );
    for code in &detail.cause_code {
        let said = server.sickbay(&["explain", code]).await;
        assert_eq!(said.code, 0, "{code} is in the catalogue: {said:?}");
    }

    let bundle = fetch(&server, &detail.url).await;
    assert_eq!(bundle.status, 200);
    verify_bundle(&bundle.body);
    let mut fetched = Vec::new();
    let bytes = server
        .client()
        .download(&detail.url, &mut fetched)
        .await
        .unwrap();
    assert_eq!(
        (bytes, &fetched),
        (u64::try_from(bundle.body.len()).unwrap(), &bundle.body)
    );
}

#[tokio::test]
async fn a_bundle_is_handed_out_only_at_an_address_that_the_server_made() {
    let server = Server::start(&[]).await;
    let _agent = Agent::online(&server).await;
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "other"}))
        .await;
    server.ended(&root).await;
    let (leaf, detail) = server.leaf(&root).await;
    let (plain, signature) = detail.url.rsplit_once("&Signature=").unwrap();
    let (path, expires) = plain.rsplit_once("?Expires=").unwrap();
    let later = expires.parse::<i64>().unwrap() + 1;
    let other_leaf = path.replace(&leaf.task_id, &leaf.task_id.replace("00000001", "00000002"));
    for (url, statuses) in [
        (
            format!("{path}?Expires={later}&Signature={signature}"),
            [403, 403],
        ),
        (
            format!("{path}?Expires=1000&Signature={signature}"),
            [403, 403],
        ),
        (
            format!("{path}?Expires={expires}&Signature={}", "0".repeat(64)),
            [403, 403],
        ),
        (
            format!("{path}?Expires={expires}&Signature=xyz"),
            [403, 403],
        ),
        (
            format!("{other_leaf}?Expires={expires}&Signature={signature}"),
            [403, 403],
        ),
        (path.to_owned(), [400, 403]),
        (
            path.replace(&leaf.task_id, "..%2F..%2Fsecret.key"),
            [400, 404],
        ),
    ] {
        let reply = fetch(&server, &url).await;
        assert!(
            statuses.contains(&reply.status),
            "{url}: {} {}",
            reply.status,
            reply.text()
        );
    }
}
