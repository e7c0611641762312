//! `sickbay explain`: what a cause or fix means. The catalogue is built in.

use std::fmt::Write;

use model::{Cause, Fix, Language};
use serde_json::{Map, Value, json};

use crate::exit::{Exit, Usage};
use crate::ui::{Column, Ui, cell};

/// Arguments of `sickbay explain`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A code such as 2401, a name such as DiskFull, or words that stand in the text, such as certificate expired
    #[arg(value_name = "CODE|NAME|WORD", required = true)]
    words: Vec<String>,
    /// Language of the sentences: en or zh
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = super::language)]
    lang: Language,
}

/// What has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Cause(Cause),
    Fix(Fix),
    ByHand,
}

const BY_HAND: &str = "Run the given command by hand on the host: its agent is not connected.";

const COLUMNS: &[Column] = &[
    Column {
        title: "CODE",
        cell: |row| cell(row, "Code"),
    },
    Column {
        title: "KIND",
        cell: |row| cell(row, "Kind"),
    },
    Column {
        title: "NAME",
        cell: |row| cell(row, "Name"),
    },
    Column {
        title: "SENTENCE",
        cell: |row| cell(row, "Sentence"),
    },
];

pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<Exit> {
    let topics = find(&args.words);
    match topics.as_slice() {
        [] => {
            let why = format!(
                "no cause and no fix is called or says {}",
                args.words.join(" ")
            );
            return Err(Usage(why).into());
        }
        [topic] => {
            let (value, text) = topic.page(args.lang);
            ui.object(&value, "Code", || text)?;
        }
        several => {
            let mut list = ui.list(COLUMNS, "Code");
            for topic in several {
                list.push(topic.page(args.lang).0)?;
            }
            list.finish()?;
        }
    }
    Ok(Exit::Success)
}

/// The one of that code or name; otherwise all in whose texts every word stands.
fn find(words: &[String]) -> Vec<Topic> {
    let causes = Cause::ALL.iter().copied().map(Topic::Cause);
    let fixes = Fix::ALL.iter().copied().map(Topic::Fix);
    let all = || causes.clone().chain(fixes.clone()).chain([Topic::ByHand]);
    if let [word] = words {
        let is_called =
            |it: &Topic| it.code().to_string() == *word || it.name().eq_ignore_ascii_case(word);
        if let Some(topic) = all().find(is_called) {
            return vec![topic];
        }
    }
    let words: Vec<String> = words.iter().map(|it| it.to_lowercase()).collect();
    all()
        .filter(|it| {
            let text = it.text().to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        })
        .collect()
}

impl Topic {
    const fn code(self) -> u16 {
        match self {
            Self::Cause(cause) => cause.code(),
            Self::Fix(fix) => fix.code(),
            Self::ByHand => model::fix::RUN_BY_HAND,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Cause(cause) => cause.name(),
            Self::Fix(fix) => fix.name(),
            Self::ByHand => "RunByHand",
        }
    }

    /// What is searched.
    fn text(self) -> String {
        match self {
            Self::Cause(cause) => {
                let about = cause.about();
                let (en, zh) = (about.sentence.en, about.sentence.zh);
                format!("{} {en} {zh} {}", cause.name(), about.explanation)
            }
            Self::Fix(fix) => {
                let sentence = fix.about().sentence;
                format!("{} {} {}", fix.name(), sentence.en, sentence.zh)
            }
            Self::ByHand => BY_HAND.to_owned(),
        }
    }

    fn page(self, language: Language) -> (Value, String) {
        match self {
            Self::Cause(cause) => cause_page(cause, language),
            Self::Fix(fix) => fix_page(fix, language),
            Self::ByHand => (
                json!({"Code": self.code(), "Kind": "fix", "Name": self.name(), "Sentence": BY_HAND}),
                format!("{} {} (fix)\n{BY_HAND}\n", self.code(), self.name()),
            ),
        }
    }
}

/// The fix as JSON, without what it mends.
fn fix_value(fix: Fix, language: Language) -> Map<String, Value> {
    let parts = [
        ("Code", Some(json!(fix.code()))),
        ("Kind", Some(json!("fix"))),
        ("Name", Some(json!(fix.name()))),
        ("Sentence", Some(json!(fix.about().sentence.say(language)))),
        ("Command", fix.action().map(|it| json!(it.command))),
        ("Unattended", fix.action().map(|it| json!(it.unattended))),
    ];
    let parts = parts.into_iter();
    parts
        .filter_map(|(name, it)| Some((name.to_owned(), it?)))
        .collect()
}

fn cause_page(cause: Cause, language: Language) -> (Value, String) {
    let about = cause.about();
    let (code, name, severity) = (cause.code(), cause.name(), about.severity.wire());
    let sentence = about.sentence.say(language);
    let fixes: Vec<Map<String, Value>> = about
        .fixes
        .iter()
        .map(|it| fix_value(*it, language))
        .collect();
    let value = json!({
        "Code": code, "Kind": "cause", "Name": name, "Severity": severity, "Sentence": sentence,
        "Explanation": about.explanation, "Verify": about.verify, "Fixes": fixes,
    });
    let mut text = format!(
        "{code} {name} (cause, {severity})\n{sentence}\n\n{}\n\nSee it on the host:\n  {}\n\nWhat to do:\n",
        about.explanation,
        about.verify.join("\n  ")
    );
    for fix in about.fixes {
        let _ = writeln!(
            text,
            "  {}  {}",
            fix.code(),
            fix.about().sentence.say(language)
        );
        if let Some(action) = fix.action() {
            let _ = writeln!(text, "        {}", action.command);
        }
    }
    (value, text)
}

fn fix_page(fix: Fix, language: Language) -> (Value, String) {
    let causes = Cause::ALL.iter().filter(|it| it.fixes().contains(&fix));
    let codes: Vec<u16> = causes.clone().map(|it| it.code()).collect();
    let mut value = fix_value(fix, language);
    value.insert("Causes".to_owned(), json!(codes));
    let sentence = fix.about().sentence.say(language);
    let mut text = format!("{} {} (fix)\n{sentence}\n", fix.code(), fix.name());
    if let Some(action) = fix.action() {
        let manner = if action.unattended {
            "may run unattended"
        } else {
            "wants a person who has looked at the host"
        };
        let _ = writeln!(
            text,
            "\nBy command, as root ({manner}):\n  {}",
            action.command
        );
    }
    text.push_str("\nMends:\n");
    for cause in causes {
        let sentence = cause.about().sentence.say(language);
        let _ = writeln!(text, "  {}  {sentence}", cause.code());
    }
    (Value::from(value), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Topic> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        find(&words)
    }

    #[test]
    fn every_code_has_a_page_that_says_what_to_do() {
        for cause in Cause::ALL {
            let (value, text) = cause_page(*cause, Language::English);
            assert!(text.contains(cause.about().verify[0]), "{text}");
            assert!(!value["Fixes"].as_array().unwrap().is_empty(), "{text}");
        }
        for fix in Fix::ALL {
            let (_, text) = fix_page(*fix, Language::Chinese);
            assert!(text.contains(fix.about().sentence.zh), "{text}");
        }
    }

    #[test]
    fn a_topic_is_found_by_code_name_and_words() {
        let full = [Topic::Cause(Cause::DiskFull)];
        assert_eq!(found("2401"), full);
        assert_eq!(found("diskfull"), full);
        assert_eq!(found("1103"), [Topic::Fix(Fix::StartService)]);
        assert_eq!(found("1003"), [Topic::ByHand]);
        let expired = found("certificate expired");
        assert!(expired.contains(&Topic::Cause(Cause::CertificateExpired)));
        assert!(expired.contains(&Topic::Cause(Cause::ClientCertificateExpired)));
        assert!(found("磁盘配额").contains(&Topic::Cause(Cause::QuotaExceeded)));
        assert_eq!(found("unicorn"), []);
    }
}
