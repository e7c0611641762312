//! Log bundles: received in pieces from agents, kept as files, handed out by signed, expiring
//! addresses.

use std::path::{Path, PathBuf};

use model::{LeafId, UnixMillis, limits};
use ring::digest::{Context, SHA256};
use ring::hmac;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, SeekFrom};

/// The bundles of a node.
pub(crate) struct Bundles {
    folder: PathBuf,
    key: hmac::Key,
}

/// A bundle that is arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// Whose it is.
    pub(crate) leaf: LeafId,
    /// Its size, in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: Vec<u8>,
    /// Bytes that have arrived.
    pub(crate) received: u64,
}

impl Bundles {
    pub(crate) const fn new(folder: PathBuf, key: hmac::Key) -> Self {
        Self { folder, key }
    }

    fn path(&self, leaf: LeafId, ending: &str) -> PathBuf {
        self.folder.join(format!("{leaf}.{ending}"))
    }

    /// Begins, or goes on with, receiving a bundle.
    pub(crate) async fn open(
        &self,
        leaf: LeafId,
        size: u64,
        sha256: Vec<u8>,
    ) -> Result<Arriving, String> {
        if size == 0 || size > limits::BUNDLE_BYTES_MAX || sha256.len() != 32 {
            return Err(format!(
                "a bundle has 1 to {} bytes",
                limits::BUNDLE_BYTES_MAX
            ));
        }
        let mut arriving = Arriving {
            leaf,
            size,
            sha256,
            received: 0,
        };
        let whole = self.path(leaf, "tar.gz");
        if digest_of(&whole)
            .await
            .is_ok_and(|it| it == arriving.sha256)
        {
            arriving.received = size;
            return Ok(arriving);
        }
        let part = fs::metadata(self.path(leaf, "part")).await;
        if let Ok(part) = part
            && part.len() < size
        {
            arriving.received = part.len();
        }
        Ok(arriving)
    }

    /// Takes a piece. A piece that is not the next one changes nothing.
    pub(crate) async fn chunk(
        &self,
        arriving: &mut Arriving,
        offset: u64,
        data: &[u8],
    ) -> Result<(), String> {
        let after = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if offset != arriving.received || after > arriving.size || data.is_empty() {
            return Ok(());
        }
        let part = self.path(arriving.leaf, "part");
        append(&part, offset, data)
            .await
            .map_err(|error| format!("the node cannot keep it: {error}"))?;
        arriving.received = after;
        if after == arriving.size {
            self.finish(arriving, &part).await?;
        }
        Ok(())
    }

    async fn finish(&self, arriving: &Arriving, part: &Path) -> Result<(), String> {
        let digest = digest_of(part).await;
        if digest.is_ok_and(|it| it == arriving.sha256) {
            return fs::rename(part, self.path(arriving.leaf, "tar.gz"))
                .await
                .map_err(|error| format!("the node cannot keep it: {error}"));
        }
        fs::remove_file(part).await.ok();
        Err("what arrived is not what was announced".to_owned())
    }

    /// The download address of a leaf's bundle, if there is one.
    pub(crate) async fn url(&self, base: &str, leaf: LeafId, now: UnixMillis) -> Option<String> {
        let there = fs::try_exists(self.path(leaf, "tar.gz")).await;
        if !there.unwrap_or(false) {
            return None;
        }
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
        let file = File::open(self.path(leaf, "tar.gz"))
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

async fn append(path: &Path, offset: u64, data: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .write(true)
        .truncate(offset == 0)
        .mode(0o600);
    let mut file = options.open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    file.write_all(data).await?;
    file.flush().await
}

async fn digest_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer).await?;
        match buffer.get(..read) {
            Some([]) | None => return Ok(context.finish().as_ref().to_vec()),
            Some(data) => context.update(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn bundles(folder: &Path) -> Bundles {
        Bundles::new(folder.to_owned(), hmac::Key::new(hmac::HMAC_SHA256, b"key"))
    }

    fn leaf() -> LeafId {
        model::RootId::new(NOW, [7; 6]).leaf(1)
    }

    fn sha(data: &[u8]) -> Vec<u8> {
        ring::digest::digest(&SHA256, data).as_ref().to_vec()
    }

    fn query(url: &str) -> (i64, String) {
        let (_, query) = url.split_once("?Expires=").unwrap();
        let (expires, signature) = query.split_once("&Signature=").unwrap();
        (expires.parse().unwrap(), signature.to_owned())
    }

    #[tokio::test]
    async fn a_bundle_goes_on_where_it_stopped_and_its_address_expires() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = bundles(folder.path())
            .open(leaf(), 6, sha(b"abcdef"))
            .await
            .unwrap();
        bundles(folder.path())
            .chunk(&mut first, 0, b"abc")
            .await
            .unwrap();
        let bundles = bundles(folder.path());
        let mut again = bundles.open(leaf(), 6, sha(b"abcdef")).await.unwrap();
        assert_eq!(again.received, 3);
        bundles.chunk(&mut again, 0, b"abc").await.unwrap();
        assert_eq!(again.received, 3, "a repeated piece changes nothing");
        assert_eq!(bundles.url("http://n", leaf(), NOW).await, None);
        bundles.chunk(&mut again, 3, b"def").await.unwrap();
        let (expires, signature) = query(&bundles.url("http://n", leaf(), NOW).await.unwrap());
        let get = |at| bundles.download(leaf(), expires, &signature, at);
        assert_eq!(get(NOW).await.unwrap().1, 6);
        let late = NOW.plus(limits::BUNDLE_URL_MS + 1);
        assert_eq!(get(late).await.unwrap_err(), Denied::Expired);
        let other = bundles.download(leaf(), expires + 1, &signature, NOW).await;
        assert_eq!(other.unwrap_err(), Denied::NotGenuine);
    }

    #[tokio::test]
    async fn what_is_not_as_announced_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let bundles = bundles(folder.path());
        let mut arriving = bundles.open(leaf(), 3, sha(b"abc")).await.unwrap();
        assert!(bundles.chunk(&mut arriving, 0, b"abx").await.is_err());
        assert_eq!(bundles.url("http://n", leaf(), NOW).await, None);
        let most = limits::BUNDLE_BYTES_MAX;
        assert!(bundles.open(leaf(), most, sha(b"")).await.is_ok());
        assert!(bundles.open(leaf(), most + 1, sha(b"")).await.is_err());
    }
}
