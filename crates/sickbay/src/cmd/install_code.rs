//! `sickbay install-code`: the codes with which hosts enrol.

use client::{Client, NewInstallCode};
use model::template::quoted;
use model::{LabelKey, LabelValue, Labels};
use protocol::api::install_code::InstallCode;
use serde_json::json;

use crate::exit::{Exit, Usage};
use crate::ui::{Column, Ui, cell, clean_line, time};

/// Commands of `sickbay install-code`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Create a code and print the command to run on each host
    ///
    /// The command hands the code over in the environment: unlike an argument, other users of the host cannot see it there. A shell
    /// may keep what is typed in its history; bash does not if a blank is before it and HISTCONTROL has ignorespace.
    Create {
        /// Hours until it expires; without it, the server's default
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=8_760))]
        hours: Option<i64>,
        /// Number of the group that hosts join
        #[arg(long, value_name = "ID")]
        group: Option<i64>,
        /// A label that hosts get; give it again for more
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = super::host::setting)]
        labels: Vec<(LabelKey, LabelValue)>,
    },
    /// List the codes
    List,
    /// Revoke a code; hosts that enrolled with it stay
    Delete {
        /// The code
        code: String,
    },
}

const COLUMNS: &[Column] = &[
    Column {
        title: "CODE",
        cell: |row| cell(row, "CaptchaCode"),
    },
    Column {
        title: "EXPIRES",
        cell: |row| time(row, "ExpiredDate"),
    },
    Column {
        title: "GROUP",
        cell: |row| cell(row, "GroupName"),
    },
    Column {
        title: "LABELS",
        cell: |row| cell(row, "Labels"),
    },
];

pub(crate) async fn run(
    command: Command,
    client: &Client,
    pin: Option<&str>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    match command {
        Command::Create {
            hours,
            group,
            labels,
        } => {
            let new = NewInstallCode {
                expires_ms: hours.map(super::hours_from_now),
                group_id: group,
                only_image: false,
                labels: Labels::new(labels).map_err(|error| Usage(error.to_string()))?,
            };
            create(&new, client, pin, ui).await?;
        }
        Command::List => {
            let mut list = ui.list(COLUMNS, "CaptchaCode");
            for code in client.install_codes().await?.install_codes {
                list.push(json!(code))?;
            }
            list.finish()?;
        }
        Command::Delete { code } => {
            client.delete_install_code(&code).await?;
            ui.say(&format!("revoked install code {code}"));
        }
    }
    Ok(Exit::Success)
}

async fn create(
    new: &NewInstallCode,
    client: &Client,
    pin: Option<&str>,
    ui: &Ui,
) -> anyhow::Result<()> {
    let code = client.create_install_code(new).await?.captcha_code;
    // Whoever may create codes need not be allowed to ask the server about itself: then what we were told will do.
    let info = client.server_info().await.unwrap_or_default();
    let url = info
        .public_url
        .unwrap_or_else(|| client.endpoint().to_string());
    let pin = info.fingerprint.or_else(|| pin.map(str::to_owned));
    let command = enrol_command(&url, &code, pin.as_deref());
    let all = client.install_codes().await?.install_codes;
    let made = all.into_iter().find(|it| it.captcha_code == code);
    let mut value = json!(made.unwrap_or_else(|| InstallCode {
        captcha_code: code.clone(),
        ..InstallCode::default()
    }));
    if let Some(members) = value.as_object_mut() {
        members.insert("EnrolCommand".to_owned(), json!(command));
    }
    ui.object(&value, "CaptchaCode", || {
        format!(
            "install code {}, expires {}\nRun on each host, as root:\n\n  {}\n",
            clean_line(&code),
            time(&value, "ExpiredDate"),
            clean_line(&command)
        )
    })?;
    Ok(())
}

/// What to run on a host. The code is no argument: any user of the host can read those of other processes. All parts are of a harmless alphabet, or quoted.
fn enrol_command(url: &str, code: &str, pin: Option<&str>) -> String {
    let mut command = format!(
        "SICKBAY_INSTALL_CODE={} sickbay-agent enrol --server {}",
        quoted(code),
        quoted(url)
    );
    if let Some(pin) = pin {
        command.push_str(" --pin ");
        command.push_str(&quoted(pin));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enrol_command_can_be_pasted() {
        assert_eq!(
            enrol_command("https://s.example:8443", "a1b2", Some("ab12")),
            "SICKBAY_INSTALL_CODE=a1b2 sickbay-agent enrol --server https://s.example:8443 --pin ab12"
        );
        assert_eq!(
            enrol_command("https://s", "a'b;c", None),
            r"SICKBAY_INSTALL_CODE='a'\''b;c' sickbay-agent enrol --server https://s"
        );
    }
}
