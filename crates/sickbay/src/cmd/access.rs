//! `sickbay access`: users, their keys and policies, and temporary tokens.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use client::Client;
use protocol::api::access::KeyStatus;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::ui::{self, Column, Ui, cell, time};

/// Commands of `sickbay access`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Users
    #[command(subcommand)]
    User(UserCommand),
    /// Access keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Policies of users
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Temporary keys and bearer tokens
    #[command(subcommand)]
    Token(TokenCommand),
}

/// Commands of `sickbay access user`.
#[derive(clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Create a user, who may do nothing yet
    Create {
        /// Name of the user
        name: String,
    },
    /// List users with their keys and policies
    List,
    /// Delete a user with its keys and policies
    Delete {
        /// Name of the user
        name: String,
    },
}

/// Commands of `sickbay access key`.
#[derive(clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key; its secret is shown this once
    Create {
        /// Name of the user
        user: String,
    },
    /// Switch a key on
    Enable {
        /// Id of the key
        id: String,
    },
    /// Switch a key off
    Disable {
        /// Id of the key
        id: String,
    },
    /// Delete a key
    Delete {
        /// Id of the key
        id: String,
    },
}

/// Commands of `sickbay access policy`.
#[derive(clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Create or replace a policy
    Put {
        /// Name of the user
        user: String,
        /// Name of the policy
        policy: String,
        #[command(flatten)]
        document: Document,
    },
    /// Delete a policy
    Delete {
        /// Name of the user
        user: String,
        /// Name of the policy
        policy: String,
    },
}

/// Commands of `sickbay access token`.
#[derive(clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a temporary key for yourself; it is shown this once
    Create {
        /// Seconds until it expires
        #[arg(long, value_name = "N")]
        seconds: Option<i64>,
        /// File with a policy that narrows what it may do; -: stdin
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// A bearer token, which needs no signature
        #[arg(long)]
        bearer: bool,
    },
}

/// Where a policy comes from.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Document {
    /// The policy itself, JSON in the RAM policy language
    #[arg(long, value_name = "JSON")]
    document: Option<String>,
    /// File with the policy; -: stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

const USER_COLUMNS: &[Column] = &[
    Column {
        title: "USER",
        cell: |row| cell(row, "UserName"),
    },
    Column {
        title: "CREATED",
        cell: |row| time(row, "CreateTime"),
    },
    Column {
        title: "KEYS",
        cell: |row| {
            names(row, "AccessKeys", |key| {
                format!("{} ({})", cell(key, "AccessKeyId"), cell(key, "Status"))
            })
        },
    },
    Column {
        title: "POLICIES",
        cell: |row| names(row, "Policies", |it| cell(it, "PolicyName")),
    },
];

fn names(row: &Value, list: &str, name: impl Fn(&Value) -> String) -> String {
    let items = row.get(list).and_then(Value::as_array);
    let names: Vec<String> = items.into_iter().flatten().map(name).collect();
    names.join(", ")
}

pub(crate) async fn run(command: Command, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::User(command) => user(command, client, ui).await?,
        Command::Key(command) => key(command, client, ui).await?,
        Command::Policy(command) => policy(command, client, ui).await?,
        Command::Token(TokenCommand::Create {
            seconds,
            policy,
            bearer,
        }) => {
            let policy = policy.as_deref().map(read_document).transpose()?;
            let token = json!(
                client
                    .create_token(seconds, policy.as_deref(), bearer)
                    .await?
            );
            let name = if bearer { "BearerToken" } else { "AccessKeyId" };
            ui.object(&token, name, || ui::pairs(&token))?;
        }
    }
    Ok(Exit::Success)
}

async fn user(command: UserCommand, client: &Client, ui: &Ui) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { name } => {
            client.create_user(&name).await?;
            ui.say(&format!("created user {name}"));
        }
        UserCommand::List => {
            let mut list = ui.list(USER_COLUMNS, "UserName");
            for user in client.users().await?.users {
                list.push(json!(user))?;
            }
            list.finish()?;
        }
        UserCommand::Delete { name } => {
            client.delete_user(&name).await?;
            ui.say(&format!("deleted user {name}"));
        }
    }
    Ok(())
}

async fn key(command: KeyCommand, client: &Client, ui: &Ui) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create { user } => {
            let key = json!(client.create_key(&user).await?);
            ui.object(&key, "AccessKeyId", || ui::pairs(&key))?;
            ui.say("keep the secret now: it is not shown again");
        }
        KeyCommand::Enable { id } => {
            client.update_key(&id, KeyStatus::Active).await?;
            ui.say(&format!("enabled access key {id}"));
        }
        KeyCommand::Disable { id } => {
            client.update_key(&id, KeyStatus::Inactive).await?;
            ui.say(&format!("disabled access key {id}"));
        }
        KeyCommand::Delete { id } => {
            client.delete_key(&id).await?;
            ui.say(&format!("deleted access key {id}"));
        }
    }
    Ok(())
}

async fn policy(command: PolicyCommand, client: &Client, ui: &Ui) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Put {
            user,
            policy,
            document,
        } => {
            let document = match (document.document, document.file) {
                (Some(text), _) => text,
                (None, Some(file)) => read_document(&file)?,
                (None, None) => String::new(),
            };
            client.put_policy(&user, &policy, &document).await?;
            ui.say(&format!("user {user} now has policy {policy}"));
        }
        PolicyCommand::Delete { user, policy } => {
            client.delete_policy(&user, &policy).await?;
            ui.say(&format!("deleted policy {policy} of user {user}"));
        }
    }
    Ok(())
}

fn read_document(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("reading the policy from stdin")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("reading policy `{}`", file.display()))
}
