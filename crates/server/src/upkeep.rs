//! Looking after a data directory from outside: verifying, backing up, restoring.
//!
//! Owns which files make up a backup and in what order they are copied. Works beside a running node
//! (backup) or instead of one (verify, restore). Called by the command line.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use store::{PostgresUrl, SqliteStore};

use crate::database::{self, FILE, NOTE};
use crate::node::{self, SECRET_KEY};

/// Keys that stand beside the database; each but the last may be absent.
const KEYS: [&str; 4] = [
    "tls/certificate.pem",
    "tls/key.pem",
    "root-key.json",
    SECRET_KEY,
];
const BUNDLES: &str = "bundles";

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory.
    #[error("`{path}` cannot be used", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no database.
    #[error("`{path}` holds no {FILE}, and belongs to no other database", path = .0.display())]
    Nothing(PathBuf),
    /// It belongs to an agent.
    #[error("`{path}` is the data directory of an agent: give that of a node", path = .0.display())]
    Agent(PathBuf),
    /// What opens the database's secrets is missing.
    #[error(
        "`{path}` holds no {SECRET_KEY}: without it no node starts on its database, and no access key works",
        path = .0.display()
    )]
    NoKey(PathBuf),
    /// One of the directories lies in the other.
    #[error("`{inner}` lies in `{outer}`: give a directory elsewhere", inner = .inner.display(), outer = .outer.display())]
    Inside {
        /// The one.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// A node runs on the directory.
    #[error("`{path}` is in use by a running node", path = .0.display())]
    InUse(PathBuf),
    /// Nothing is overwritten.
    #[error("`{path}` exists: nothing is overwritten", path = .0.display())]
    Exists(PathBuf),
    /// Something that is there is not restored over.
    #[error("`{path}` is not empty: nothing is overwritten", path = .0.display())]
    NotEmpty(PathBuf),
    /// The database.
    #[error("the store of `{path}` cannot be used", path = .path.display())]
    Store {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// Which database it is.
    #[error(transparent)]
    Database(database::Error),
    /// The directory does not open.
    #[error("the data directory cannot be used")]
    Node(#[from] node::Error),
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The database.
    pub database: CopiedDatabase,
    /// Key files, by their names in the directory.
    pub keys: Vec<&'static str>,
    /// Log bundles.
    pub bundles: u64,
}

/// What was copied of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopiedDatabase {
    /// The file, with its length in bytes.
    File(u64),
    /// Nothing: it is on this server, whose own tools copy it.
    Server(String),
}

/// Compares the store of `data`, on which no node runs, with its journals: one line per difference.
/// Changes nothing. If the store is on a server, `server` says how to reach it. Waits for it: not to be
/// called where asynchronous work runs.
///
/// # Errors
/// There is no store, it is in use, or the database as a whole does not read.
pub fn verify(data: &Path, server: Option<&PostgresUrl>) -> Result<Vec<String>, Error> {
    if data.join("identity.json").exists() && !data.join(FILE).exists() {
        return Err(Error::Agent(data.to_owned()));
    }
    let _lock = node_lock(data)?;
    database::verify_closed(data, server).map_err(|source| of_database(data, source))
}

/// Copies all that a node needs from `data` into the new directory `to`, but for a database on a server.
/// A node may run on `data`; the copy is as the store was at one moment. It is durable, and appears only
/// when it is whole.
///
/// # Errors
/// `to` exists, there is no store in `data`, or a file cannot be read or written.
pub fn backup(data: &Path, to: &Path, with_bundles: bool) -> Result<Copied, Error> {
    if exists(to)? {
        return Err(Error::Exists(to.to_owned()));
    }
    outside(to, data)?;
    // What has no database says so first.
    if noted(data)?.is_some() || data.join(FILE).exists() {
        has_key(data)?;
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if let Err(source) = DirBuilder::new().mode(0o700).create(&part) {
        return Err(of_file(&part, source));
    }
    let copied = copy(data, &part, with_bundles).and_then(|copied| {
        fs::rename(&part, to).map_err(|source| of_file(to, source))?;
        // A name alone lies in the working directory.
        let parent = to.parent().filter(|it| !it.as_os_str().is_empty());
        sync(parent.unwrap_or_else(|| Path::new(".")))?;
        Ok(copied)
    });
    if copied.is_err() && exists(&part)? {
        fs::remove_dir_all(&part).map_err(|source| of_file(&part, source))?;
    }
    copied
}

/// Copies a backup into the directory `data`, which is empty or not there, and verifies it there.
/// Returns what was copied and the differences that were found; none are looked for in a database on a
/// server, which may not be there yet.
///
/// # Errors
/// `data` holds something, `from` is not a backup, or a file cannot be read or written.
pub async fn restore(from: &Path, data: &Path) -> Result<(Copied, Vec<String>), Error> {
    let is_file = noted(from)?.is_none();
    if is_file && !from.join(FILE).exists() {
        return Err(Error::Nothing(from.to_owned()));
    }
    if exists(data)? {
        let entries = fs::read_dir(data).map_err(|source| of_file(data, source))?;
        // What an empty file system of its own has.
        let is_ours = |it: &io::Result<fs::DirEntry>| {
            it.as_ref()
                .map_or(true, |it| it.file_name() != "lost+found")
        };
        if entries.into_iter().any(|it| is_ours(&it)) {
            return Err(Error::NotEmpty(data.to_owned()));
        }
    }
    outside(data, from)?;
    has_key(from)?;
    // Not a backup but a directory that a node is at work on: what it writes meanwhile would be lost.
    let _source = node_lock(from)?;
    let _lock = node::prepare(data)?;
    let copied = copy(from, data, true)?;
    if !is_file {
        return Ok((copied, Vec::new()));
    }
    let wrong = |source| of_store(data, source);
    let store = SqliteStore::open(data).map_err(wrong)?;
    let lines = store::Store::verify(&store).await.map_err(wrong)?;
    store::Store::close(&store).await;
    Ok((copied, lines))
}

/// The database comes first and `secret.key` last: a node does not start on one without the other.
fn copy(from: &Path, to: &Path, with_bundles: bool) -> Result<Copied, Error> {
    let mut copied = Copied {
        database: copy_database(from, to)?,
        keys: Vec::new(),
        bundles: 0,
    };
    if with_bundles && exists(&from.join(BUNDLES))? {
        copied.bundles = copy_bundles(&from.join(BUNDLES), &to.join(BUNDLES))?;
    }
    for name in KEYS {
        let (source, target) = (from.join(name), to.join(name));
        if !exists(&source)? {
            continue;
        }
        if let Some(folder) = target.parent() {
            make(folder)?;
        }
        copy_file(&source, &target)?;
        copied.keys.push(name);
    }
    if exists(&to.join("tls"))? {
        sync(&to.join("tls"))?;
    }
    sync(to)?;
    Ok(copied)
}

fn copy_database(from: &Path, to: &Path) -> Result<CopiedDatabase, Error> {
    if let Some(url) = noted(from)? {
        copy_file(&from.join(NOTE), &to.join(NOTE))?;
        return Ok(CopiedDatabase::Server(url));
    }
    let copied = SqliteStore::copy(from, to).map_err(|source| of_store(from, source))?;
    Ok(CopiedDatabase::File(copied))
}

fn noted(data: &Path) -> Result<Option<String>, Error> {
    database::noted(data).map_err(|source| of_database(data, source))
}

/// Bundles come and go while a node runs: one that went meanwhile is left out, like those that are
/// still arriving.
fn copy_bundles(from: &Path, to: &Path) -> Result<u64, Error> {
    make(to)?;
    let mut count = 0;
    for entry in fs::read_dir(from).map_err(|source| of_file(from, source))? {
        let name = entry.map_err(|source| of_file(from, source))?.file_name();
        if !name.to_string_lossy().ends_with(".tar.gz") {
            continue;
        }
        match copy_file(&from.join(&name), &to.join(&name)) {
            Err(Error::File { path, source })
                if source.kind() == io::ErrorKind::NotFound && path == from.join(&name) => {}
            copied => {
                copied?;
                count += 1;
            }
        }
    }
    sync(to)?;
    Ok(count)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let mut source = File::open(from).map_err(|source| of_file(from, source))?;
    let wrong = |source| of_file(to, source);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut target = options.open(to).map_err(wrong)?;
    io::copy(&mut source, &mut target).map_err(wrong)?;
    target.sync_all().map_err(wrong)?;
    // A bundle's age is that of its file.
    let modified = source.metadata().and_then(|it| it.modified());
    modified
        .and_then(|it| target.set_modified(it))
        .map_err(wrong)
}

fn has_key(data: &Path) -> Result<(), Error> {
    if exists(&data.join(SECRET_KEY))? {
        Ok(())
    } else {
        Err(Error::NoKey(data.to_owned()))
    }
}

/// What is to be made must not lie in what it is made of.
fn outside(new: &Path, old: &Path) -> Result<(), Error> {
    let absolute = std::path::absolute(new).map_err(|source| of_file(new, source))?;
    let real = absolute.ancestors().find_map(|it| it.canonicalize().ok());
    let outer = old.canonicalize().map_err(|source| of_file(old, source))?;
    if real.is_some_and(|it| it.starts_with(&outer)) {
        return Err(Error::Inside {
            inner: new.to_owned(),
            outer: old.to_owned(),
        });
    }
    Ok(())
}

/// The lock of the node, if there is one and no node has it.
fn node_lock(data: &Path) -> Result<Option<File>, Error> {
    let path = data.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(of_file(&path, source)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(of_file(&path, source)),
    }
}

fn make(folder: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(|source| of_file(folder, source))
}

fn sync(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|it| it.sync_all());
    synced.map_err(|source| of_file(folder, source))
}

fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(|source| of_file(path, source))
}

fn of_file(path: &Path, source: io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

fn of_database(path: &Path, source: database::Error) -> Error {
    match source {
        database::Error::Store(source) => of_store(path, source),
        source => Error::Database(source),
    }
}

fn of_store(path: &Path, source: store::Error) -> Error {
    let path = path.to_owned();
    match source {
        store::Error::NotFound => Error::Nothing(path),
        source => Error::Store { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn write(path: &Path, text: &str) {
        make(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A data directory with a store that is open.
    fn data(folder: &Path) -> (PathBuf, SqliteStore) {
        let data = folder.join("data");
        let store = SqliteStore::open(&data).unwrap();
        for name in KEYS {
            write(&data.join(name), name);
        }
        write(&data.join("bundles/a.1.tar.gz"), "whole");
        write(&data.join("bundles/b.1.part"), "part");
        (data, store)
    }

    #[tokio::test]
    async fn a_backup_of_a_store_in_use_is_restored_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = data(folder.path());
        store::Store::user_add(&store, "ann", model::UnixMillis(1))
            .await
            .unwrap();
        let (small, large) = (folder.path().join("small"), folder.path().join("large"));
        assert_eq!(backup(&data, &small, false).unwrap().bundles, 0);
        let copied = backup(&data, &large, true).unwrap();
        assert_eq!((copied.bundles, copied.keys), (1, KEYS.to_vec()));
        assert!(!small.join("bundles").exists());
        for name in KEYS.into_iter().chain(["sickbay.db"]) {
            assert_eq!(mode(&large.join(name)), 0o600, "{name}");
        }
        for name in ["", "tls", "bundles"] {
            assert_eq!(mode(&large.join(name)), 0o700, "{name}");
        }
        let again = backup(&data, &large, true).unwrap_err();
        assert!(matches!(again, Error::Exists(_)), "{again}");

        let new = folder.path().join("new");
        fs::create_dir(&new).unwrap();
        fs::create_dir(new.join("lost+found")).unwrap();
        let (copied, lines) = restore(&large, &new).await.unwrap();
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(copied.bundles, 1);
        assert_eq!(
            fs::read_to_string(new.join("secret.key")).unwrap(),
            "secret.key"
        );
        assert_eq!(verify(&new, None).unwrap(), Vec::<String>::new());
        let restored = SqliteStore::open(&new).unwrap();
        let users = store::Store::user_list(&restored).await.unwrap();
        assert_eq!(users.first().unwrap().name, "ann");
        let twice = restore(&large, &new).await.unwrap_err();
        assert!(matches!(twice, Error::NotEmpty(_)), "{twice}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_named_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (empty, to) = (folder.path().join("empty"), folder.path().join("to"));
        fs::create_dir(&empty).unwrap();
        for error in [
            verify(&empty, None).unwrap_err(),
            backup(&empty, &to, false).unwrap_err(),
            restore(&empty, &to).await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::Nothing(_)), "{error}");
        }
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_backup_without_its_key_and_directories_in_one_another_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = data(folder.path());
        let [to, new] = ["to", "new"].map(|it| folder.path().join(it));
        let inside = backup(&data, &data.join("deep/to"), false).unwrap_err();
        assert!(matches!(inside, Error::Inside { .. }), "{inside}");
        backup(&data, &to, false).unwrap();
        let inside = restore(&to, &to.join("new")).await.unwrap_err();
        assert!(matches!(inside, Error::Inside { .. }), "{inside}");

        let node = node::prepare(&data).unwrap();
        let live = restore(&data, &new).await.unwrap_err();
        assert!(matches!(live, Error::InUse(_)), "{live}");
        drop((node, store));
        for path in [&data, &to] {
            fs::remove_file(path.join(SECRET_KEY)).unwrap();
        }
        let lost = restore(&to, &new).await.unwrap_err();
        assert!(matches!(lost, Error::NoKey(_)), "{lost}");
        let lost = backup(&data, &folder.path().join("again"), false).unwrap_err();
        assert!(matches!(lost, Error::NoKey(_)), "{lost}");
        assert!(!new.exists(), "nothing was made");
    }

    #[tokio::test]
    async fn a_backup_beside_a_server_has_all_but_the_database_and_says_where_that_is() {
        let folder = tempfile::tempdir().unwrap();
        let (data, to, new) = ("data", "to", "new");
        let [data, to, new] = [data, to, new].map(|it| folder.path().join(it));
        for name in KEYS.into_iter().chain([NOTE]) {
            write(&data.join(name), "postgres://h/d");
        }
        let server = CopiedDatabase::Server("postgres://h/d".to_owned());
        let copied = backup(&data, &to, false).unwrap();
        assert_eq!((&copied.database, copied.keys), (&server, KEYS.to_vec()));
        let (copied, _) = restore(&to, &new).await.unwrap();
        assert_eq!(copied.database, server);
        assert!(new.join(NOTE).exists() && !new.join(FILE).exists());
        let unreachable = verify(&new, None).unwrap_err();
        assert!(matches!(unreachable, Error::Database(_)), "{unreachable}");
    }

    #[test]
    fn a_directory_with_a_node_is_not_verified_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let lock = node::prepare(folder.path()).unwrap();
        let used = verify(folder.path(), None).unwrap_err();
        assert!(matches!(used, Error::InUse(_)), "{used}");
        fs::write(folder.path().join("identity.json"), "{}").unwrap();
        let other = verify(folder.path(), None).unwrap_err();
        assert!(matches!(other, Error::Agent(_)), "{other}");
        fs::remove_file(folder.path().join("identity.json")).unwrap();
        drop(lock);
        let free = verify(folder.path(), None).unwrap_err();
        assert!(matches!(free, Error::Nothing(_)), "{free}");
    }
}
