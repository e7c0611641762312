//! `sickbay task bundle`: the log bundle of one host, into a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use client::Client;
use model::TaskId;
use protocol::api::task::{HostDetail, read_details};
use serde_json::json;

use crate::ui::Ui;

pub(super) async fn fetch(
    id: TaskId,
    file: Option<PathBuf>,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let task = super::existing(client, id).await?;
    let url = the_one_url(&read_details(&task.detail_data)?, id)?;
    let file = file.unwrap_or_else(|| PathBuf::from(format!("sickbay-{id}.tar.gz")));
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .with_context(|| format!("creating `{}`", file.display()))?;
    let bytes = match client.download(&url, &mut out).await {
        Ok(bytes) => bytes,
        Err(error) => {
            // Half a bundle could be taken for a whole one.
            drop(fs::remove_file(&file));
            return Err(error.into());
        }
    };
    out.sync_all()
        .with_context(|| format!("writing `{}`", file.display()))?;
    let value = json!({"File": file, "Bytes": bytes});
    ui.object(&value, "File", || {
        format!("{} ({bytes} bytes)", file.display())
    })?;
    Ok(())
}

/// The address of the bundle, if these hosts made exactly one.
fn the_one_url(details: &[HostDetail], id: TaskId) -> anyhow::Result<String> {
    let mut urls = details.iter().map(|it| &it.url).filter(|it| !it.is_empty());
    match (urls.next(), urls.next()) {
        (Some(url), None) => Ok(url.clone()),
        (None, _) => bail!("{id} has no log bundle"),
        (Some(_), Some(_)) => {
            bail!("{id} has several log bundles: name one host's part, as `task leaves` lists them")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bundle_is_fetched_and_several_are_not_guessed_from() {
        let id: TaskId = "0123456789ab01020304050600000000".parse().unwrap();
        let host = |url: &str| HostDetail {
            url: url.to_owned(),
            ..HostDetail::default()
        };
        let one = the_one_url(&[host(""), host("https://s/b")], id).unwrap();
        assert_eq!(one, "https://s/b");
        let error = the_one_url(&[host("a"), host("b")], id).unwrap_err();
        assert!(error.to_string().contains("several"), "{error}");
        assert!(the_one_url(&[host("")], id).is_err());
    }
}
