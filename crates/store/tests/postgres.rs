//! The PostgreSQL store: the cases of every store, and what is particular to a server that others can
//! stop.
#![expect(clippy::panic, clippy::unwrap_used, reason = "these are tests")]

#[path = "postgres/database.rs"]
mod database;
#[path = "postgres/loss.rs"]
mod loss;

use store::{Error, PostgresStore};

use self::database::Database;

store::store_conformance!(in_a_new_database());

fn in_a_new_database() -> impl Fn() -> PostgresStore {
    let database = Database::new();
    move || database.open()
}

fn told(result: Result<PostgresStore, Error>) -> String {
    match result {
        Ok(_) => panic!("it was opened"),
        Err(Error::Unavailable(source)) => source.to_string(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn only_one_at_a_time_has_the_database() {
    let database = Database::new();
    let first = database.open();
    let refused = told(database.try_open());
    assert!(refused.contains("another node"), "{refused}");
    drop(first);
    database.open();
}

#[test]
fn data_of_a_newer_program_is_refused() {
    let database = Database::new();
    drop(database.open());
    database.run("UPDATE schema_version SET version = 1000");
    let refused = told(database.try_open());
    assert!(refused.contains("newer"), "{refused}");
}

#[test]
fn a_database_that_cannot_be_used_says_why() {
    let nowhere = told(PostgresStore::open(
        &"postgres://u@%2Fnowhere/d".parse().unwrap(),
    ));
    assert!(nowhere.contains("cannot be reached"), "{nowhere}");
    let database = Database::with("ENCODING 'SQL_ASCII'");
    let refused = told(database.try_open());
    assert!(refused.contains("UTF8"), "{refused}");
}
