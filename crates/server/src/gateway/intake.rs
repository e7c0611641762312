//! What hosts say of themselves and of their work, made harmless before anything else sees it.

use model::{AssetItem, limits};
use protocol::answer::Answer;
use protocol::asset;
use protocol::clean;
use protocol::facts::HostFacts;
use protocol::frame;
use protocol::outcome;
use store::{LeafAnswer, NewSnapshot};

use crate::engine::Progress;

/// The facts of a host; `None`: they cannot be read.
pub(super) fn facts(json: &str) -> Option<HostFacts> {
    let mut facts: HostFacts = serde_json::from_str(json).ok()?;
    facts.clean();
    Some(facts)
}

/// The answer of a leaf, if there is one.
///
/// # Errors
/// What is wrong with it: the agent is not one of ours.
pub(super) fn answer(json: &[u8]) -> Result<Option<LeafAnswer>, &'static str> {
    if json.len() > limits::ANSWER_BYTES_MAX {
        return Err("an answer that is too large");
    }
    if json.is_empty() {
        return Ok(None);
    }
    let unreadable = |_| "an answer that cannot be read";
    let mut answer: Answer = serde_json::from_slice(json).map_err(unreadable)?;
    answer.clean();
    let clean = in_short(&answer).map_err(unreadable)?;
    if clean.json.len() <= limits::ANSWER_BYTES_MAX {
        return Ok(Some(clean));
    }
    // What takes the place of a character may be longer than it. The agent would say it again.
    let message = "what the host answered is too large and was left out".to_owned();
    let empty = Answer {
        message,
        ..Answer::default()
    };
    in_short(&empty).map(Some).map_err(unreadable)
}

/// What a leaf does.
///
/// # Errors
/// What is wrong with it: the agent is not one of ours.
pub(super) fn progress(frame: frame::Progress) -> Result<Progress, &'static str> {
    if frame.output.len() > limits::PROGRESS_OUTPUT_BYTES_MAX {
        return Err("an end of an output that is too large");
    }
    let length = u64::try_from(frame.output.len()).unwrap_or(u64::MAX);
    let percent = frame.percent.map(|it| it.min(99));
    Ok(Progress {
        percent: percent.and_then(|it| u8::try_from(it).ok()),
        note: clean::one_line(&frame.note, limits::PROGRESS_NOTE_BYTES_MAX),
        output: clean::output_end(&frame.output),
        output_length: frame.output_length.max(length),
    })
}

fn in_short(answer: &Answer) -> Result<LeafAnswer, serde_json::Error> {
    Ok(LeafAnswer {
        json: serde_json::to_vec(answer)?,
        said: outcome::said(answer),
        snapshots: snapshots(answer)?,
    })
}

/// The lists to be kept. One that is too long by itself is too long for an answer too.
fn snapshots(answer: &Answer) -> Result<Vec<NewSnapshot>, serde_json::Error> {
    let lists = answer.assets.as_ref().map(asset::lists).transpose()?;
    let lists = lists.into_iter().flatten();
    let snapshot = |(item, json): (AssetItem, Vec<u8>)| NewSnapshot::new(item, &json).ok();
    Ok(lists.filter_map(snapshot).collect())
}

/// An answer that is only a note of ours.
pub(super) fn note(why: &str) -> Option<LeafAnswer> {
    let note = Answer {
        message: format!("the host's result cannot be read: {why}"),
        ..Answer::default()
    };
    in_short(&note).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let answer = Answer {
            message: text.to_owned(),
            ..Answer::default()
        };
        serde_json::to_vec(&answer).unwrap()
    }

    #[test]
    fn an_answer_is_cleaned_before_it_is_kept() {
        let kept = answer(&message("done\n  run on db-9:")).unwrap().unwrap();
        assert_eq!(kept.json, message("done   run on db-9:"));
        assert_eq!(kept.said.label(), "done   run on db-9:");
        assert_eq!(answer(b""), Ok(None));
        assert!(answer(b"{").is_err());
    }

    #[test]
    fn an_answer_has_a_size() {
        let mut json = message("well");
        json.resize(limits::ANSWER_BYTES_MAX, b' ');
        assert_eq!(answer(&json).unwrap().unwrap().json, message("well"));
        json.push(b' ');
        assert!(answer(&json).is_err());
    }

    #[test]
    fn an_answer_that_grows_too_large_ends_the_leaf_all_the_same() {
        let kept = |kind_bytes: usize| {
            let path = "\u{7f}".repeat(4_000);
            let kind = "\u{7f}".repeat(kind_bytes);
            let one = serde_json::json!({"kind": kind, "path": path, "name": ""});
            let json = serde_json::json!({"assets": {"autoruns": vec![one; 150]}});
            let kept = answer(json.to_string().as_bytes()).unwrap().unwrap();
            serde_json::from_slice::<Answer>(&kept.json).unwrap()
        };
        assert!(kept(0).assets.is_some(), "cut texts fit");
        let kept = kept(2_000);
        assert_eq!(kept.assets, None);
        assert!(kept.message.contains("too large"));
    }

    #[test]
    fn what_a_leaf_does_is_harmless_and_limited() {
        let frame = |output: usize| frame::Progress {
            percent: Some(1_000),
            note: "at\u{1b}[2J\n".repeat(1_000),
            output: vec![0x1b; output],
            output_length: 1,
            ..frame::Progress::default()
        };
        let most = limits::PROGRESS_OUTPUT_BYTES_MAX;
        let clean = progress(frame(most)).unwrap();
        assert_eq!(clean.percent, Some(99), "it has not ended");
        assert!(clean.note.len() <= limits::PROGRESS_NOTE_BYTES_MAX);
        assert!(!clean.note.contains(char::is_control));
        assert_eq!(clean.output, "?".repeat(most));
        assert_eq!(clean.output_length, u64::try_from(most).unwrap());
        assert!(progress(frame(most + 1)).is_err());
    }

    #[test]
    fn facts_are_cleaned() {
        let facts = facts(r#"{"hostname": "web\n1", "osName": "a\tb"}"#).unwrap();
        assert_eq!(
            (facts.hostname.as_str(), facts.os_name.as_str()),
            ("web_1", "a b")
        );
        assert_eq!(super::facts("{"), None);
    }
}
