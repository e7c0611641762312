//! `sickbay-agent check`: one check here and now, reported to nobody or, with the argument of a manual
//! command, into its leaf.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use model::ProblemType;
use protocol::answer::Answer;
use protocol::manual::ManualArgument;
use protocol::work::CheckWork;
use tokio::time::timeout;

use super::terminal::{is_coloured, say, write};
use super::{FAILED, Failure, UNREACHABLE, USAGE, told_to_stop};
use crate::check::profile::{OWN, PROFILES_DIR};
use crate::check::{self, Local};
use crate::checker::{self, Checked, Show};
use crate::config::{DATA_DIR, DataDir};
use crate::identity::Identity;

/// Longest manual argument on standard input, in bytes.
const ARGUMENT_BYTES_MAX: u64 = 64 * 1024;
/// Time for the reading of the identity: its disk may hang.
const IDENTITY_TIME_MAX: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct CheckArgs {
    /// The argument of a manual command: what is found is reported to the server. With - it is read
    /// from standard input, where other users of this host do not see it.
    #[arg(short = 'b', value_name = "BASE64", conflicts_with_all = ["problem", "mode", "subject"])]
    argument: Option<String>,
    /// What is wrong, such as offline or high_cpu.
    #[arg(long, value_name = "TYPE", default_value = "other", value_parser = problem)]
    problem: String,
    /// 1 looks for some seconds, 2 looks deeper for up to a minute.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    mode: u8,
    /// The agent to examine: a name of `sickbay-agent profile list`, or auto for all that this host
    /// uses.
    #[arg(long, value_name = "NAME", default_value = OWN)]
    subject: String,
    /// Where the agent keeps its files.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// Where this host's own profiles lie.
    #[arg(long, value_name = "DIR", default_value = PROFILES_DIR)]
    profiles: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn problem(text: &str) -> Result<String, String> {
    if ProblemType::find(text).is_some() {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = ProblemType::ALL.iter().map(|it| it.name).collect();
    Err(format!("problem types are {}", names.join(", ")))
}

pub(super) async fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let json = args.json;
    let show: Show = Arc::new(move |answer: &Answer| show(answer, json));
    let checking = async {
        match &args.argument {
            Some(text) => {
                let argument = manual_argument(text).await?;
                let local = Local::new(&args.data, &args.profiles);
                Ok(checker::by_argument(&argument, &local, &show).await?)
            }
            None => Ok(check_locally(args, &show).await?),
        }
    };
    tokio::select! {
        checked = checking => checked.map(|it| conclude(&it)),
        // What was begun is cleaned up where it is dropped.
        () = told_to_stop()? => Err(Failure { code: FAILED, line: "interrupted".to_owned() }),
    }
}

/// The argument itself, or with `-` what standard input says.
async fn manual_argument(text: &str) -> Result<ManualArgument, Failure> {
    let wrong = |line| Failure { code: USAGE, line };
    let read;
    let text = if text == "-" {
        // Aside, so that an interruption ends the program while nobody types.
        let reading = tokio::task::spawn_blocking(|| read_argument(io::stdin()));
        let said = reading.await.unwrap_or_else(|error| Err(error.into()));
        read = said.map_err(|error| wrong(format!("standard input cannot be read: {error}")))?;
        &read
    } else {
        text
    };
    ManualArgument::decode(text).map_err(|error| wrong(error.to_string()))
}

/// # Errors
/// It cannot be read, or is longer than [`ARGUMENT_BYTES_MAX`].
fn read_argument(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(ARGUMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|it| it <= ARGUMENT_BYTES_MAX) {
        Ok(text.trim().to_owned())
    } else {
        let line = format!("it holds more than {ARGUMENT_BYTES_MAX} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, line))
    }
}

async fn check_locally(args: &CheckArgs, show: &Show) -> Result<Checked, checker::Error> {
    let work = CheckWork {
        problem_type: args.problem.clone(),
        mode: args.mode,
        subject: args.subject.clone(),
    };
    checker::locally(&work, &installed(args).await, show).await
}

/// The agent of this host; where it is not enrolled, or its disk does not answer, without a server.
async fn installed(args: &CheckArgs) -> Local {
    let data = DataDir::new(&args.data);
    let reading = tokio::task::spawn_blocking(move || Identity::load(&data).ok());
    let read = timeout(IDENTITY_TIME_MAX, reading).await;
    let identity = read.ok().and_then(Result::ok).flatten();
    let (server, pin) = identity.map_or((None, None), |it| (Some(it.server), it.pin));
    Local {
        server,
        pin,
        ..Local::new(&args.data, &args.profiles)
    }
}

fn show(answer: &Answer, json: bool) {
    match &answer.check {
        Some(report) if json => write(&serde_json::to_string_pretty(report).unwrap_or_default()),
        None if json => write(&serde_json::to_string_pretty(answer).unwrap_or_default()),
        Some(report) => write(check::render(report, is_coloured(&io::stdout())).trim_end()),
        None if answer.message.is_empty() => say("done"),
        None => say(&answer.message),
    }
}

fn conclude(checked: &Checked) -> u8 {
    if let Some(why) = &checked.unreported {
        say(&format!("sickbay-agent: this could not be reported: {why}"));
    }
    if checked.unreported.is_some() {
        say(
            "sickbay-agent: hand what is printed above to whoever asked for this; or run the same command \
             again when the server can be reached: it reports then, unless its task has ended",
        );
        if let Some(bundle) = &checked.bundle {
            let path = bundle.display();
            say(&format!(
                "sickbay-agent: the log bundle, without secrets, lies in {path}: hand it over too"
            ));
        }
    }
    match (checked.is_healthy, &checked.unreported) {
        (false, _) => FAILED,
        (true, Some(_)) => UNREACHABLE,
        (true, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_on_standard_input_is_trimmed_and_bounded() {
        assert_eq!(read_argument(&b" e30=\n"[..]).unwrap(), "e30=");
        let most = "a".repeat(64 * 1024);
        assert_eq!(read_argument(most.as_bytes()).unwrap(), most);
        let error = read_argument(format!("{most}a").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 65536"));
    }

    #[test]
    fn what_could_not_be_reported_and_what_is_wrong_decide_the_exit_code() {
        for (is_healthy, unreported, code) in [
            (true, None, 0),
            (false, None, FAILED),
            (false, Some("offline"), FAILED),
            (true, Some("offline"), UNREACHABLE),
        ] {
            let checked = Checked {
                is_healthy,
                unreported: unreported.map(str::to_owned),
                bundle: None,
            };
            assert_eq!(conclude(&checked), code);
        }
    }
}
