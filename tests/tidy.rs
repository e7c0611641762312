//! Keeps the house in order: layering, licences, file length, words, links, and documents in step
//! with the code.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says by panicking what is out of order"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Files that belong to the project, relative to its root.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(
                    name.as_str(),
                    "target" | ".git" | "captures" | "__pycache__"
                ) {
                    folders.push(path);
                }
            } else {
                let relative = path.strip_prefix(root()).unwrap();
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What each package may depend on, of the workspace's own.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    [
        ("model", vec![]),
        ("protocol", vec!["model"]),
        ("store", vec!["model"]),
        ("client", vec!["model", "protocol"]),
        ("agent", vec!["model", "protocol"]),
        ("server", vec!["model", "protocol", "store"]),
        (
            "sickbay",
            vec!["agent", "client", "model", "protocol", "server"],
        ),
        ("bench", vec!["client", "model", "protocol", "store"]),
        ("tests", vec!["client", "model", "protocol"]),
    ]
    .into_iter()
    .map(|(name, uses)| (name, uses.into_iter().collect()))
    .collect()
}

#[test]
fn packages_depend_only_downwards() {
    let metadata = metadata();
    let members = metadata["workspace_members"].as_array().unwrap();
    let allowed = allowed();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        if !members.contains(&package["id"]) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        let uses = allowed
            .get(name)
            .unwrap_or_else(|| panic!("a package without a room: {name}"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            if allowed.contains_key(other) {
                assert!(uses.contains(other), "{name} must not depend on {other}");
            }
        }
    }
    assert_eq!(seen.len(), allowed.len(), "{seen:?}");
}

#[test]
fn the_model_and_the_agent_stay_light() {
    let metadata = metadata();
    let direct = |name: &str| -> BTreeSet<String> {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|it| it["name"] == name && it["source"].is_null());
        let dependencies = package.unwrap()["dependencies"].as_array().unwrap();
        let normal = dependencies.iter().filter(|it| it["kind"].is_null());
        normal
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(direct("model"), BTreeSet::from(["thiserror".to_owned()]));
    for heavy in ["axum", "hyper", "rusqlite", "store", "server"] {
        assert!(
            !direct("agent").contains(heavy),
            "the agent must not depend on {heavy}"
        );
    }
}

#[test]
fn licences_are_permissive_and_there_is_one_tls_and_one_crypto_library() {
    const ALLOWED: [&str; 11] = [
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    ];
    const BANNED: [&str; 5] = ["aws-lc-sys", "chrono", "native-tls", "openssl-sys", "regex"];
    let metadata = metadata();
    let shipped = shipped(&metadata);
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if !shipped.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        assert!(
            !BANNED.contains(&name),
            "{name} must not be a dependency: see deny.toml"
        );
        let licence = package["license"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} has no licence"));
        let choices = licence.replace('/', " OR ").replace(['(', ')'], " ");
        let fits = choices.split(" OR ").any(|choice| {
            let mut parts = choice.split(" AND ").map(str::trim);
            parts.all(|it| ALLOWED.contains(&it.trim_end_matches(" WITH LLVM-exception")))
        });
        assert!(fits, "{name}: {licence}");
    }
}

/// Ids of the packages that end up in the programs: what `sickbay` reaches by normal dependencies.
fn shipped(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let by_id: BTreeMap<&str, &Value> = nodes
        .iter()
        .map(|it| (it["id"].as_str().unwrap(), it))
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let start = packages.iter().find(|it| it["name"] == "sickbay").unwrap();
    let mut open = vec![start["id"].as_str().unwrap()];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.to_owned()) {
            continue;
        }
        for dependency in by_id[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|it| it["kind"].is_null()) {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    seen
}

#[test]
fn source_files_are_one_room_each() {
    for file in files().iter().filter(|it| it.ends_with(".rs")) {
        let text = read(file);
        let lines = text.lines().count();
        assert!(
            lines <= 500,
            "{file} has {lines} lines: split it by meaning"
        );
        let explains = text.starts_with("//!") || file.ends_with("/tests.rs");
        assert!(explains, "{file} does not say what it owns");
    }
}

#[test]
fn sql_stays_in_the_store() {
    let words = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE "];
    for file in files()
        .iter()
        .filter(|it| it.starts_with("crates/") && it.ends_with(".rs"))
    {
        if !file.starts_with("crates/store/") {
            let text = read(file);
            assert!(
                words.iter().all(|it| !text.contains(it)),
                "{file} speaks SQL"
            );
        }
    }
}

#[test]
fn the_service_knows_no_http() {
    for file in files()
        .iter()
        .filter(|it| it.starts_with("crates/server/src/service"))
    {
        let text = read(file);
        for word in ["axum::", "hyper::", "StatusCode"] {
            assert!(!text.contains(word), "{file} knows {word}");
        }
    }
}

#[test]
fn nothing_unfinished_is_left() {
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX:"].concat(),
    ];
    for file in files() {
        let is_text = [".rs", ".md", ".toml", ".sh", ".py"]
            .iter()
            .any(|it| file.ends_with(it));
        if is_text {
            let text = read(&file);
            for mark in &marks {
                assert!(!text.contains(mark.as_str()), "{file} holds a {mark}");
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for file in files().iter().filter(|it| it.ends_with(".md")) {
        let text = read(file);
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let folder = Path::new(file).parent().unwrap();
            let there = root().join(folder).join(path);
            assert!(
                there.exists(),
                "{file} links to {target}, which is not there"
            );
        }
    }
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let text = read("docs/errors.md");
    let documented: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let known: BTreeSet<&str> = protocol::error::Code::ALL
        .iter()
        .map(|it| it.wire())
        .collect();
    assert_eq!(documented, known);
    for code in protocol::error::Code::ALL {
        let row = format!("| `{}` | {} |", code.wire(), code.http_status());
        assert!(text.contains(&row), "docs/errors.md lacks the row `{row}`");
    }
}

#[test]
fn the_drawing_of_a_leafs_life_is_its_transition_function() {
    use model::{Effect, Event, LeafState, Reason, Status, UnixMillis, Verdict};
    let text = read("docs/states.md");
    let at = UnixMillis(1);
    let events = [
        ("taken", Event::Taken),
        ("taken back", Event::TakenBack),
        ("delivered", Event::Delivered),
        ("manual issued", Event::ManualIssued),
        (
            "ended well",
            Event::Ended {
                verdict: Verdict::Success,
                reason: Reason::None,
            },
        ),
        (
            "ended badly",
            Event::Ended {
                verdict: Verdict::Fail,
                reason: Reason::ExitCode,
            },
        ),
        (
            "stopped by host",
            Event::Ended {
                verdict: Verdict::Timeout,
                reason: Reason::Deadline,
            },
        ),
        ("stopped", Event::Stopped),
        ("cancel asked", Event::CancelAsked),
        ("cancel overdue", Event::CancelOverdue),
        ("deadline passed", Event::DeadlinePassed),
        ("deadline overdue", Event::DeadlineOverdue),
    ];
    let start = LeafState::new(at);
    let dispatched = start.next(Event::Delivered, at).0;
    let manual = start.next(Event::ManualIssued, at).0;
    let states = [
        ("INIT", start),
        ("START", start.next(Event::Taken, at).0),
        ("DISPATCH", dispatched),
        ("DISPATCH by hand", manual),
    ];
    for (name, event) in events {
        let cells = states.iter().map(|(_, state)| {
            let (next, effect) = state.next(event, at);
            match effect {
                Effect::Unchanged => "–".to_owned(),
                Effect::Kill => "stop the work".to_owned(),
                Effect::Moved if next.status.is_final() => {
                    let why = if next.status == Status::Success {
                        ""
                    } else {
                        next.reason.wire()
                    };
                    format!("{} {why}", next.status.wire()).trim().to_owned()
                }
                Effect::Moved => {
                    let same = states
                        .iter()
                        .find(|(_, it)| it.status == next.status && it.dispatch == next.dispatch);
                    same.unwrap().0.to_owned()
                }
            }
        });
        let cells: Vec<String> = cells.collect();
        let row = format!("| {name} | {} |", cells.join(" | "));
        assert!(text.contains(&row), "docs/states.md lacks the row:\n{row}");
    }
}
