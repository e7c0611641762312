//! `sickbay runbook`: which runbooks there are and what they do. Needs no control plane.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use protocol::runbook::Runbook;
use serde_json::{Map, Value, json};

use crate::exit::{Exit, Usage};
use crate::ui::{Ui, clean_line};

/// Where the runbooks of one's own lie.
const DIR: &str = "/etc/sickbay/runbooks";

/// The verbs of `sickbay runbook`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List those that are shipped and those in /etc/sickbay/runbooks
    List,
    /// Show one: its parameters, its command, its checks
    Show {
        /// Its name, or a file of your own, such as ./mine.toml
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// A runbook, and its text where it is one of one's own.
pub(crate) struct Found {
    pub(crate) book: Runbook,
    pub(crate) text: Option<String>,
}

pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::List => {
            let mut books = Runbook::shipped();
            for name in own_names() {
                books.push(find(&name)?.book);
            }
            for book in &books {
                ui.object(&value(book), "Name", || {
                    clean_line(&format!("{:<24} {}", book.name, book.title))
                })?;
            }
        }
        Command::Show { name } => {
            let book = find(name)?.book;
            ui.object(&value(&book), "Name", || text(&book))?;
        }
    }
    Ok(Exit::Success)
}

/// The shipped runbook of that name, or else one's own of that name or file.
pub(crate) fn find(name: &str) -> Result<Found, Usage> {
    let wrong = |error: protocol::runbook::Error| Usage(error.to_string());
    if let Some(book) = Runbook::find(name) {
        return Ok(Found { book, text: None });
    }
    let is_file = name.contains('/') || name.ends_with(".toml");
    let path = if is_file {
        PathBuf::from(name)
    } else {
        Path::new(DIR).join(format!("{name}.toml"))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let shown = path.display();
        if is_file {
            Usage(format!("{shown} cannot be read: {error}"))
        } else {
            Usage(format!(
                "no runbook {name:?} is shipped, and {shown} cannot be read: {error}; see `sickbay runbook list`"
            ))
        }
    })?;
    let stem = path.file_stem().and_then(|it| it.to_str());
    let stem = stem.unwrap_or_default();
    if Runbook::find(stem).is_some() {
        return Err(Usage(format!(
            "a runbook {stem} is shipped: give yours another name"
        )));
    }
    let book = Runbook::parse(stem, &text).map_err(wrong)?;
    Ok(Found {
        book,
        text: Some(text),
    })
}

fn own_names() -> Vec<String> {
    let files = std::fs::read_dir(DIR).into_iter().flatten().flatten();
    let names = files.filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter_map(|it| it.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}

fn value(book: &Runbook) -> Value {
    let parameters: Map<String, Value> = book
        .parameters
        .iter()
        .map(|(name, it)| {
            let about =
                json!({"Values": it.values.describe(), "Default": it.default, "Help": it.help});
            (name.clone(), about)
        })
        .collect();
    json!({
        "Name": book.name, "Title": book.title, "Command": book.command, "Users": book.users,
        "Before": book.before, "After": book.after, "Limits": book.limits,
        "TimeoutSeconds": book.timeout_seconds, "Parameters": parameters, "Sha256": book.sha256,
    })
}

fn text(book: &Runbook) -> String {
    let mut lines = vec![book.name.clone(), format!("  {}", book.title)];
    for (name, it) in &book.parameters {
        let default = it.default.as_ref();
        let default = default.map_or_else(String::new, |it| format!(" (default {it})"));
        lines.push(format!(
            "  -p {name}={}{default}: {}",
            it.values.describe(),
            it.help
        ));
    }
    lines.extend(book.before.iter().map(|it| format!("  before │ {it}")));
    lines.extend(book.command.lines().map(|it| format!("  runs   │ {it}")));
    lines.extend(book.after.iter().map(|it| format!("  after  │ {it}")));
    if !book.users.is_empty() {
        lines.push(format!("  as     │ {}", book.users.join(", ")));
    }
    if let Some(seconds) = book.timeout_seconds {
        lines.push(format!("  within │ {seconds} s"));
    }
    lines.push(format!("  SHA-256 {}", book.sha256));
    let lines: Vec<String> = lines.iter().map(|it| clean_line(it)).collect();
    lines.join("\n")
}
