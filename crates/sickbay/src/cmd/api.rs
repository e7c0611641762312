//! `sickbay api`: any operation, raw.

use client::Client;

use crate::exit::Exit;
use crate::ui::Ui;

/// Arguments of `sickbay api`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the operation, such as DescribeOnceTask
    operation: String,
    /// Its parameters
    #[arg(value_name = "KEY=VALUE", value_parser = super::key_value)]
    params: Vec<(String, String)>,
}

pub(crate) async fn run(args: Args, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    let params: Vec<(&str, String)> = args
        .params
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let answer = client.call_value(&args.operation, &params).await?;
    ui.value(&answer)?;
    Ok(Exit::Success)
}
