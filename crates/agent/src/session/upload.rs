//! Log bundles on their way to the node: which is next, which piece, and when to give up.
//!
//! One bundle and one piece of it is under way at a time, and the node says where to go on, so that
//! an upload resumes on any connection, to any node.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use model::{LeafId, limits};
use protocol::answer::BundleInfo;
use protocol::frame::{BundleAck, BundleChunk, BundleOpen};
use tokio::time::Instant;

/// An upload that gets nowhere for this long is given up.
const STALL: Duration = Duration::from_secs(60);

/// What is left of that after a reconnection at least, for a connection that was away for long.
const RETRY: Duration = Duration::from_secs(15);

/// Sessions that may end, one after the other, without the node having had more of the bundle.
const ATTEMPTS_MAX: u32 = 2;

/// The result still has to arrive before the deadline.
const RESULT_TIME: Duration = Duration::from_secs(10);

/// A bundle on its way.
pub(crate) struct Upload {
    leaf: LeafId,
    file: File,
    size: u64,
    sha256: Vec<u8>,
    /// The most that the node has had.
    furthest: u64,
    deadline: Instant,
    /// Set when it is opened.
    stalls_at: Option<Instant>,
    /// Sessions in which it was opened and nothing more of it arrived.
    attempts: u32,
    /// Whether it was opened in this session.
    is_open: bool,
}

/// What to do after the node's word.
pub(crate) enum Next {
    /// Send this.
    Chunk(BundleChunk),
    /// Nothing more to send: it arrived, is not wanted, or cannot be read.
    End,
}

impl Upload {
    pub(crate) fn new(
        leaf: LeafId,
        path: &Path,
        info: &BundleInfo,
        deadline: Instant,
    ) -> io::Result<Self> {
        let sha256 = HEXLOWER
            .decode(info.sha256.as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Self {
            leaf,
            file: File::open(path)?,
            size: info.bytes,
            sha256,
            furthest: 0,
            deadline: deadline.checked_sub(RESULT_TIME).unwrap_or(deadline),
            stalls_at: None,
            attempts: 0,
            is_open: false,
        })
    }

    /// The frame that starts it, or goes on with it on a new connection; `None`: it failed too
    /// often.
    fn open(&mut self, now: Instant) -> Option<BundleOpen> {
        if self.attempts >= ATTEMPTS_MAX {
            return None;
        }
        self.attempts += 1;
        self.is_open = true;
        let stalls_at = self.stalls_at.map_or(now + STALL, |it| it.max(now + RETRY));
        self.stalls_at = Some(stalls_at);
        Some(BundleOpen {
            leaf_id: self.leaf.to_string(),
            size: self.size,
            sha256: self.sha256.clone(),
        })
    }

    fn gives_up_at(&self) -> Instant {
        let stalls_at = self.stalls_at.unwrap_or(self.deadline);
        stalls_at.min(self.deadline)
    }

    fn next(&mut self, ack: &BundleAck, now: Instant) -> Next {
        if !ack.refused.is_empty() || ack.received >= self.size {
            return Next::End;
        }
        // Going round in circles is no progress.
        if ack.received > self.furthest {
            self.furthest = ack.received;
            self.stalls_at = Some(now + STALL);
            self.attempts = 0;
        }
        match self.read(ack.received) {
            Ok(data) if !data.is_empty() => Next::Chunk(BundleChunk {
                leaf_id: self.leaf.to_string(),
                offset: ack.received,
                data,
            }),
            Ok(_) | Err(_) => Next::End,
        }
    }

    fn read(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let most = u64::try_from(limits::BUNDLE_CHUNK_BYTES).unwrap_or(u64::MAX);
        let mut data = Vec::new();
        self.file.seek(SeekFrom::Start(offset))?;
        let length = most.min(self.size - offset);
        Read::by_ref(&mut self.file)
            .take(length)
            .read_to_end(&mut data)?;
        Ok(data)
    }
}

/// The bundles of one agent, in the order in which they go. The first is under way.
#[derive(Default)]
pub(crate) struct Uploads(VecDeque<Upload>);

impl Uploads {
    pub(crate) fn contains(&self, leaf: LeafId) -> bool {
        self.0.iter().any(|it| it.leaf == leaf)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn leaves(&self) -> Vec<LeafId> {
        self.0.iter().map(|it| it.leaf).collect()
    }

    /// Queues a bundle. Returns whether its turn is now.
    pub(crate) fn add(&mut self, upload: Upload) -> bool {
        self.0.push_back(upload);
        self.0.len() == 1
    }

    /// A new session: what was open is not any more.
    pub(crate) fn connected(&mut self) {
        for upload in &mut self.0 {
            upload.is_open = false;
        }
    }

    /// The frame that opens the first, unless it is open; an error is a leaf whose bundle is to be
    /// given up.
    pub(crate) fn open(&mut self, now: Instant) -> Option<Result<BundleOpen, LeafId>> {
        let first = self.0.front_mut().filter(|it| !it.is_open)?;
        Some(first.open(now).ok_or(first.leaf))
    }

    /// What follows the node's word; `None`: it was not about the bundle that is under way.
    pub(crate) fn next(&mut self, leaf: LeafId, ack: &BundleAck, now: Instant) -> Option<Next> {
        let first = self.0.front_mut().filter(|it| it.is_open)?;
        (first.leaf == leaf).then(|| first.next(ack, now))
    }

    /// Ends an upload. Returns whether it is another's turn now.
    pub(crate) fn remove(&mut self, leaf: LeafId) -> bool {
        let was_first = self.0.front().is_some_and(|it| it.leaf == leaf);
        self.0.retain(|it| it.leaf != leaf);
        was_first && !self.0.is_empty()
    }

    /// When the next is to be given up.
    pub(crate) fn next_give_up(&self) -> Option<Instant> {
        self.0.iter().map(Upload::gives_up_at).min()
    }

    /// Leaves whose bundles are to be given up by now.
    pub(crate) fn stalled(&self, now: Instant) -> Vec<LeafId> {
        let stalled = self.0.iter().filter(|it| it.gives_up_at() <= now);
        stalled.map(|it| it.leaf).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::node::leaf;

    const SIZE: u16 = 1_000;

    fn upload(number: u32, dir: &Path, now: Instant) -> Upload {
        let path = dir.join("bundle");
        std::fs::write(&path, vec![7; usize::from(SIZE)]).unwrap();
        let info = BundleInfo {
            bytes: u64::from(SIZE),
            sha256: "00".repeat(32),
        };
        Upload::new(leaf(number), &path, &info, now + Duration::from_hours(1)).unwrap()
    }

    fn received(bytes: u64) -> BundleAck {
        BundleAck {
            received: bytes,
            ..BundleAck::default()
        }
    }

    fn opened(uploads: &mut Uploads, now: Instant) -> Option<String> {
        Some(uploads.open(now)?.unwrap().leaf_id)
    }

    #[test]
    fn bundles_go_one_after_the_other() {
        let temp = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut uploads = Uploads::default();
        let name = |number| Some(leaf(number).to_string());
        assert!(uploads.add(upload(1, temp.path(), now)));
        for number in [2, 3, 4] {
            assert!(!uploads.add(upload(number, temp.path(), now)));
        }
        assert_eq!(opened(&mut uploads, now), name(1));
        assert_eq!(opened(&mut uploads, now), None, "it is open");
        // What is said of one that waits moves nothing.
        assert!(uploads.next(leaf(2), &received(0), now).is_none());
        assert!(!uploads.remove(leaf(3)));
        uploads.connected();
        assert_eq!(opened(&mut uploads, now), name(1));
        assert!(uploads.remove(leaf(1)));
        assert_eq!(opened(&mut uploads, now), name(2));
        assert!(uploads.remove(leaf(2)));
        assert_eq!(opened(&mut uploads, now), name(4));
        assert!(!uploads.remove(leaf(4)) && uploads.is_empty());
    }

    #[test]
    fn two_sessions_without_progress_end_an_upload_and_progress_starts_over() {
        let temp = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut uploads = Uploads::default();
        uploads.add(upload(1, temp.path(), now));
        assert!(opened(&mut uploads, now).is_some());
        let later = now + Duration::from_secs(50);
        let session = |uploads: &mut Uploads| {
            uploads.connected();
            uploads.open(later).unwrap()
        };
        session(&mut uploads).unwrap();
        // Connecting again has not bought a whole new term.
        assert_eq!(uploads.next_give_up(), Some(later + RETRY));
        let next = uploads.next(leaf(1), &received(1), later);
        assert!(matches!(next, Some(Next::Chunk(_))));
        assert_eq!(uploads.next_give_up(), Some(later + STALL));
        for _ in 0..ATTEMPTS_MAX {
            session(&mut uploads).unwrap();
            uploads.next(leaf(1), &received(1), later);
        }
        assert_eq!(session(&mut uploads).err(), Some(leaf(1)));
        assert_eq!(uploads.stalled(later + STALL), [leaf(1)]);
    }
}
