//! Log bundles: received in pieces from agents, kept as files, handed out by signed, expiring
//! addresses.
//!
//! Owns the folder of bundles. A file is named after its leaf and the number of its host, so that
//! the account of who keeps how much can be drawn up again at every start. Whether a host may send a
//! bundle is the caller's to know.

mod shelf;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::{LeafId, RootId, UnixMillis, limits};
use ring::digest::{Context, SHA256};
use ring::hmac;
use store::HostNo;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, SeekFrom};
use tokio::sync::{OnceCell, Semaphore};

use shelf::{Kept, Quota, Shelf};

const WHOLE: &str = "tar.gz";
const PART: &str = "part";

/// The bundles of a node.
pub(crate) struct Bundles {
    folder: PathBuf,
    key: hmac::Key,
    quota: Quota,
    shelf: OnceCell<Mutex<Shelf>>,
    writes: Semaphore,
}

/// A bundle that is arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// Whose it is.
    pub(crate) leaf: LeafId,
    /// The host that sends it.
    pub(crate) host: HostNo,
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: Vec<u8>,
    /// Bytes that have arrived.
    pub(crate) received: u64,
}

impl Bundles {
    pub(crate) fn new(folder: PathBuf, key: hmac::Key) -> Self {
        Self {
            folder,
            key,
            quota: Quota::default(),
            shelf: OnceCell::new(),
            writes: Semaphore::new(limits::BUNDLE_WRITES_MAX),
        }
    }

    fn path(&self, leaf: LeafId, host: HostNo, ending: &str) -> PathBuf {
        self.folder.join(format!("{leaf}.{}.{ending}", host.0))
    }

    /// Looks at the account of what is kept, which is drawn up at first use.
    async fn shelf<T>(&self, look: impl FnOnce(&mut Shelf) -> T) -> T {
        let draw_up = async || {
            let folder = self.folder.clone();
            let found = tokio::task::spawn_blocking(move || inventory(&folder)).await;
            let found = found.map_err(io::Error::other).flatten();
            Mutex::new(found.unwrap_or_else(|error| {
                tracing::error!(%error, "the folder of bundles cannot be read");
                Shelf::default()
            }))
        };
        let shelf = self.shelf.get_or_init(draw_up).await;
        look(&mut shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn delete(&self, gone: Vec<(LeafId, Kept)>) {
        for (leaf, kept) in gone {
            let ending = if kept.is_whole { WHOLE } else { PART };
            let path = self.path(leaf, kept.host, ending);
            match fs::remove_file(&path).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(task.id = %leaf, %error, "a bundle could not be deleted");
                }
                _ => tracing::debug!(task.id = %leaf, "a bundle was deleted"),
            }
        }
    }

    /// Deletes what was kept for [`limits::BUNDLE_DAYS_MAX`] days, and what stopped arriving. Does
    /// nothing if that was done less than [`limits::BUNDLE_SWEEP_MS`] ago.
    pub(crate) async fn sweep(&self, now: UnixMillis) {
        let too_old = |shelf: &mut Shelf| match shelf.is_dusty(now) {
            true => shelf.too_old(now),
            false => Vec::new(),
        };
        let gone = self.shelf(too_old).await;
        if !gone.is_empty() {
            let count = gone.len();
            tracing::info!(bundle.count = count, "bundles that are too old are deleted");
            self.delete(gone).await;
        }
    }

    /// Deletes the bundles of roots that are gone.
    pub(crate) async fn forget(&self, roots: &[RootId]) {
        if roots.is_empty() {
            return;
        }
        let roots: HashSet<RootId> = roots.iter().copied().collect();
        let gone = self.shelf(|it| it.of_roots(&roots)).await;
        self.delete(gone).await;
    }

    /// Begins, or goes on with, receiving a bundle. What has to go to make room for it is deleted.
    /// `received` is ignored.
    pub(crate) async fn open(
        &self,
        mut arriving: Arriving,
        now: UnixMillis,
    ) -> Result<Arriving, String> {
        let Arriving {
            leaf, host, size, ..
        } = arriving;
        if size == 0 || size > limits::BUNDLE_BYTES_MAX || arriving.sha256.len() != 32 {
            return Err(format!(
                "a bundle has 1 to {} bytes",
                limits::BUNDLE_BYTES_MAX
            ));
        }
        self.sweep(now).await;
        arriving.received = match self.shelf(|it| it.get(leaf).cloned()).await {
            Some(kept) if kept.is_whole => {
                if kept.bytes == size && self.digest_of_whole(leaf, &kept).await == arriving.sha256
                {
                    arriving.received = size;
                    return Ok(arriving);
                }
                0
            }
            Some(kept) if kept.sha256.is_empty() || kept.sha256 == arriving.sha256 => {
                let part = fs::metadata(self.path(leaf, kept.host, PART)).await;
                let there = part.map_or(0, |it| it.len());
                if there < size { there } else { 0 }
            }
            _ => 0,
        };
        let part = Kept {
            host,
            bytes: size,
            at: now,
            is_whole: false,
            sha256: arriving.sha256.clone(),
        };
        let goes_on = arriving.received > 0;
        let place = |shelf: &mut Shelf| {
            // A part that goes on keeps its file.
            let before = shelf.remove(leaf).filter(|_| !goes_on);
            let mut gone = shelf.make_room(self.quota, host, size);
            gone.extend(before.map(|it| (leaf, it)));
            shelf.put(leaf, part);
            gone
        };
        let gone = self.shelf(place).await;
        self.delete(gone).await;
        Ok(arriving)
    }

    /// Takes a piece. A piece that is not the next one changes nothing.
    pub(crate) async fn chunk(
        &self,
        arriving: &mut Arriving,
        offset: u64,
        data: &[u8],
        now: UnixMillis,
    ) -> Result<(), String> {
        let after = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if offset != arriving.received || after > arriving.size || data.is_empty() {
            return Ok(());
        }
        let leaf = arriving.leaf;
        let touch = |shelf: &mut Shelf| {
            let part = shelf.get_mut(leaf).filter(|it| !it.is_whole);
            part.map(|it| it.at = now).is_some()
        };
        if !self.shelf(touch).await {
            return Err("its place was given to another bundle".to_owned());
        }
        let part = self.path(leaf, arriving.host, PART);
        let taken = match self.append(&part, offset, data).await {
            Ok(()) if after == arriving.size => self.finish(arriving, &part, now).await,
            taken => taken.map_err(|error| unkept(&error)),
        };
        match taken {
            Ok(()) => arriving.received = after,
            Err(_) => {
                let gone = self.shelf(|it| it.remove(leaf)).await;
                self.delete(gone.map(|it| (leaf, it)).into_iter().collect())
                    .await;
            }
        }
        taken
    }

    async fn append(&self, path: &Path, offset: u64, data: &[u8]) -> io::Result<()> {
        let _turn = self.writes.acquire().await.map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options
            .create(offset == 0)
            .write(true)
            .truncate(offset == 0)
            .mode(0o600);
        let mut file = options.open(path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        file.write_all(data).await?;
        file.flush().await
    }

    /// Gives a part its name; durable when this returns, because the host then deletes its own copy.
    async fn make_whole(&self, part: &Path, whole: &Path) -> io::Result<()> {
        File::open(part).await?.sync_all().await?;
        fs::rename(part, whole).await?;
        File::open(&self.folder).await?.sync_all().await
    }

    async fn finish(
        &self,
        arriving: &Arriving,
        part: &Path,
        now: UnixMillis,
    ) -> Result<(), String> {
        let digest = digest_of(part).await.map_err(|error| unkept(&error))?;
        if digest != arriving.sha256 {
            return Err("what arrived is not what was announced".to_owned());
        }
        self.make_whole(part, &self.path(arriving.leaf, arriving.host, WHOLE))
            .await
            .map_err(|error| unkept(&error))?;
        let whole = Kept {
            host: arriving.host,
            bytes: arriving.size,
            at: now,
            is_whole: true,
            sha256: digest,
        };
        self.shelf(|it| it.put(arriving.leaf, whole)).await;
        Ok(())
    }

    /// The SHA-256 of a whole bundle, which is found out once; empty if it cannot be read.
    async fn digest_of_whole(&self, leaf: LeafId, kept: &Kept) -> Vec<u8> {
        if !kept.sha256.is_empty() {
            return kept.sha256.clone();
        }
        let digest = digest_of(&self.path(leaf, kept.host, WHOLE)).await;
        let digest = digest.unwrap_or_default();
        let note = |shelf: &mut Shelf| {
            if let Some(kept) = shelf.get_mut(leaf) {
                kept.sha256.clone_from(&digest);
            }
        };
        self.shelf(note).await;
        digest
    }

    /// Whose bundle of that leaf is there, all of it.
    async fn whole(&self, leaf: LeafId) -> Option<HostNo> {
        self.shelf(|it| it.get(leaf).filter(|it| it.is_whole).map(|it| it.host))
            .await
    }

    /// The download address of a leaf's bundle, if there is one.
    pub(crate) async fn url(&self, base: &str, leaf: LeafId, now: UnixMillis) -> Option<String> {
        self.whole(leaf).await?;
        let expires = now.plus(limits::BUNDLE_URL_MS).0;
        let signature = hmac::sign(&self.key, url_message(leaf, expires).as_bytes());
        let signature = data_encoding::HEXLOWER.encode(signature.as_ref());
        Some(format!(
            "{base}/bundle/{leaf}.tar.gz?Expires={expires}&Signature={signature}"
        ))
    }

    /// The file of a bundle, if the address is genuine and has not expired.
    pub(crate) async fn download(
        &self,
        leaf: LeafId,
        expires: i64,
        signature: &str,
        now: UnixMillis,
    ) -> Result<(File, u64), Denied> {
        let signature = data_encoding::HEXLOWER.decode(signature.as_bytes());
        let signature = signature.map_err(|_| Denied::NotGenuine)?;
        hmac::verify(&self.key, url_message(leaf, expires).as_bytes(), &signature)
            .map_err(|_| Denied::NotGenuine)?;
        if now.0 > expires {
            return Err(Denied::Expired);
        }
        let host = self.whole(leaf).await.ok_or(Denied::Gone)?;
        let file = File::open(self.path(leaf, host, WHOLE))
            .await
            .map_err(|_| Denied::Gone)?;
        let size = file.metadata().await.map_err(|_| Denied::Gone)?.len();
        Ok((file, size))
    }
}

/// Why a bundle is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The address was not made by this control plane.
    NotGenuine,
    /// The address was good once.
    Expired,
    /// The bundle is no longer there.
    Gone,
}

fn url_message(leaf: LeafId, expires: i64) -> String {
    format!("bundle:{leaf}:{expires}")
}

fn unkept(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the node's disk is full: the bundle is not kept".to_owned()
        }
        _ => format!("the node cannot keep it: {error}"),
    }
}

async fn digest_of(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    let digest = move || {
        let mut file = std::fs::File::open(path)?;
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            match buffer.get(..read) {
                Some([]) | None => return Ok(context.finish().as_ref().to_vec()),
                Some(data) => context.update(data),
            }
        }
    };
    let digest = tokio::task::spawn_blocking(digest).await;
    digest.map_err(io::Error::other).flatten()
}

/// What lies in the folder. Files that are not bundles are left alone.
fn inventory(folder: &Path) -> io::Result<Shelf> {
    let mut shelf = Shelf::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((leaf, host, is_whole)) = name.to_str().and_then(parse_name) else {
            continue;
        };
        let metadata = entry.metadata()?;
        let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        let at_ms = modified.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        let kept = Kept {
            host,
            bytes: metadata.len(),
            at: UnixMillis(at_ms),
            is_whole,
            sha256: Vec::new(),
        };
        shelf.put(leaf, kept);
    }
    Ok(shelf)
}

fn parse_name(name: &str) -> Option<(LeafId, HostNo, bool)> {
    let (leaf, rest) = name.split_once('.')?;
    let (host, ending) = rest.split_once('.')?;
    let is_whole = match ending {
        WHOLE => true,
        PART => false,
        _ => return None,
    };
    Some((leaf.parse().ok()?, HostNo(host.parse().ok()?), is_whole))
}
