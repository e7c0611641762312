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
    let refused = told(PostgresStore::open(&database.url));
    assert!(refused.contains("in use"), "{refused}");
    drop(first);
    database.open();
}

#[test]
fn data_of_a_newer_program_is_refused() {
    let database = Database::new();
    drop(database.open());
    database.run("UPDATE schema_version SET version = 1000");
    let refused = told(PostgresStore::open(&database.url));
    assert!(refused.contains("newer"), "{refused}");
}

#[test]
fn a_database_that_cannot_be_used_says_why() {
    let refused = told(PostgresStore::open("postgres://h/d?sslmode=require"));
    assert!(refused.contains("TLS"), "{refused}");
    let refused = told(PostgresStore::open("postgres://u:secret@h:x/d"));
    assert!(refused.contains("does not read"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    let nowhere = told(PostgresStore::open("postgres://u@%2Fnowhere/d"));
    assert!(nowhere.contains("connect"), "{nowhere}");
    let database = Database::with("ENCODING 'SQL_ASCII'");
    let refused = told(PostgresStore::open(&database.url));
    assert!(refused.contains("UTF8"), "{refused}");
}
