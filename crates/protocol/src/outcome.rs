//! An answer in short: what makes two hosts' answers the same.
//!
//! Owns the decision which parts of an answer count: of a command its exit and its output, of a
//! problem check its causes, of an inventory nothing but that there is one, of everything else the
//! message. Status and reason are no part of it; the store adds them. Pure; called by the node on
//! every answer, once it is clean.

use std::collections::BTreeSet;

use model::outcome::DIGEST_BYTES;
use model::{Cause, Said, limits};
use ring::digest::{Context, SHA256};

use crate::answer::{Answer, CheckReport, OpsReport, Output};
use crate::clean::one_line;

/// The answer in short.
#[must_use]
pub fn said(answer: &Answer) -> Said {
    let mut parts = Parts(Context::new(&SHA256));
    let label = if let Some(ops) = &answer.ops {
        parts.add(b"ops");
        of_command(ops, &mut parts)
    } else if let Some(check) = &answer.check {
        parts.add(b"check");
        of_check(check, &mut parts)
    } else if answer.assets.is_some() {
        parts.add(b"assets");
        "collected".to_owned()
    } else {
        parts.add(b"message");
        parts.add(answer.message.as_bytes());
        answer.message.clone()
    };
    let label = one_line(label.trim(), limits::OUTCOME_LABEL_BYTES_MAX);
    Said::new(parts.digest(), label)
}

fn of_command(ops: &OpsReport, parts: &mut Parts) -> String {
    for number in [ops.exit_code, ops.signal] {
        parts.add(
            number
                .map_or_else(String::new, |it| it.to_string())
                .as_bytes(),
        );
    }
    for Output {
        text,
        bytes,
        sha256,
        cut: _,
        escaped: _,
    } in [&ops.stdout, &ops.stderr]
    {
        // The host's digest tells apart what was left out; the text is there in case it does not.
        parts.add(text.as_bytes());
        parts.add(&bytes.to_le_bytes());
        parts.add(sha256.as_bytes());
    }
    let mut how = match (ops.exit_code, ops.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "not ended".to_owned(),
    };
    for limit in ops.limits.iter().filter(|it| it.reached) {
        parts.add(limit.name.as_bytes());
        how.push_str(&format!(" at the limit {}", limit.name));
    }
    let outputs = match ops.exit_code {
        Some(0) => [&ops.stdout, &ops.stderr],
        _ => [&ops.stderr, &ops.stdout],
    };
    let mut lines = outputs.into_iter().flat_map(|it| it.text.lines());
    match lines.find(|it| !it.trim().is_empty()) {
        Some(line) => format!("{how}: {}", line.trim()),
        None => how,
    }
}

fn of_check(check: &CheckReport, parts: &mut Parts) -> String {
    let found = check
        .findings
        .iter()
        .map(|it| (it.cause, it.subject.as_str()));
    let found: BTreeSet<(u16, &str)> = found.collect();
    for (code, subject) in &found {
        parts.add(&code.to_le_bytes());
        parts.add(subject.as_bytes());
    }
    let mut codes: Vec<u16> = found.iter().map(|(code, _)| *code).collect();
    codes.dedup();
    match codes.as_slice() {
        [] => "no cause found".to_owned(),
        [code] => {
            let sentence = Cause::find(*code).map_or("", Cause::sentence);
            format!("{code} {sentence}")
        }
        several => {
            let several: Vec<String> = several.iter().map(u16::to_string).collect();
            format!("causes {}", several.join(", "))
        }
    }
}

/// What a digest is made of: each part with its length, so that no two lists of parts are alike.
struct Parts(Context);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.update(&length.to_le_bytes());
        self.0.update(part);
    }

    fn digest(self) -> [u8; DIGEST_BYTES] {
        let mut digest = [0; DIGEST_BYTES];
        for (to, from) in digest.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{AssetReport, Finding};

    fn output(text: &str) -> Output {
        Output {
            text: text.to_owned(),
            bytes: text.len().try_into().unwrap(),
            ..Output::default()
        }
    }

    fn ran(exit_code: i32, stdout: &str, stderr: &str) -> Answer {
        Answer {
            ops: Some(OpsReport {
                exit_code: Some(exit_code),
                stdout: output(stdout),
                stderr: output(stderr),
                duration_ms: u64::from(stdout.len() > 3),
                ..OpsReport::default()
            }),
            ..Answer::default()
        }
    }

    fn found(causes: &[u16], evidence: &str) -> Answer {
        let finding = |cause: &u16| Finding {
            cause: *cause,
            summary: evidence.to_owned(),
            evidence: vec![evidence.to_owned()],
            ..Finding::default()
        };
        Answer {
            check: Some(CheckReport {
                findings: causes.iter().map(finding).collect(),
                ..CheckReport::default()
            }),
            ..Answer::default()
        }
    }

    fn failed(message: &str) -> Answer {
        Answer {
            message: message.to_owned(),
            ..Answer::default()
        }
    }

    #[test]
    fn commands_answer_the_same_if_exit_and_output_are() {
        let base = ran(0, "active\n", "");
        let slow = |ms| {
            let mut answer = base.clone();
            answer.ops.as_mut().unwrap().duration_ms = ms;
            answer
        };
        assert_eq!(said(&slow(1)), said(&slow(900)));
        let mut elsewhere = base.clone();
        elsewhere.ops.as_mut().unwrap().stdout.sha256 = "00".into();
        for other in [
            ran(1, "active\n", ""),
            ran(0, "", "active\n"),
            ran(0, "active", ""),
            elsewhere,
            failed("active\n"),
        ] {
            assert_ne!(said(&other).digest(), said(&base).digest());
        }
    }

    #[test]
    fn checks_answer_the_same_if_their_causes_are() {
        let base = said(&found(&[2305, 2401], "on web-1"));
        assert_eq!(said(&found(&[2401, 2305, 2401], "on web-2")), base);
        assert_ne!(said(&found(&[2305], "")).digest(), base.digest());
        assert_ne!(said(&found(&[], "")).digest(), base.digest());
    }

    #[test]
    fn an_inventory_is_an_inventory_and_an_error_is_its_message() {
        let inventory = |unread: &str| Answer {
            assets: Some(AssetReport {
                unread: vec![unread.to_owned()],
                ..AssetReport::default()
            }),
            ..Answer::default()
        };
        assert_eq!(said(&inventory("a")), said(&inventory("b")));
        assert_eq!(said(&failed("no memory")), said(&failed("no memory")));
        assert_ne!(said(&failed("no memory")), said(&failed("no disk")));
    }

    #[test]
    fn a_label_is_one_short_line_that_says_what_matters() {
        let missing = ran(127, "first\n", "\n  sh: foo: not found\nmore\n");
        for (answer, label) in [
            (missing, "exit 127: sh: foo: not found"),
            (ran(0, "a\tb\nc\n", "warning\n"), "exit 0: a b"),
            (ran(3, "", ""), "exit 3"),
            (found(&[], ""), "no cause found"),
            (found(&[2401, 2305], ""), "causes 2305, 2401"),
            (failed("no such user\u{1b}"), "no such user\u{fffd}"),
        ] {
            assert_eq!(said(&answer).label(), label);
        }
        let long = said(&ran(0, &"ü".repeat(500), ""));
        assert!(long.label().len() <= limits::OUTCOME_LABEL_BYTES_MAX);
    }
}
