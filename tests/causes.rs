//! `docs/causes/` is the catalogue: one page per hundred codes, written from the enum. A stale page fails; to write them anew:
//! `SICKBAY_WRITE_DOCS=1 cargo test -p tests --test causes`.

#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what is out of order"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use model::{Cause, Fix, Placeholder};

/// What the causes of each hundred are about.
const SUBJECTS: [(u16, &str); 8] = [
    (21, "The agent's service"),
    (22, "The agent's process"),
    (23, "The network"),
    (24, "Disks and files"),
    (25, "Memory, processors and limits"),
    (26, "The clock"),
    (27, "Identity and access"),
    (28, "Logs, the kernel and other products"),
];

/// Causes that no probe and no built-in profile names, and why.
const UNNAMED: [(Cause, &str); 3] = [
    (
        Cause::OldAgentLeftOver,
        "a second installation that is kept on purpose looks the same; one that runs too is AgentDuplicated",
    ),
    (
        Cause::LicenceExpired,
        "only the server knows; for lines of a profile",
    ),
    (
        Cause::ServerRejectsRequest,
        "the check sends no request of the agent's; for lines of a profile",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder() -> PathBuf {
    root().join("docs/causes")
}

/// All files below that directory whose names end so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect::<Vec<_>>();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// What the agent is made of, without its tests.
fn agent() -> String {
    let sources = files(&root().join("crates/agent/src"), ".rs");
    let profiles = files(&root().join("crates/agent/profiles"), ".toml");
    let is_test = |it: &&PathBuf| {
        let inside = it.strip_prefix(root()).unwrap();
        let mut parts = inside.components().map(|it| it.as_os_str());
        parts.any(|it| it == "tests" || it == "tests.rs")
    };
    let sources = sources.iter().filter(|it| !is_test(it));
    let all = sources.chain(&profiles).map(|it| {
        let text = fs::read_to_string(it).unwrap();
        let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        text.get(..end).unwrap().to_owned()
    });
    all.collect::<Vec<_>>().join("\n")
}

/// All pages by file name.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for (hundred, subject) in SUBJECTS {
        let causes = Cause::ALL.iter().filter(|it| it.code() / 100 == hundred);
        let mut page = format!("# {hundred}xx: {subject}\n");
        causes.for_each(|it| page.push_str(&section(*it)));
        pages.insert(format!("{hundred}.md"), page);
    }
    pages.insert("fixes.md".to_owned(), fixes());
    pages.insert("README.md".to_owned(), contents());
    pages
}

fn section(cause: Cause) -> String {
    let about = cause.about();
    let (code, name, severity) = (cause.code(), cause.name(), about.severity.wire());
    let mut text = format!(
        "\n## {code} {name}\n**{}** {} ({severity})\n\n{}\n\n",
        about.sentence.en, about.sentence.zh, about.explanation
    );
    let commands: Vec<String> = about.verify.iter().map(|it| format!("`{it}`")).collect();
    let _ = writeln!(text, "- See it: {}", commands.join(", "));
    let fixes: Vec<String> = about.fixes.iter().map(|it| link(*it)).collect();
    let _ = writeln!(text, "- Fixes: {}", fixes.join(", "));
    let symptoms = Cause::ALL.iter().filter(|it| cause.leads_to(**it));
    let symptoms: Vec<String> = symptoms.map(|it| it.code().to_string()).collect();
    if !symptoms.is_empty() {
        let _ = writeln!(text, "- Leads to: {}", symptoms.join(", "));
    }
    text
}

fn link(fix: Fix) -> String {
    let anchor = format!("{}-{}", fix.code(), fix.name().to_lowercase());
    format!("[{} {}](fixes.md#{anchor})", fix.code(), fix.name())
}

fn fixes() -> String {
    let mut page = String::from(
        "# Fixes\nWhat to do about a cause. A command is a line of sh, run as root; words in capitals are filled in from what the host's \
         finding knows ([list](README.md#words-in-commands)). \"Attended\" means that a person should look at the host before it runs.\n",
    );
    for fix in Fix::ALL {
        let sentence = fix.about().sentence;
        let (code, name) = (fix.code(), fix.name());
        let _ = writeln!(page, "\n## {code} {name}\n{} {}", sentence.en, sentence.zh);
        if let Some(action) = fix.action() {
            let manner = if action.unattended {
                "Unattended"
            } else {
                "Attended"
            };
            let _ = writeln!(page, "\n{manner}:\n```sh\n{}\n```", action.command);
        }
    }
    page
}

fn contents() -> String {
    let mut page = format!(
        "# Causes and fixes\nWhy an agent misbehaves and what to do about it: {} causes, {} fixes. Codes and names never change their meaning. \
         `sickbay explain 2401` shows the same, `sickbay explain certificate expired` searches.\n\n",
        Cause::ALL.len(),
        Fix::ALL.len()
    );
    page.push_str("| code | name | severity | what is wrong |\n|---|---|---|---|\n");
    for cause in Cause::ALL {
        let (code, name) = (cause.code(), cause.name());
        let anchor = format!("{}.md#{code}-{}", code / 100, name.to_lowercase());
        let (severity, sentence) = (cause.severity().wire(), cause.sentence());
        let _ = writeln!(
            page,
            "| {code} | [{name}]({anchor}) | {severity} | {sentence} |"
        );
    }
    page.push_str("\n[Fixes](fixes.md)\n\n## Words in commands\n");
    let words: Vec<String> = Placeholder::ALL
        .iter()
        .map(|it| format!("`{}`", it.word()))
        .collect();
    let _ = writeln!(
        page,
        "{} stand for what they mean on the host. A value from a host is checked and quoted: it never becomes syntax.",
        words.join(", ")
    );
    page
}

#[test]
fn the_pages_of_the_catalogue_are_what_the_enum_says() {
    let pages = pages();
    let written: usize = SUBJECTS
        .iter()
        .map(|(hundred, _)| {
            Cause::ALL
                .iter()
                .filter(|it| it.code() / 100 == *hundred)
                .count()
        })
        .sum();
    assert_eq!(written, Cause::ALL.len(), "every cause has a page");
    if std::env::var_os("SICKBAY_WRITE_DOCS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &pages {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let there = fs::read_dir(folder()).unwrap();
    let there: BTreeMap<String, String> = there
        .map(|it| {
            let path = it.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    let stale = pages
        .iter()
        .find(|(name, text)| there.get(*name) != Some(*text));
    if let Some((name, _)) = stale {
        panic!(
            "docs/causes/{name} is stale: SICKBAY_WRITE_DOCS=1 cargo test -p tests --test causes"
        );
    }
    assert_eq!(pages.len(), there.len(), "docs/causes/ has a page too many");
}

#[test]
fn every_cause_is_named_by_a_probe_or_it_is_known_why_not() {
    let agent = agent();
    let is_word_end = |it: Option<char>| it.is_none_or(|c| !c.is_alphanumeric());
    let is_named = |cause: Cause| {
        let written = format!("Cause::{}", cause.name());
        let mut ends = agent.match_indices(&written).map(|(at, it)| at + it.len());
        ends.any(|it| is_word_end(agent.get(it..).unwrap().chars().next()))
            || agent.contains(&format!("cause = \"{}\"", cause.name()))
    };
    for cause in Cause::ALL {
        let why = UNNAMED.iter().find(|(it, _)| it == cause);
        assert_ne!(is_named(*cause), why.is_some(), "{cause:?}: {why:?}");
    }
}
