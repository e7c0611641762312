//! Tests of the bundles and their files.

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

fn of(leaf: LeafId, data: &[u8]) -> Arriving {
    Arriving {
        leaf,
        host: HostNo(1),
        size: u64::try_from(data.len()).unwrap(),
        sha256: sha(data),
        received: 0,
    }
}

async fn send(bundles: &Bundles, leaf: LeafId, data: &[u8]) {
    let mut arriving = bundles.open(of(leaf, data), NOW).await.unwrap();
    assert_eq!(arriving.received, 0);
    bundles.chunk(&mut arriving, 0, data, NOW).await.unwrap();
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn query(url: &str) -> (i64, String) {
    let (_, query) = url.split_once("?Expires=").unwrap();
    let (expires, signature) = query.split_once("&Signature=").unwrap();
    (expires.parse().unwrap(), signature.to_owned())
}

#[tokio::test]
async fn a_bundle_goes_on_where_it_stopped_and_its_address_expires() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::fs::metadata(folder.path())
        .unwrap()
        .modified()
        .unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = UnixMillis(now.as_millis().try_into().unwrap());
    let before = bundles(folder.path());
    let mut first = before.open(of(leaf(), b"abcdef"), now).await.unwrap();
    before.chunk(&mut first, 0, b"abc", now).await.unwrap();
    let bundles = bundles(folder.path());
    let mut again = bundles.open(of(leaf(), b"abcdef"), now).await.unwrap();
    assert_eq!(again.received, 3);
    bundles.chunk(&mut again, 0, b"abc", now).await.unwrap();
    assert_eq!(again.received, 3, "a repeated piece changes nothing");
    assert_eq!(bundles.url("http://n", leaf(), NOW).await, None);
    bundles.chunk(&mut again, 3, b"def", now).await.unwrap();
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
    let mut arriving = bundles.open(of(leaf(), b"abc"), NOW).await.unwrap();
    assert!(bundles.chunk(&mut arriving, 0, b"abx", NOW).await.is_err());
    assert_eq!(bundles.url("http://n", leaf(), NOW).await, None);
    assert_eq!(files(folder.path()), 0);
    let sized = |size| Arriving {
        size,
        ..of(leaf(), b"")
    };
    let most = limits::BUNDLE_BYTES_MAX;
    assert!(bundles.open(sized(most), NOW).await.is_ok());
    assert!(bundles.open(sized(most + 1), NOW).await.is_err());
    assert!(bundles.open(sized(0), NOW).await.is_err());
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    send(&bundles(folder.path()), leaf(), b"abc").await;
    let bundles = bundles(folder.path());
    for _ in 0..2 {
        let again = bundles.open(of(leaf(), b"abc"), NOW).await.unwrap();
        assert_eq!(again.received, 3);
    }
    let other = bundles.open(of(leaf(), b"abx"), NOW).await.unwrap();
    assert_eq!((other.received, files(folder.path())), (0, 0));
}

#[tokio::test]
async fn a_full_quota_takes_the_oldest_and_tells_whoever_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = Bundles {
        quota: Quota { node: 9, host: 6 },
        ..bundles(folder.path())
    };
    let leaf = |number| leaf().root.leaf(number);
    let mut first = bundles.open(of(leaf(1), b"abc"), NOW).await.unwrap();
    bundles.chunk(&mut first, 0, b"a", NOW).await.unwrap();
    send(&bundles, leaf(2), b"abc").await;
    send(&bundles, leaf(3), b"abc").await;
    let why = bundles.chunk(&mut first, 1, b"bc", NOW).await.unwrap_err();
    assert_eq!(why, "its place was given to another bundle");
    assert_eq!(files(folder.path()), 2);
    assert!(bundles.url("http://n", leaf(2), NOW).await.is_some());
    assert!(bundles.url("http://n", leaf(3), NOW).await.is_some());
}

#[tokio::test]
async fn old_bundles_are_swept_and_other_files_are_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "mine").unwrap();
    let bundles = bundles(folder.path());
    send(&bundles, leaf(), b"abc").await;
    let late = NOW.plus(limits::BUNDLE_DAYS_MAX * 24 * 3_600_000 + 1);
    bundles.sweep(late).await;
    assert_eq!(bundles.url("http://n", leaf(), late).await, None);
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = bundles(folder.path());
    let mut arriving = bundles.open(of(leaf(), b"abc"), NOW).await.unwrap();
    std::fs::remove_dir(folder.path()).unwrap();
    let why = bundles.chunk(&mut arriving, 0, b"abc", NOW).await;
    assert!(why.unwrap_err().starts_with("the node cannot keep it"));
    let again = bundles.chunk(&mut arriving, 0, b"abc", NOW).await;
    assert!(again.is_err(), "its place is free again");
    let full = io::Error::from(ErrorKind::StorageFull);
    assert!(unkept(&full).contains("disk is full"));
}

#[tokio::test]
async fn the_bundles_of_roots_that_are_gone_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = bundles(folder.path());
    let other = model::RootId::new(NOW, [8; 6]);
    send(&bundles, leaf(), b"one").await;
    send(&bundles, other.leaf(1), b"two").await;
    bundles.forget(&[]).await;
    assert_eq!(files(folder.path()), 2);
    bundles.forget(&[leaf().root]).await;
    assert_eq!(files(folder.path()), 1);
    assert_eq!(bundles.url("http://a", leaf(), NOW).await, None);
    assert!(bundles.url("http://a", other.leaf(1), NOW).await.is_some());
}
