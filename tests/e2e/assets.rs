//! What is on a host.

use model::TaskType::{AssetSecurityCheck, AssetsCollection};
use serde_json::json;
use tests::{Agent, Server};

#[tokio::test]
async fn a_host_tells_everything_it_is_asked_for() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;

    let root = server
        .create(AssetSecurityCheck, json!({"uuids": [agent.uuid]}))
        .await;
    assert_eq!(server.ended(&root).await.task_status_text, "SUCCESS");
    let (_, detail) = server.leaf(&root).await;
    let assets = detail.assets.unwrap();
    let system = assets.system.unwrap();
    assert!(!system.hostname.is_empty() && system.cpu_count > 0 && system.memory_bytes > 0);
    let accounts = assets.accounts.unwrap();
    assert!(accounts.iter().any(|it| it.name == "root" && it.uid == 0));
    let processes = assets.processes.unwrap();
    let server_seen = processes
        .iter()
        .any(|it| it.cmdline.contains(server.authority()) || it.name == "sickbay");
    assert!(
        server_seen,
        "the server of this test is among the processes"
    );
    let port: u16 = server
        .authority()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let ports = assets.ports.unwrap();
    assert!(
        ports
            .iter()
            .any(|it| it.port == port && it.protocol == "tcp"),
        "{ports:?}"
    );
    // These may be empty on a small machine, but were looked at.
    for (name, was_looked_at) in [
        ("packages", assets.packages.is_some()),
        ("cron jobs", assets.cron_jobs.is_some()),
        ("kernel modules", assets.kernel_modules.is_some()),
        ("autoruns", assets.autoruns.is_some()),
    ] {
        assert!(was_looked_at, "{name}: {:?}", assets.unread);
    }

    let root = server
        .create(
            AssetsCollection,
            json!({"items": "ACCOUNT_SNAPSHOT,SCA_SNAPSHOT"}),
        )
        .await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let assets = server.leaf(&root).await.1.assets.unwrap();
    assert!(
        assets.accounts.is_some() && assets.processes.is_none(),
        "only what was asked for"
    );
}
