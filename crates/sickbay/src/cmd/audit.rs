//! `sickbay audit`: who asked for what, and whether the log of it is whole.
//!
//! Verifying does not ask the control plane whether its log is right: it fetches the entries, or reads a file of them,
//! and computes each digest itself.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use client::{AuditFilter, Client};
use protocol::api::audit::AuditEntry;
use protocol::audit::AuditRecord;
use serde_json::{Value, json};
use server::{AUDIT_DIGEST_BYTES, NewAudit, audit_digest};

use crate::exit::Exit;
use crate::settings::Settings;
use crate::ui::{Column, Ui, cell, count, time};

/// Commands of `sickbay audit`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List entries, newest first; `-o jsonl` is an export that `verify` reads, `-o csv` one for a spreadsheet
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those of this operation, such as GenerateOnceTask or SignIn
        #[arg(long, value_name = "OPERATION")]
        action: Option<String>,
        /// Only those of the last hours
        #[arg(long, value_name = "N")]
        hours: Option<i64>,
        /// Show at most so many; a terminal gets 100 without it
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Compute the chain of digests anew: exit code 0 if every entry follows from the one before, 1 with one line per entry that does not
    ///
    /// It ends with the number and digest of the newest entry. Keep that elsewhere and give it as --head later: then it is also seen when
    /// the newest entries were taken away, or the whole log was written anew.
    Verify {
        /// A file that `audit list -o jsonl` wrote; -: stdin. Without it, the control plane is asked for its entries
        file: Option<PathBuf>,
        /// An entry that must be there, as an earlier verification named it
        #[arg(long, value_name = "NUMBER:DIGEST", value_parser = head)]
        head: Option<(i64, String)>,
    },
}

const COLUMNS: &[Column] = &[
    Column {
        title: "NO",
        cell: |row| cell(row, "No"),
    },
    Column {
        title: "TIME",
        cell: |row| time(row, "Time"),
    },
    Column {
        title: "USER",
        cell: |row| cell(row, "User"),
    },
    Column {
        title: "ACTION",
        cell: |row| cell(row, "Action"),
    },
    Column {
        title: "OUTCOME",
        cell: |row| record(row).outcome,
    },
    Column {
        title: "HOSTS",
        cell: |row| {
            record(row)
                .hosts
                .map(|it| it.to_string())
                .unwrap_or_default()
        },
    },
    Column {
        title: "TIMES",
        cell: |row| record(row).count.to_string(),
    },
    Column {
        title: "FROM",
        cell: |row| record(row).source,
    },
    Column {
        title: "KEY",
        cell: |row| record(row).access_key_id,
    },
    Column {
        title: "ABOUT",
        cell: |row| about(&record(row)),
    },
];

fn record(row: &Value) -> AuditRecord {
    let text = row
        .get("Record")
        .and_then(Value::as_str)
        .unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn about(record: &AuditRecord) -> String {
    let all: BTreeMap<&str, &str> = record
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([("TaskId", record.task_id.as_str())])
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let pairs: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

pub(crate) async fn run(command: Command, settings: &Settings, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::List {
            user,
            action,
            hours,
            limit,
        } => {
            let filter = AuditFilter {
                user,
                action,
                since: hours.map(|it| super::hours_from_now(-it)),
            };
            list(&settings.client()?, &filter, ui.limit(limit), ui).await?;
            Ok(Exit::Success)
        }
        Command::Verify {
            file: Some(file),
            head,
        } => {
            let mut chain = Chain::new(head);
            for line in reader(&file)?.lines() {
                let line = line.with_context(|| format!("reading `{}`", file.display()))?;
                if !line.trim().is_empty() {
                    chain.take(serde_json::from_str(&line).with_context(|| {
                        format!("`{}` holds a line that is no entry: export it with `sickbay audit list -o jsonl`", file.display())
                    })?)?;
                }
            }
            told(chain, ui)
        }
        Command::Verify { file: None, head } => {
            let (client, mut chain) = (settings.client()?, Chain::new(head));
            let mut next = None;
            loop {
                let page = client.audit_entries(&AuditFilter::default(), next).await?;
                page.entries.into_iter().try_for_each(|it| chain.take(it))?;
                next = page.next_token;
                if next.is_none() {
                    return told(chain, ui);
                }
            }
        }
    }
}

async fn list(client: &Client, filter: &AuditFilter, limit: usize, ui: &Ui) -> anyhow::Result<()> {
    let mut list = ui.list(COLUMNS, "No");
    let (mut left, mut next) = (limit, None);
    while left > 0 {
        let page = client.audit_entries(filter, next).await?;
        for entry in page.entries.into_iter().take(left) {
            left -= 1;
            list.push(json!(entry))?;
        }
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(list.finish()?)
}

fn reader(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened = std::fs::File::open(file);
    let opened = opened.with_context(|| format!("opening `{}`", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn head(text: &str) -> Result<(i64, String), String> {
    let parts = text.split_once(':');
    let parts = parts.and_then(|(no, digest)| Some((no.parse().ok()?, digest.to_lowercase())));
    parts
        .filter(|(_, digest)| digest.len() == 2 * AUDIT_DIGEST_BYTES)
        .ok_or_else(|| "a head is NUMBER:DIGEST, as `audit verify` names it".to_owned())
}

/// The entries so far, each compared with its neighbour. They come newest first or oldest first.
struct Chain {
    wanted: Option<(i64, String)>,
    last: Option<AuditEntry>,
    newest: Option<(i64, String)>,
    entries: u64,
    oldest: i64,
    lines: Vec<String>,
}

impl Chain {
    const fn new(wanted: Option<(i64, String)>) -> Self {
        Self {
            wanted,
            last: None,
            newest: None,
            entries: 0,
            oldest: i64::MAX,
            lines: Vec::new(),
        }
    }

    fn take(&mut self, entry: AuditEntry) -> anyhow::Result<()> {
        self.entries += 1;
        self.oldest = self.oldest.min(entry.no);
        if self.newest.as_ref().is_none_or(|(no, _)| *no < entry.no) {
            self.newest = Some((entry.no, entry.digest.clone()));
        }
        if let Some((_, digest)) = self.wanted.take_if(|(no, _)| *no == entry.no)
            && digest != entry.digest
        {
            self.lines.push(format!("entry {}: its digest is not the one that was to be there: the log was written anew", entry.no));
        }
        if entry.no == 1 && !follows(&entry, &"0".repeat(2 * AUDIT_DIGEST_BYTES))? {
            self.lines.push("entry 1 was changed".to_owned());
        }
        if let Some(last) = self.last.take() {
            let (older, newer) = if last.no < entry.no {
                (&last, &entry)
            } else {
                (&entry, &last)
            };
            if newer.no != older.no.saturating_add(1) {
                self.lines.push(format!(
                    "entries between {} and {} are missing",
                    older.no, newer.no
                ));
            } else if !follows(newer, &older.digest)? {
                self.lines.push(format!(
                    "entry {} does not follow from entry {}: one of them was changed",
                    newer.no, older.no
                ));
            }
        }
        self.last = Some(entry);
        Ok(())
    }
}

/// Whether an entry's digest is the one of what it says after the entry with that digest.
fn follows(entry: &AuditEntry, before: &str) -> anyhow::Result<bool> {
    let digest = |hex: &str| -> anyhow::Result<[u8; AUDIT_DIGEST_BYTES]> {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok();
        bytes
            .and_then(|it| it.try_into().ok())
            .ok_or_else(|| anyhow!("`{hex}` is no digest of an entry"))
    };
    let said = NewAudit {
        at: model::UnixMillis(entry.time),
        user: entry.user.clone(),
        action: entry.action.clone(),
        text: entry.record.clone(),
    };
    Ok(audit_digest(&digest(before)?, entry.no, &said) == digest(&entry.digest)?)
}

fn told(mut chain: Chain, ui: &Ui) -> anyhow::Result<Exit> {
    let Some((newest, digest)) = chain.newest.take() else {
        bail!("there are no entries");
    };
    if chain.oldest > 1 {
        let text = format!(
            "entries before {} are not there: what was before them is not verified",
            chain.oldest
        );
        ui.say(&text);
    }
    if let Some((no, _)) = &chain.wanted {
        chain.lines.push(format!(
            "entry {no}, which was to be there, is not: entries were taken away"
        ));
    }
    if chain.lines.is_empty() {
        ui.say(&format!(
            "{}, each follows from the one before",
            count(chain.entries, "entry")
        ));
        ui.line(&format!("{newest}:{digest}"))?;
        return Ok(Exit::Success);
    }
    for line in &chain.lines {
        ui.line(line)?;
    }
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of entries, oldest first.
    fn entries(count: i64) -> Vec<AuditEntry> {
        let mut before = [0; AUDIT_DIGEST_BYTES];
        let entry = |no: i64| {
            let said = NewAudit {
                at: model::UnixMillis(no * 1_000),
                user: "ann".to_owned(),
                action: "CancelOnceTask".to_owned(),
                text: format!(r#"{{"n":{no}}}"#),
            };
            before = audit_digest(&before, no, &said);
            AuditEntry {
                no,
                time: said.at.0,
                user: said.user,
                action: said.action,
                record: said.text,
                digest: data_encoding::HEXLOWER.encode(&before),
            }
        };
        (1..=count).map(entry).collect()
    }

    fn lines(
        entries: impl IntoIterator<Item = AuditEntry>,
        wanted: Option<(i64, String)>,
    ) -> Vec<String> {
        let mut chain = Chain::new(wanted);
        entries.into_iter().for_each(|it| chain.take(it).unwrap());
        chain.lines
    }

    #[test]
    fn a_whole_log_is_found_whole_in_either_order() {
        assert_eq!(lines(entries(5), None), Vec::<String>::new());
        assert_eq!(
            lines(entries(5).into_iter().rev(), None),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_byte_counts() {
        let changes: [fn(&mut AuditEntry); 5] = [
            |it| it.record = it.record.replace('n', "m"),
            |it| it.user = "bob".to_owned(),
            |it| it.action.push('s'),
            |it| it.time += 1,
            |it| it.digest = it.digest.chars().rev().collect(),
        ];
        for place in 0..4 {
            for (change, number) in changes.iter().zip(0..) {
                let mut all = entries(4);
                change(&mut all[place]);
                assert!(
                    !lines(all, None).is_empty(),
                    "entry {place}, change {number}"
                );
            }
            let mut all = entries(4);
            all.remove(place);
            let gone = lines(all, None);
            // The first and the last can only be missed by whoever knows that they were there.
            assert_eq!(gone.is_empty(), place == 0 || place == 3, "{gone:?}");
        }
    }

    #[test]
    fn a_log_that_was_written_anew_is_seen_by_its_head() {
        let all = entries(3);
        let wanted = |entry: &AuditEntry| Some((entry.no, entry.digest.clone()));
        assert_eq!(lines(all.clone(), wanted(&all[1])), Vec::<String>::new());
        let mut other = entries(3);
        other[1].digest = "00".repeat(AUDIT_DIGEST_BYTES);
        assert!(!lines(all, wanted(&other[1])).is_empty());
        assert!(head("3:ab").is_err() && head("x").is_err());
    }
}
