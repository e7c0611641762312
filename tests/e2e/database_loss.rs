//! A PostgreSQL server that goes away, or has no room: work is refused or delayed, nothing that was acknowledged is lost, and the
//! node goes on by itself.

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Disk, Postgres, Server, Sickness, Volume, give, until};

use crate::house::House;

#[tokio::test]
async fn a_database_that_is_gone_and_back_needs_no_restart() {
    let postgres = Postgres::new().await;
    postgres.start().await;
    let server = Server::start_on(&postgres.url("postgres"), &[]).await;
    let mut house = House::new(server).await;
    postgres.crash().await;
    house.is_refused("ServiceUnavailable").await;
    house.result_waits().await;
    // The node itself is there.
    let said = house.server.sickbay(&["host", "list"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("ServiceUnavailable"), "{said:?}");
    postgres.start().await;
    house.went_on().await;
}

#[tokio::test]
async fn a_run_goes_through_a_database_that_crashes_again_and_again() {
    let postgres = Postgres::new().await;
    postgres.start().await;
    let server =
        Server::start_on(&postgres.url("postgres"), &["--tasks-running-max", "1000"]).await;
    let agent = Agent::online(&server).await;
    let marks = server.folder().join("marks");
    let mut created = Vec::new();
    for number in 0..30 {
        if number % 10 == 5 {
            postgres.crash().await;
            postgres.start().await;
        }
        let token = format!("token-{number}");
        let command = format!("echo {number} >>{}", marks.display());
        let new = client::NewTask {
            task_type: ClientDevOps,
            param: json!({"command": command, "clientToken": token}).to_string(),
            source: None,
        };
        let client = server.client();
        // Asking again with the same token makes no second task, whatever became of the first.
        let root = until("it is taken", async || client.create_task(&new).await.ok()).await;
        created.push(root.task_id);
    }
    for root in &created {
        assert_eq!(server.ended(root).await.success_count, 1, "{root}");
    }
    let said = std::fs::read_to_string(&marks).unwrap();
    let mut ran: Vec<u32> = said.lines().map(|it| it.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..30).collect::<Vec<_>>(), "each ran once");
    assert_eq!(server.tasks(ClientDevOps).await.len(), created.len());
    let said = server.sickbay(&["admin", "verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    drop(agent);
}

/// What the tables lie on.
enum Space {
    Mounted(Volume),
    /// Errors put between the database and its files, where nothing may be mounted.
    Faulty,
}

#[tokio::test]
async fn a_database_without_room_refuses_work_until_it_has_room_again() {
    let mut postgres = Postgres::new().await;
    let path = postgres.folder().join("tables");
    let instead = "errors are put between the database and its files instead";
    let space = match Volume::in_memory(&path, instead) {
        Some(volume) => Space::Mounted(volume),
        None => {
            let disk = Disk::new(&path, &path);
            postgres = postgres.on(disk);
            Space::Faulty
        }
    };
    give(&path);
    postgres.start().await;
    postgres
        .sql(&format!(
            "CREATE TABLESPACE small LOCATION '{}'",
            path.display()
        ))
        .await;
    postgres.sql("CREATE DATABASE small TABLESPACE small").await;
    let server = Server::start_on(&postgres.url("small"), &["--tasks-running-max", "100000"]).await;
    let mut house = House::new(server).await;
    match &space {
        Space::Mounted(volume) => volume.fill(),
        Space::Faulty => postgres.disk().unwrap().sicken(Sickness::Full),
    }
    // What is left of the last blocks is used up first.
    house.until_refused("StorageFull").await;
    house.shows_what_it_has().await;
    match &space {
        Space::Mounted(volume) => volume.free(),
        Space::Faulty => postgres.disk().unwrap().heal(),
    }
    house.gate.open();
    house.went_on().await;
    drop(house);
    postgres.crash().await;
}

#[tokio::test]
async fn a_database_whose_disk_fails_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let instead = "the tests in which the database crashes have to do";
    let Some(volume) = Volume::on_image(&path, instead) else {
        return;
    };
    give(&path);
    let postgres = Postgres::new_in(folder, path.join("data")).await;
    // Goes away before the folder that it lies in.
    let volume = volume;
    postgres.start().await;
    let server = Server::start_on(&postgres.url("postgres"), &[]).await;
    let mut house = House::new(server).await;
    volume.fail();
    house.is_refused("ServiceUnavailable").await;
    house.result_waits().await;
    // It ends by itself or is ended, before the disk is mounted anew.
    postgres.kill();
    until("nobody is at work on the disk", async || {
        volume.repair().then_some(())
    })
    .await;
    postgres.machine_restarts();
    postgres.start().await;
    house.went_on().await;
    drop(house);
    postgres.crash().await;
}
