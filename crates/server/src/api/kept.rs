//! Answers that are kept while they are true.
//!
//! Clients ask the same question again and again while they wait. An answer depends on what is
//! stored, on which hosts are connected, and on the question: as long as none of the three has changed,
//! the answer that was given is given again. Nothing is guessed and nothing expires early or late: any
//! commit makes every kept answer void. What running leaves do changes all the time; answers that show it
//! are kept for [`limits::PROGRESS_SHOWN_MS`] meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use model::{UnixMillis, limits};

/// Operations whose answers are kept.
const OPERATIONS: [&str; 7] = [
    "DescribeCloudCenterInstances",
    "DescribeOnceTask",
    "DescribeOnceTaskLeafRecordPage",
    "DescribeOnceTaskOutcomes",
    "GetLastOnceTaskInfo",
    "GetOnceTaskResultInfo",
    "ListUnfinishedOnceTask",
];

/// Those of them that show what running leaves do.
const WITH_PROGRESS: [&str; 3] = [
    "DescribeOnceTask",
    "DescribeOnceTaskLeafRecordPage",
    "ListUnfinishedOnceTask",
];

/// Answers hold download addresses, which are good for longer than this, in ms.
const AGE_MS_MAX: i64 = 60_000;

/// The kept answers of a node.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    by_question: HashMap<String, Answer>,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    /// What it was made of; see [`Moment`].
    of: u64,
    at: UnixMillis,
    text: Bytes,
}

/// When a question is asked: the count of all changes so far, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Commits, connections and, where it is shown, progress so far.
    pub(crate) changes: u64,
    /// The time.
    pub(crate) now: UnixMillis,
}

impl Kept {
    /// Whether answers of this operation are kept.
    pub(crate) fn keeps(operation: &str) -> bool {
        OPERATIONS.contains(&operation)
    }

    /// Whether answers of this operation show what running leaves do.
    pub(crate) fn shows_progress(operation: &str) -> bool {
        WITH_PROGRESS.contains(&operation)
    }

    /// The answer to this question, if there is one that is still true.
    pub(crate) fn find(&self, question: &str, moment: Moment) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.by_question.get(question)?;
        let young = moment.now.since(answer.at).abs() <= AGE_MS_MAX;
        (answer.of == moment.changes && young).then(|| answer.text.clone())
    }

    /// Keeps an answer that was made at `moment`, which was taken before looking.
    pub(crate) fn keep(&self, question: String, moment: Moment, text: &Bytes) {
        if text.len() + question.len() > limits::KEPT_ANSWER_BYTES_MAX {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let size = text.len() + question.len();
        if answers.bytes + size > limits::KEPT_ANSWERS_BYTES_MAX {
            *answers = Answers::default();
        }
        let answer = Answer {
            of: moment.changes,
            at: moment.now,
            text: text.clone(),
        };
        let length = question.len();
        if let Some(old) = answers.by_question.insert(question, answer) {
            answers.bytes -= old.text.len() + length;
        }
        answers.bytes += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(changes: u64, now: i64) -> Moment {
        Moment {
            changes,
            now: UnixMillis(now),
        }
    }

    #[test]
    fn an_answer_is_good_until_anything_changes_and_for_a_minute() {
        let kept = Kept::default();
        let text = Bytes::from_static(b"{}");
        kept.keep("q".to_owned(), moment(7, 0), &text);
        assert_eq!(kept.find("q", moment(7, AGE_MS_MAX)), Some(text));
        assert_eq!(kept.find("q", moment(8, 0)), None);
        assert_eq!(kept.find("q", moment(7, AGE_MS_MAX + 1)), None);
        assert_eq!(kept.find("other", moment(7, 0)), None);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let kept = Kept::default();
        let largest = Bytes::from(vec![0; limits::KEPT_ANSWER_BYTES_MAX - 1]);
        let larger = Bytes::from(vec![0; limits::KEPT_ANSWER_BYTES_MAX]);
        kept.keep("l".to_owned(), moment(1, 0), &larger);
        assert_eq!(kept.find("l", moment(1, 0)), None);
        for number in 0..200_u8 {
            kept.keep(char::from(number).to_string(), moment(1, 0), &largest);
        }
        let answers = kept.answers.lock().unwrap();
        let bytes: usize = answers
            .by_question
            .iter()
            .map(|(question, it)| question.len() + it.text.len())
            .sum();
        assert_eq!(bytes, answers.bytes);
        assert!(bytes <= limits::KEPT_ANSWERS_BYTES_MAX);
    }
}
