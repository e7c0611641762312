//! Storage that fails for a while: work is refused or delayed, nothing that was acknowledged is lost, and the server goes on by itself.

use tests::{Server, Sickness, Volume};

use crate::house::House;

async fn fails_for_a_while(sickness: Sickness, code: &str) {
    let server = Server::start_on_faulty_disk(&[]).await;
    let mut house = House::new(server).await;
    house.server.disk().sicken(sickness);
    house.is_refused(code).await;
    house.result_waits().await;
    house.shows_what_it_has().await;
    house.server.disk().heal();
    house.went_on().await;
}

#[tokio::test]
async fn a_full_disk_that_has_space_again_needs_no_restart() {
    fails_for_a_while(Sickness::Full, "StorageFull").await;
}

#[tokio::test]
async fn a_disk_that_is_read_only_for_a_while_loses_nothing() {
    fails_for_a_while(Sickness::ReadOnly, "ServiceUnavailable").await;
}

#[tokio::test]
async fn a_disk_with_errors_for_a_while_loses_nothing() {
    fails_for_a_while(Sickness::Broken, "ServiceUnavailable").await;
}

#[tokio::test]
async fn a_database_that_another_process_holds_refuses_work_until_it_is_free() {
    let server = Server::start(&[]).await;
    let mut house = House::new(server).await;
    let database = house.server.data().join("sickbay.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    house.is_refused("ServiceUnavailable").await;
    house.result_waits().await;
    house.shows_what_it_has().await;
    other.execute_batch("ROLLBACK").unwrap();
    house.went_on().await;
}

#[tokio::test]
async fn a_data_directory_that_is_away_for_a_moment_comes_back_with_everything() {
    let server = Server::start(&[]).await;
    let mut house = House::new(server).await;
    let (data, away) = (
        house.server.data().to_owned(),
        house.server.folder().join("away"),
    );
    std::fs::rename(&data, &away).unwrap();
    // Open files are still there: what is answered was stored in them.
    for _ in 0..3 {
        if let Err(error) = house.ask().await {
            let refusal = error.refusal().expect("the server's own words");
            assert_eq!(refusal.code, "ServiceUnavailable", "{refusal}");
        }
    }
    house.gate.open();
    std::fs::rename(&away, &data).unwrap();
    house.went_on().await;
}

#[tokio::test]
async fn a_server_on_a_read_only_directory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(tests::binary("sickbay"));
    // Nobody can make a file there, whoever runs this.
    command.args(["server", "--listen", "127.0.0.1:0", "--data", "/proc/data"]);
    command.env("HOME", folder.path());
    let said = tests::run(&mut command).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.contains("/proc/data"), "{said:?}");
}

#[tokio::test]
async fn a_directory_that_is_read_only_at_the_start_is_named_and_works_again_when_it_can_be_written()
 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let instead = "only directories that nobody can write are tried";
    let Some(volume) = Volume::in_memory(&path, instead) else {
        return;
    };
    let server = Server::start_in(folder, path.join("server"), &[]).await;
    // Goes away before the folder that it lies in.
    let volume = volume;
    let mut house = House::new(server).await;
    let busy = volume.remount("ro").unwrap_err();
    assert!(busy.contains("busy"), "files are open there: {busy}");
    house.ask().await.expect("nothing has changed");

    house.server.kill9().await;
    volume.remount("ro").unwrap();
    house.gate.open();
    let data = house.server.data().to_str().unwrap().to_owned();
    let line = ["server", "--listen", "127.0.0.1:0", "--data", &data];
    let said = house.server.sickbay(&line).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(&data), "{said:?}");
    assert!(said.err.contains("Read-only file system"), "{said:?}");
    volume.remount("rw").unwrap();
    house.server.restart().await;
    house.went_on().await;
}

#[tokio::test]
async fn a_disk_that_fails_below_a_server_at_work_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let instead = "the tests with errors put between the server and its files have to do";
    let Some(volume) = Volume::on_image(&path, instead) else {
        return;
    };
    let server = Server::start_in(folder, path.join("server"), &[]).await;
    let volume = volume;
    let mut house = House::new(server).await;
    volume.fail();
    house.is_refused("ServiceUnavailable").await;
    house.shows_what_it_has().await;
    house.result_waits().await;
    // What the kernel made read-only has to be mounted anew, and for that nobody may be at work on it.
    house.server.kill9().await;
    assert!(volume.repair());
    house.server.restart().await;
    house.went_on().await;
}
