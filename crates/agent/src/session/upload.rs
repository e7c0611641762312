//! One log bundle on its way to the node: which piece is next, and when to give up.
//!
//! One piece is under way at a time and the node says where to go on, so that an upload resumes on
//! any connection, to any node.

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
    stalls_at: Instant,
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
            stalls_at: Instant::now() + STALL,
        })
    }

    /// The frame that starts it, or goes on with it on a new connection.
    pub(crate) fn open(&mut self) -> BundleOpen {
        self.stalls_at = Instant::now() + STALL;
        BundleOpen {
            leaf_id: self.leaf.to_string(),
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }

    /// When to give up.
    pub(crate) fn gives_up_at(&self) -> Instant {
        self.stalls_at.min(self.deadline)
    }

    pub(crate) fn next(&mut self, ack: &BundleAck) -> Next {
        if !ack.refused.is_empty() || ack.received >= self.size {
            return Next::End;
        }
        // Going round in circles is no progress.
        if ack.received > self.furthest {
            self.furthest = ack.received;
            self.stalls_at = Instant::now() + STALL;
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
