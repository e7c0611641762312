//! What hosts say of themselves and of their work, made harmless before anything else sees it.

use model::limits;
use protocol::answer::Answer;
use protocol::facts::HostFacts;

/// The facts of a host; `None`: they cannot be read.
pub(super) fn facts(json: &str) -> Option<HostFacts> {
    let mut facts: HostFacts = serde_json::from_str(json).ok()?;
    facts.clean();
    Some(facts)
}

/// JSON of the answer of a leaf, if there is one.
///
/// # Errors
/// What is wrong with it: the agent is not one of ours.
pub(super) fn answer(json: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if json.len() > limits::ANSWER_BYTES_MAX {
        return Err("an answer that is too large");
    }
    if json.is_empty() {
        return Ok(None);
    }
    let unreadable = |_| "an answer that cannot be read";
    let mut answer: Answer = serde_json::from_slice(json).map_err(unreadable)?;
    answer.clean();
    let clean = serde_json::to_vec(&answer).map_err(unreadable)?;
    if clean.len() <= limits::ANSWER_BYTES_MAX {
        return Ok(Some(clean));
    }
    // What takes the place of a character may be longer than it. The agent would say it again.
    let message = "what the host answered is too large and was left out".to_owned();
    let empty = Answer {
        message,
        ..Answer::default()
    };
    serde_json::to_vec(&empty).map(Some).map_err(unreadable)
}

/// JSON of an answer that is only a note of ours.
pub(super) fn note(why: &str) -> Option<Vec<u8>> {
    let note = Answer {
        message: format!("the host's result cannot be read: {why}"),
        ..Answer::default()
    };
    serde_json::to_vec(&note).ok()
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
        let kept = answer(&message("done\n  run on db-9:")).unwrap();
        assert_eq!(kept, Some(message("done   run on db-9:")));
        assert_eq!(answer(b""), Ok(None));
        assert!(answer(b"{").is_err());
    }

    #[test]
    fn an_answer_has_a_size() {
        let mut json = message("well");
        json.resize(limits::ANSWER_BYTES_MAX, b' ');
        assert_eq!(answer(&json), Ok(Some(message("well"))));
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
            serde_json::from_slice::<Answer>(&kept).unwrap()
        };
        assert!(kept(0).assets.is_some(), "cut texts fit");
        let kept = kept(2_000);
        assert_eq!(kept.assets, None);
        assert!(kept.message.contains("too large"));
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
