//! What running leaves do, in words, and the output of a command as it comes. Pure.
//!
//! What is returned is the host's own text: it is cleaned, and set apart, where it is shown.

use protocol::api::task::Task;

use crate::ui::count;

/// Hosts at most whose doings are shown one by one.
pub(super) const HOSTS_MAX: u32 = 4;

/// What one running leaf does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// How much is done and what it is at.
    pub(super) text: String,
    /// The end of what its command has written so far.
    pub(super) output: String,
}

impl Now {
    /// What a leaf does; `None`: it does not run, or has not said.
    pub(super) fn of(leaf: &Task) -> Option<Self> {
        let (note, output) = (&leaf.progress_note, leaf.output_tail.clone());
        let text = match leaf.output_length {
            Some(length) if length == bytes(&output) => count(length, "byte") + " of output",
            Some(length) => format!(
                "{} of output, the last {} of them here",
                count(length, "byte"),
                bytes(&output)
            ),
            None if note.is_empty() => return None,
            None => format!("{}: {note}", leaf.progress),
        };
        Some(Self { text, output })
    }

    /// The same in one line: the last of the output instead of all that is known.
    pub(super) fn brief(&self) -> String {
        let mut lines = self.output.lines().rev();
        let last = lines.find(|it| !it.trim().is_empty());
        last.map_or_else(|| self.text.clone(), |it| it.trim().to_owned())
    }
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// A piece of an output that is put together from its ends, as one after another comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole line.
    Line(String),
    /// So many bytes came and went between two looks.
    Skipped(u64),
}

/// Puts an output together.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Bytes that were seen or skipped.
    seen: u64,
    /// The line whose end has not come.
    line: String,
}

impl Output {
    /// What is new in the end of the output of a running leaf.
    pub(super) fn take(&mut self, leaf: &Task) -> Vec<Piece> {
        let (tail, length) = (&leaf.output_tail, leaf.output_length.unwrap_or(0));
        let start = length.saturating_sub(bytes(tail));
        let mut pieces = Vec::new();
        if start > self.seen {
            pieces.extend(self.rest());
            pieces.push(Piece::Skipped(start - self.seen));
            self.seen = start;
        }
        let known = usize::try_from(self.seen - start).unwrap_or(usize::MAX);
        self.line.push_str(tail.get(known..).unwrap_or_default());
        self.seen = self.seen.max(length);
        while let Some((line, rest)) = self.line.split_once('\n') {
            pieces.push(Piece::Line(line.to_owned()));
            self.line = rest.to_owned();
        }
        pieces
    }

    /// The line whose end will not come.
    pub(super) fn rest(&mut self) -> Option<Piece> {
        let line = std::mem::take(&mut self.line);
        (!line.is_empty()).then_some(Piece::Line(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(tail: &str, length: u64) -> Task {
        Task {
            output_tail: tail.to_owned(),
            output_length: Some(length),
            progress: "0%".to_owned(),
            ..Task::default()
        }
    }

    fn said(text: &str) -> Piece {
        Piece::Line(text.to_owned())
    }

    #[test]
    fn an_output_is_put_together_from_ends_that_overlap() {
        let mut output = Output::default();
        assert_eq!(output.take(&wrote("one\ntw", 6)), [said("one")]);
        assert_eq!(output.take(&wrote("one\ntw", 6)), []);
        assert_eq!(
            output.take(&wrote("e\ntwo\nthé\n", 13)),
            [said("two"), said("thé")]
        );
        assert_eq!(output.rest(), None);
    }

    #[test]
    fn what_was_not_seen_is_counted_and_what_was_begun_is_shown() {
        let mut output = Output::default();
        assert_eq!(output.take(&wrote("begun", 5)), []);
        let pieces = output.take(&wrote("b\nc", 103));
        assert_eq!(pieces, [said("begun"), Piece::Skipped(95), said("b")]);
        assert_eq!(output.rest(), Some(said("c")));
        let mut late = Output::default();
        assert_eq!(late.take(&wrote("z\n", 9)), [Piece::Skipped(7), said("z")]);
    }

    #[test]
    fn an_output_that_makes_no_sense_is_not_shown_twice() {
        let mut output = Output::default();
        output.take(&wrote("abc\n", 4));
        assert_eq!(output.take(&wrote("abc\n", 3)), []);
        assert_eq!(output.take(&wrote("", 0)), []);
        assert_eq!(output.take(&Task::default()), []);
    }

    #[test]
    fn a_leaf_says_what_it_is_at() {
        assert_eq!(Now::of(&Task::default()), None);
        let check = Task {
            progress: "43%".to_owned(),
            progress_note: "disk, memory".to_owned(),
            ..Task::default()
        };
        assert_eq!(Now::of(&check).unwrap().brief(), "43%: disk, memory");
        let command = Now::of(&wrote("a\nlast \n\n", 9)).unwrap();
        assert_eq!(command.text, "9 bytes of output");
        assert_eq!(command.brief(), "last");
        let long = Now::of(&wrote("a\n", 9_000)).unwrap();
        assert_eq!(long.text, "9000 bytes of output, the last 2 of them here");
    }
}
