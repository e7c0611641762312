//! What an inventory says, compared entry by entry with what this machine's own tools say.

use std::collections::BTreeSet;
use std::process::Command;

use model::TaskType::AssetSecurityCheck;
use protocol::answer::AssetReport;
use serde_json::json;
use tests::{Agent, Server};

/// The words of each line that a program prints.
fn lines(program: &str, arguments: &[&str]) -> BTreeSet<Vec<String>> {
    let mut command = Command::new(program);
    let output = command.args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect();
    text.lines().map(words).collect()
}

fn row(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

/// Processes as `ps` sees them: id, name.
fn processes() -> BTreeSet<Vec<String>> {
    lines("ps", &["-eo", "pid=,ucmd="])
}

/// Sockets that listen as `ss` sees them: kind, address, port.
fn sockets() -> BTreeSet<Vec<String>> {
    let socket = |words: &Vec<String>| {
        let (address, port) = words[4].rsplit_once(':').unwrap();
        let address = address.trim_matches(['[', ']']);
        let address = address.split('%').next().unwrap();
        // One that takes both kinds of addresses is of the newer one.
        row(&[&words[0], if address == "*" { "::" } else { address }, port])
    };
    lines("ss", &["-Hlntu"]).iter().map(socket).collect()
}

async fn report() -> (Server, AssetReport) {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let root = server
        .create(AssetSecurityCheck, json!({"uuids": [agent.uuid]}))
        .await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let assets = server.leaf(&root).await.1.assets.unwrap();
    (server, assets)
}

#[tokio::test]
async fn an_inventory_says_what_the_tools_of_the_machine_say() {
    let (processes_before, sockets_before) = (processes(), sockets());
    let (_server, assets) = report().await;
    let (processes_after, sockets_after) = (processes(), sockets());

    let packages = assets.packages.unwrap();
    let installed = packages.iter().filter(|it| it.manager == "dpkg");
    let installed: BTreeSet<_> = installed
        .map(|it| row(&[&it.name, &it.version, &it.architecture]))
        .collect();
    let format = "--showformat=${db:Status-Status} ${Package} ${Version} ${Architecture}\n";
    let expected: BTreeSet<_> = lines("dpkg-query", &["--show", format])
        .into_iter()
        .filter(|it| it[0] == "installed")
        .map(|it| it[1..].to_vec())
        .collect();
    assert_eq!(installed, expected);
    let mut dpkg = packages.iter().filter(|it| it.manager == "dpkg");
    assert!(dpkg.all(|it| it.installed_ms.is_some()), "{packages:?}");

    let accounts = assets.accounts.unwrap();
    let passwd = Command::new("getent").arg("passwd").output().unwrap();
    for line in String::from_utf8(passwd.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let own = accounts.iter().find(|it| it.name == fields[0]).unwrap();
        let shown = [own.uid.to_string(), own.gid.to_string()];
        assert_eq!(shown, [fields[2], fields[3]], "{line}");
        assert_eq!(
            (own.home.as_str(), own.shell.as_str()),
            (fields[5], fields[6])
        );
        let groups = lines("id", &["-Gn", &own.name]);
        let groups: BTreeSet<String> = groups.into_iter().flatten().collect();
        assert_eq!(
            own.groups.iter().cloned().collect::<BTreeSet<_>>(),
            groups,
            "{line}"
        );
    }

    // What was there before and after was there meanwhile.
    let seen = assets.processes.unwrap();
    let seen: BTreeSet<_> = seen.iter().map(|it| it.pid.to_string()).collect();
    let stayed = processes_before.intersection(&processes_after);
    let missing: Vec<_> = stayed.filter(|it| !seen.contains(&it[0])).collect();
    assert!(missing.is_empty() && seen.len() > 2, "{missing:?}");

    let seen = assets.ports.unwrap();
    let seen: BTreeSet<_> = seen
        .iter()
        .map(|it| {
            row(&[
                it.protocol.trim_end_matches('6'),
                &it.address,
                &it.port.to_string(),
            ])
        })
        .collect();
    let stayed = sockets_before.intersection(&sockets_after);
    let missing: Vec<_> = stayed.filter(|it| !seen.contains(*it)).collect();
    assert!(
        missing.is_empty() && !seen.is_empty(),
        "{missing:?} of {seen:?}"
    );
}
