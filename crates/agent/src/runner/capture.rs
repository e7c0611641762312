//! The output of a command: read to its end, kept in part, counted and digested in whole.
//!
//! Never holds more than the kept part in memory, whatever the command writes. Used by the runner.

use std::collections::VecDeque;

use protocol::answer::Output;
use protocol::clean;
use ring::digest::{Context, SHA256};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdout},
};

use crate::characters::{broken, whole};
use crate::progress::Progress;

const READ_BYTES: usize = 16 << 10;

/// A stream is longer than its limit.
pub(super) struct OverLimit;

/// Both output streams.
pub(super) struct Streams {
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
}

impl Streams {
    /// Keeps `bytes_max` of each stream, and tells `progress` what comes.
    pub(super) fn new(
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        bytes_max: usize,
        progress: &Progress,
    ) -> Self {
        Self {
            stdout: Stream::new(stdout, bytes_max, progress.clone()),
            stderr: Stream::new(stderr, bytes_max, progress.clone()),
        }
    }

    /// Reads until both streams have ended. May be dropped and called again without loss.
    ///
    /// # Errors
    /// [`OverLimit`]: one of them is longer than `bytes_max`.
    pub(super) async fn drain(&mut self, bytes_max: u64) -> Result<(), OverLimit> {
        tokio::try_join!(self.stdout.drain(bytes_max), self.stderr.drain(bytes_max))?;
        Ok(())
    }

    /// Standard output and standard error.
    pub(super) fn finish(self) -> (Output, Output) {
        (self.stdout.capture.finish(), self.stderr.capture.finish())
    }
}

struct Stream<R> {
    /// `None`: ended.
    reader: Option<R>,
    buffer: Vec<u8>,
    capture: Capture,
    progress: Progress,
}

impl<R: AsyncRead + Unpin> Stream<R> {
    fn new(reader: Option<R>, bytes_max: usize, progress: Progress) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_BYTES],
            capture: Capture::new(bytes_max),
            progress,
        }
    }

    async fn drain(&mut self, bytes_max: u64) -> Result<(), OverLimit> {
        while let Some(reader) = &mut self.reader {
            let length = reader.read(&mut self.buffer).await.unwrap_or(0);
            if length == 0 {
                self.reader = None;
            }
            let chunk = self.buffer.get(..length).unwrap_or(&[]);
            self.capture.push(chunk);
            self.progress.wrote(chunk);
            if self.capture.bytes > bytes_max {
                return Err(OverLimit);
            }
        }
        Ok(())
    }
}

/// Head and tail of one stream.
struct Capture {
    head: Vec<u8>,
    head_bytes_max: usize,
    tail: VecDeque<u8>,
    tail_bytes_max: usize,
    bytes: u64,
    digest: Context,
}

impl Capture {
    fn new(bytes_max: usize) -> Self {
        let head_bytes_max = bytes_max / 2;
        Self {
            head: Vec::new(),
            head_bytes_max,
            tail: VecDeque::new(),
            tail_bytes_max: bytes_max - head_bytes_max,
            bytes: 0,
            digest: Context::new(&SHA256),
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.digest.update(chunk);
        self.bytes = self.bytes.saturating_add(to_u64(chunk.len()));
        let room = self.head_bytes_max.saturating_sub(self.head.len());
        let (head, rest) = chunk.split_at(room.min(chunk.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(self.tail_bytes_max);
        self.tail.drain(..surplus);
    }

    fn finish(self) -> Output {
        let Self {
            mut head,
            tail,
            bytes,
            digest,
            ..
        } = self;
        let mut tail = Vec::from(tail);
        let cut = to_u64(head.len() + tail.len()) < bytes;
        if cut {
            head.truncate(whole(&head));
            tail.drain(..broken(tail.iter()));
            let left_out = bytes - to_u64(head.len() + tail.len());
            head.extend(format!("\n[… {left_out} bytes left out …]\n").into_bytes());
        }
        head.append(&mut tail);
        let (text, escaped) = clean::escaped(&head);
        Output {
            text,
            bytes,
            sha256: data_encoding::HEXLOWER.encode(digest.finish().as_ref()),
            cut,
            escaped,
        }
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(bytes_max: usize, chunks: &[&[u8]]) -> Output {
        let mut capture = Capture::new(bytes_max);
        for chunk in chunks {
            capture.push(chunk);
        }
        capture.finish()
    }

    #[test]
    fn a_stream_at_the_limit_is_whole_and_one_past_it_is_cut() {
        let whole = capture(8, &[b"abc", b"defgh"]);
        assert_eq!((whole.text.as_str(), whole.cut), ("abcdefgh", false));
        let cut = capture(8, &[b"abc", b"defghi"]);
        assert_eq!(cut.text, "abcd\n[… 1 bytes left out …]\nfghi");
        assert_eq!((cut.bytes, cut.cut), (9, true));
    }

    #[test]
    fn the_digest_is_of_the_whole_stream_however_it_arrives() {
        let once = capture(4, &[b"hello world"]);
        let twice = capture(4, &[b"hello ", b"", b"world"]);
        assert_eq!(once, twice);
        assert_eq!(
            once.sha256,
            "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        );
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let text = "aé€😀".repeat(20);
        for bytes_max in 2..40 {
            let cut = capture(bytes_max, &[text.as_bytes()]);
            assert!(!cut.text.contains('\u{fffd}'), "{bytes_max}: {}", cut.text);
        }
    }

    #[test]
    fn a_character_that_arrives_in_two_pieces_is_whole() {
        assert_eq!(capture(64, &[b"\xe2\x82", b"\xac"]).text, "€");
    }
}
