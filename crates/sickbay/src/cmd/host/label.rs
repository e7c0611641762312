//! `sickbay host label`.

use client::{Client, HostChoice};
use model::{LabelChange, LabelKey, LabelValue};
use serde_json::json;

use crate::exit::Usage;
use crate::ui::{Ui, count};

pub(super) async fn run(
    words: Vec<String>,
    selector: Option<String>,
    replaces: bool,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let (uuids, change) = read(words, replaces).map_err(Usage)?;
    let hosts = match &selector {
        None if uuids.is_empty() => {
            let help = "on which hosts? Give their uuids, or --selector EXPRESSION";
            return Err(Usage(help.to_owned()).into());
        }
        Some(_) if !uuids.is_empty() => {
            let help = format!(
                "give uuids or --selector, not both: `{}` is no label",
                uuids.join("`, `")
            );
            return Err(Usage(help).into());
        }
        None => HostChoice::Uuids(&uuids),
        Some(selector) => HostChoice::Selector(selector),
    };
    let changed = client.set_host_labels(hosts, &change).await?;
    ui.object(&json!(changed), "ChangedCount", || {
        let hosts = count(changed.total_count, "host");
        format!("{hosts}, {} of them changed", changed.changed_count)
    })?;
    Ok(())
}

/// The words that are uuids, and what the others want.
fn read(words: Vec<String>, replaces: bool) -> Result<(Vec<String>, LabelChange), String> {
    let mut change = LabelChange {
        replaces,
        ..LabelChange::default()
    };
    let mut uuids = Vec::new();
    for word in words {
        let (key, value) = if word.contains('=') {
            let (key, value) = setting(&word)?;
            (key, Some(value))
        } else if let Some(key) = word.strip_suffix('-') {
            (key.parse().map_err(said)?, None)
        } else {
            uuids.push(word);
            continue;
        };
        if change.entries.insert(key, value).is_some() {
            return Err(format!("{word}: this label is given twice"));
        }
    }
    if change.entries.is_empty() && !replaces {
        return Err("which labels? KEY=VALUE sets one, KEY- removes one".to_owned());
    }
    Ok((uuids, change))
}

/// The label of `KEY=VALUE`.
pub(in crate::cmd) fn setting(text: &str) -> Result<(LabelKey, LabelValue), String> {
    let (key, value) = crate::cmd::key_value(text)?;
    Ok((key.parse().map_err(said)?, value.parse().map_err(said)?))
}

fn said(error: model::label::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<(Vec<String>, LabelChange), String> {
        read(text.split(' ').map(str::to_owned).collect(), false)
    }

    #[test]
    fn hosts_and_labels_are_told_apart() {
        let (uuids, change) = words("inet-1 env=prod inet-2 tier- a-b=c=d").unwrap();
        assert_eq!(uuids, ["inet-1", "inet-2"]);
        let entries: Vec<_> = change.entries.iter().collect();
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_ref().map(|it| it.as_str())))
            .collect();
        assert_eq!(
            entries,
            [("a-b", Some("c=d")), ("env", Some("prod")), ("tier", None)]
        );
    }

    #[test]
    fn what_is_no_label_is_refused_before_anything_is_asked() {
        for (text, why) in [
            ("inet-1", "which labels?"),
            ("inet-1 env=", "`` is no label value"),
            ("inet-1 =prod", "is not KEY=VALUE"),
            ("inet-1 e!-", "`e!` is no label key"),
            ("inet-1 env=a ENV-", "given twice"),
        ] {
            let said = words(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        let all = read(vec!["inet-1".into()], true).unwrap();
        assert!(all.1.replaces, "no label is left: that was asked for");
    }
}
