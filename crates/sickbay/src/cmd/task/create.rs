//! `sickbay task create`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use client::{Client, HostChoice, NewTask};
use model::{TaskId, TaskType};
use protocol::api::param::{Targets, TaskParam};
use protocol::api::task::GenerateOnceTask;
use protocol::work::Work;
use serde_json::{Map, Value, json};

use super::fix;
use super::watch::{self, Manner};
use crate::exit::{Exit, Usage};
use crate::ui::{Ui, clean_line, count};

mod ops;

use ops::Ops;

/// Arguments of `sickbay task create`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// CLIENT_PROBLEM_CHECK, CLIENT_DEV_OPS, ASSET_SECURITY_CHECK or ASSETS_COLLECTION
    #[arg(value_name = "TYPE", value_parser = super::task_type)]
    task_type: TaskType,
    /// A host; give it again for more
    #[arg(long = "host", value_name = "UUID")]
    hosts: Vec<String>,
    /// The hosts that a file names, one uuid a line; `-`: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "selector")]
    hosts_file: Option<PathBuf>,
    /// All hosts that are enrolled
    #[arg(long, conflicts_with_all = ["hosts", "hosts_file", "selector"])]
    all: bool,
    /// The hosts that match now, such as 'os = debian and not status = offline'; keys: arch, group, ip, kernel, label.KEY,
    /// name, os, status, uuid, version, and of the last inventory account.name, kernel.module, package(NAME), package.name, port,
    /// process.name; signs: = != ~ in (…) not in (…) exists, and < <= > >= for versions and ports
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "hosts")]
    selector: Option<String>,
    /// Run a runbook instead of a command: one of `sickbay runbook list`, or a file of your own; -p gives its parameters
    #[arg(long, value_name = "NAME", conflicts_with = "fix")]
    runbook: Option<String>,
    /// Create nothing: say which hosts are meant now, and what --fix or --runbook would run
    #[arg(long, conflicts_with_all = ["watch", "wait"])]
    dry_run: bool,
    /// Run the command of this fix, or of this cause's first fix that has one, on exactly the hosts where a check found the need;
    /// codes: `sickbay explain`
    #[arg(long, value_name = "CODE", requires = "from_task", value_parser = fix::wanted, conflicts_with_all = ["hosts", "hosts_file", "all", "selector"])]
    fix: Option<fix::Wanted>,
    /// The check, with --fix
    #[arg(long, value_name = "TASK", requires = "fix")]
    from_task: Option<TaskId>,
    /// Do not ask, with --fix; only for fixes that need no person who has looked at the host
    #[arg(long, requires = "fix")]
    yes: bool,
    /// What is to be done, such as command='systemctl is-active sshd' or mode=2; numbers, true, false, [...] and {...} are JSON
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = crate::cmd::key_value)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    ops: Ops,
    /// Seconds that the task may take, waiting for hosts and turns included
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<i64>,
    /// Seconds that each host has, from when its order is sent
    #[arg(long, value_name = "SECONDS")]
    leaf_timeout: Option<i64>,
    /// Most hosts that are at it at the same time
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Where each wave of hosts ends, counted from the first host: a wave begins when the one before it has ended; such as
    /// 1,10%,100%
    #[arg(long, value_name = "ENDS", value_delimiter = ',')]
    waves: Vec<String>,
    /// When so many hosts have failed or timed out, leave out those that have not begun
    #[arg(long, value_name = "N")]
    stop_after_failures: Option<u32>,
    /// Who creates it, in free text
    #[arg(long, value_name = "TEXT", default_value = "sickbay-cli")]
    source: String,
    /// Follow it until it has ended
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Wait until it has ended, then show it
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(mut args: Args, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    if let (Some(wanted), Some(from)) = (args.fix, args.from_task) {
        return mend(args, wanted, from, client, ui).await;
    }
    if let Some(file) = &args.hosts_file {
        args.hosts.extend(hosts_of(file)?);
    }
    let param = param(&args)?;
    let parsed = TaskParam::parse(args.task_type, &param).map_err(|fault| Usage(fault.message))?;
    if args.dry_run {
        if let (Work::Ops(work), Some(_)) = (&parsed.work, &args.runbook) {
            ops::would_run(work, ui);
        }
        return preview(&parsed.hosts, &args, client, ui).await;
    }
    create(&args, param, client, ui).await
}

/// The uuids that a file names; what follows a `#` is a remark.
fn hosts_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.with_context(|| format!("`{}` cannot be read", file.display()))?;
    let lines = text.lines().filter_map(|it| it.split('#').next());
    let hosts: Vec<String> = lines
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect();
    if hosts.is_empty() {
        return Err(Usage(format!("`{}` names no host", file.display())).into());
    }
    Ok(hosts)
}

/// Creates one task, and follows it if asked to.
async fn create(args: &Args, param: String, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    let created = client
        .create_task(&NewTask {
            task_type: args.task_type,
            param,
            source: Some(args.source.clone()),
        })
        .await?;
    let manner = match (args.watch, args.wait) {
        (true, _) => Some(Manner::Watch),
        (false, true) => Some(Manner::Wait),
        (false, false) => None,
    };
    created_task(&created, manner, client, ui).await
}

/// Runs a fix where a check found the need: a task for each command that differs. The first exit that is no success counts.
async fn mend(
    mut args: Args,
    wanted: fix::Wanted,
    from: TaskId,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    if args.task_type != TaskType::ClientDevOps {
        let why = format!(
            "--fix runs commands: create a {}",
            TaskType::ClientDevOps.wire()
        );
        return Err(Usage(why).into());
    }
    let names_work = |key: &str| {
        matches!(
            key,
            "command" | "script" | "args" | "runbook" | "uuid" | "uuids" | "selector"
        )
    };
    if args.params.iter().any(|(key, _)| names_work(key)) {
        let why = "--fix names the command and its hosts by itself";
        return Err(Usage(why.to_owned()).into());
    }
    let remedy = fix::plan(wanted, from, client).await?;
    if !fix::is_agreed(&remedy, wanted, (args.yes, args.dry_run), ui)? {
        return Ok(Exit::Success);
    }
    let mut ended = Exit::Success;
    let params = std::mem::take(&mut args.params);
    args.runbook = Some(wanted.runbook());
    for (parameters, uuids) in remedy.tasks() {
        args.params = params.clone();
        let parameters = parameters.iter();
        args.params
            .extend(parameters.map(|(key, value)| (key.clone(), value.clone())));
        args.hosts = uuids.into_iter().map(str::to_owned).collect();
        let param = param(&args)?;
        TaskParam::parse(args.task_type, &param).map_err(|fault| Usage(fault.message))?;
        let exit = create(&args, param, client, ui).await?;
        if ended == Exit::Success {
            ended = exit;
        }
    }
    Ok(ended)
}

/// Says what was created and, if asked to, follows it.
pub(super) async fn created_task(
    created: &GenerateOnceTask,
    manner: Option<Manner>,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let Some(manner) = manner else {
        let hosts = count(u64::from(created.total_count), "host");
        ui.object(&json!(created), "TaskId", || {
            format!("created task {} on {hosts}", clean_line(&created.task_id))
        })?;
        return Ok(Exit::Success);
    };
    ui.say(&format!("created task {}", created.task_id));
    watch::run(created.task_id.parse()?, manner, client, ui).await
}

async fn preview(targets: &Targets, args: &Args, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    let uuids: Vec<String>;
    let choice = match targets {
        Targets::All => None,
        Targets::Uuids(named) => {
            uuids = named.iter().map(ToString::to_string).collect();
            Some(HostChoice::Uuids(&uuids))
        }
        Targets::Selector(_) => selector(args).map(HostChoice::Selector),
    };
    let preview = client.preview_targets(choice).await?;
    ui.object(&json!(preview), "TotalCount", || {
        let hosts = count(preview.total_count, "host");
        let verb = if preview.total_count == 1 {
            "is"
        } else {
            "are"
        };
        let mut text = format!(
            "{hosts} {verb} meant, {} of them online",
            preview.online_count
        );
        if preview.unknown_count > 0 {
            let others = count(preview.unknown_count, "other");
            text.push_str(&format!(
                "; of {others} there is no inventory that tells (ASSET_SECURITY_CHECK makes one)"
            ));
        }
        for target in &preview.sample {
            text.push_str(&format!(
                "\n  {}  │ {}",
                clean_line(&target.uuid),
                clean_line(&target.name)
            ));
        }
        text
    })?;
    Ok(Exit::Success)
}

/// The selector, as it was written.
fn selector(args: &Args) -> Option<&str> {
    let mut given = args.params.iter().filter(|(key, _)| key == "selector");
    let given = given.next().map(|(_, text)| text.as_str());
    args.selector.as_deref().or(given)
}

/// The `Param` of these arguments.
fn param(args: &Args) -> Result<String, Usage> {
    let mut params = args.params.clone();
    let mut object = match &args.runbook {
        Some(name) => ops::of_runbook(name, &mut params)?,
        None => Map::new(),
    };
    for (key, text) in &params {
        if object.insert(key.clone(), value(key, text)).is_some() {
            return Err(Usage(format!("-p {key} is given twice")));
        }
    }
    for (option, key, value) in args.ops.members()? {
        if object.insert(key.to_owned(), value).is_some() {
            return Err(Usage(format!("give {option} or -p {key}, not both")));
        }
    }
    let names_hosts = ["uuids", "uuid", "selector"]
        .iter()
        .any(|it| object.contains_key(*it));
    let says_hosts = args.all || args.selector.is_some() || !args.hosts.is_empty();
    match (says_hosts, names_hosts) {
        (false, false) => {
            return Err(Usage(
                "on which hosts? Give --host UUID (again for more), --hosts-file FILE, --selector EXPRESSION, or --all for every host"
                    .to_owned(),
            ));
        }
        (true, true) => {
            return Err(Usage(
                "name the hosts with --host, --selector or --all, or with -p uuids or -p selector, not both".to_owned(),
            ));
        }
        (true, false) | (false, true) => {}
    }
    if let Some(selector) = &args.selector {
        object.insert("selector".to_owned(), json!(selector));
    }
    if !args.hosts.is_empty() {
        // Shorter than a list where they are many.
        object.insert("uuids".to_owned(), json!(args.hosts.join(",")));
    }
    for (option, key, given) in [
        ("--timeout", "timeoutSeconds", args.timeout),
        ("--leaf-timeout", "leafTimeoutSeconds", args.leaf_timeout),
    ] {
        if let Some(seconds) = given
            && object.insert(key.to_owned(), json!(seconds)).is_some()
        {
            return Err(Usage(format!(
                "give the time with {option} or with -p {key}, not both"
            )));
        }
    }
    let pacing = pacing(args);
    if !pacing.is_empty()
        && object
            .insert("pacing".to_owned(), Value::from(pacing))
            .is_some()
    {
        return Err(Usage(
            "pace the task with --concurrency, --waves and --stop-after-failures or with -p pacing, not both".to_owned(),
        ));
    }
    Ok(Value::from(object).to_string())
}

/// The `pacing` of these arguments; empty: none.
fn pacing(args: &Args) -> Map<String, Value> {
    let waves = (!args.waves.is_empty()).then(|| json!(args.waves));
    let parts = [
        ("concurrency", args.concurrency.map(Value::from)),
        ("waves", waves),
        (
            "stopAfterFailures",
            args.stop_after_failures.map(Value::from),
        ),
    ];
    let given = parts
        .into_iter()
        .filter_map(|(key, it)| Some((key.to_owned(), it?)));
    given.collect()
}

/// Keys whose value is always text: `command=true` runs the program `true`.
const TEXT_KEYS: [&str; 11] = [
    "command",
    "runbook",
    "runbookText",
    "script",
    "stdin",
    "cwd",
    "runAs",
    "problemType",
    "selector",
    "subject",
    "clientToken",
];

/// JSON if it is a number, a truth value, an array or an object, and the key may have such a value; else the text itself.
fn value(key: &str, text: &str) -> Value {
    match serde_json::from_str(text) {
        _ if TEXT_KEYS.contains(&key) => Value::from(text),
        Ok(it @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => it,
        Ok(Value::Null | Value::String(_)) | Err(_) => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(hosts: &[&str], all: bool, params: &[(&str, &str)]) -> Args {
        Args {
            task_type: TaskType::ClientDevOps,
            hosts: hosts.iter().map(|it| (*it).to_owned()).collect(),
            hosts_file: None,
            all,
            selector: None,
            runbook: None,
            dry_run: false,
            fix: None,
            from_task: None,
            yes: false,
            params: params
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ops: Ops::default(),
            timeout: Some(60),
            leaf_timeout: None,
            concurrency: None,
            waves: Vec::new(),
            stop_after_failures: None,
            source: String::new(),
            watch: false,
            wait: false,
        }
    }

    #[test]
    fn hosts_must_be_chosen_on_purpose() {
        for (refused, word) in [
            (args(&[], false, &[]), "--all"),
            (args(&["h"], false, &[("uuids", "h")]), "not both"),
            (args(&[], true, &[("uuid", "h")]), "not both"),
            (args(&[], true, &[("a", "1"), ("a", "2")]), "twice"),
            (args(&[], true, &[("timeoutSeconds", "9")]), "not both"),
        ] {
            let usage = param(&refused).unwrap_err();
            assert!(usage.0.contains(word), "{usage}");
        }
    }

    #[test]
    fn a_param_is_put_together() {
        let read = |args: &Args| -> Value { serde_json::from_str(&param(args).unwrap()).unwrap() };
        assert_eq!(
            read(&args(&["b", "a"], false, &[("command", "uptime")])),
            json!({"uuids": "b,a", "command": "uptime", "timeoutSeconds": 60})
        );
        assert_eq!(
            read(&args(&[], true, &[("mode", "2")])),
            json!({"mode": 2, "timeoutSeconds": 60})
        );
        let named = read(&args(&[], false, &[("uuids", "a,b")]));
        assert_eq!(named["uuids"], "a,b");
    }

    #[test]
    fn a_runbook_takes_its_parameters_and_leaves_the_others() {
        let with = |params| Args {
            runbook: Some("collect-logs".to_owned()),
            ..args(&[], true, params)
        };
        let text = param(&with(&[("unit", "a.service"), ("clientToken", "t")])).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["parameters"], json!({"unit": "a.service"}));
        assert_eq!(read["clientToken"], "t");
        assert!(TaskParam::parse(TaskType::ClientDevOps, &text).is_ok());
        let twice = param(&with(&[("unit", "a"), ("unit", "b")])).unwrap_err();
        assert!(twice.0.contains("twice"));
        let unknown = Args {
            runbook: Some("no-such".to_owned()),
            ..args(&[], true, &[])
        };
        assert!(param(&unknown).unwrap_err().0.contains("runbook list"));
    }

    #[test]
    fn pacing_is_put_together_from_its_options() {
        let paced = Args {
            concurrency: Some(20),
            waves: vec!["1".to_owned(), "10%".to_owned()],
            stop_after_failures: Some(5),
            leaf_timeout: Some(30),
            ..args(&[], true, &[("command", "id")])
        };
        let text = param(&paced).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"concurrency": 20, "waves": ["1", "10%"], "stopAfterFailures": 5});
        assert_eq!(read["pacing"], expected);
        assert_eq!(read["leafTimeoutSeconds"], 30);
        assert!(TaskParam::parse(TaskType::ClientDevOps, &text).is_ok());
        let both = Args {
            concurrency: Some(20),
            ..args(&[], true, &[("pacing", "{}")])
        };
        assert!(param(&both).unwrap_err().0.contains("not both"));
    }

    #[test]
    fn values_are_json_where_that_cannot_be_mistaken() {
        for (text, expected) in [
            ("5", json!(5)),
            ("true", json!(true)),
            ("[\"-l\"]", json!(["-l"])),
            ("{\"A\":\"1\"}", json!({"A": "1"})),
            ("null", json!("null")),
            ("\"quoted\"", json!("\"quoted\"")),
            ("[ -e /x ]", json!("[ -e /x ]")),
            ("5 apples", json!("5 apples")),
            ("", json!("")),
        ] {
            assert_eq!(value("args", text), expected, "{text}");
        }
        for text in ["true", "7", "[]"] {
            assert_eq!(value("command", text), json!(text));
        }
    }
}
