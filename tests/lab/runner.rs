//! Runs one case: boots its host, does to it what the case says, lets the check look, and compares.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use model::Cause;
use serde_json::Value;
use tests::{Program, Said, binary, until};
use tokio::process::Command;

use crate::case::{Fault, Healthy, Person, Step};
use crate::host::{Host, Init};
use crate::subject::Subject;
use crate::world::World;
use crate::world::dns::Answer;

/// Longest time to a verdict that is waited for: what a deep check may take.
const VERDICT_MAX: Duration = Duration::from_mins(1);

/// Time that passes between a fault and the person who looks: enough for an agent's next attempt.
const LATER: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// One fault.
    Single(&'static Fault),
    /// Two faults at once.
    Double(&'static Fault, &'static Fault),
    /// None.
    None(&'static Healthy),
}

/// What the check said of a host.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Names of causes, in its order.
    pub(crate) causes: Vec<String>,
    /// What it wrote, where it wrote no report.
    pub(crate) complaint: Option<String>,
    /// From its start to its last byte, in ms.
    pub(crate) ms: u64,
    /// Whether it said of the machine below the hosts, rightly, that its processors are overloaded: that is left out of `causes`.
    pub(crate) is_machine_busy: bool,
}

/// How a case ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    /// `Err`: the fault could not be brought about.
    pub(crate) seen: Result<Seen, String>,
}

/// How well the check did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    /// A true cause is named first.
    First,
    /// It is named, behind others.
    Named,
    /// It is not named.
    Missed,
    /// A host that is well has none.
    Silent,
    /// A host that is well has some.
    FalseAlarm,
    /// The check wrote no report on a host that is well.
    Mute,
    /// The fault could not be brought about.
    NotMade,
}

impl Case {
    /// Its name; that of two faults joins theirs.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Single(fault) => fault.name.to_owned(),
            Self::Double(one, other) => format!("{}+{}", one.name, other.name),
            Self::None(healthy) => healthy.name.to_owned(),
        }
    }

    /// The agent.
    pub(crate) const fn subject(&self) -> &'static Subject {
        match self {
            Self::Single(fault) | Self::Double(fault, _) => fault.subject,
            Self::None(healthy) => healthy.subject,
        }
    }

    /// Who runs the host.
    pub(crate) const fn init(&self) -> Init {
        match self {
            Self::Single(fault) | Self::Double(fault, _) => fault.init,
            Self::None(healthy) => healthy.init,
        }
    }

    /// What must be named, for each fault.
    pub(crate) fn expected(&self) -> Vec<&'static [&'static str]> {
        match self {
            Self::Single(fault) => vec![fault.expected],
            Self::Double(one, other) => vec![one.expected, other.expected],
            Self::None(_) => Vec::new(),
        }
    }
}

impl Outcome {
    /// Compares.
    pub(crate) fn grade(&self) -> Grade {
        let Ok(seen) = &self.seen else {
            return Grade::NotMade;
        };
        let expected = self.case.expected();
        if expected.is_empty() {
            return match &seen.complaint {
                Some(_) => Grade::Mute,
                None if seen.causes.is_empty() => Grade::Silent,
                None => Grade::FalseAlarm,
            };
        }
        let names = |cause: &String, all: &[&str]| all.contains(&cause.as_str());
        let all_named = expected
            .iter()
            .all(|all| seen.causes.iter().any(|it| names(it, all)));
        let first = seen.causes.first();
        let is_first = first.is_some_and(|it| expected.iter().any(|all| names(it, all)));
        match (all_named, is_first) {
            (true, true) => Grade::First,
            (true, false) => Grade::Named,
            (false, _) => Grade::Missed,
        }
    }
}

/// Runs a case on the host of that number; `script` may look about there before the check does.
pub(crate) async fn run_case(
    world: &World,
    case: Case,
    number: u8,
    script: Option<&str>,
) -> Outcome {
    let seen = match Host::boot(world, number, case.init()).await {
        Ok(mut host) => {
            let seen = look(world, case, &mut host, script).await;
            host.down().await;
            seen
        }
        Err(error) => Err(error),
    };
    world.forget(number).await.ok();
    Outcome {
        case,
        seen: seen.map_err(|error| format!("{error:#}")),
    }
}

async fn look(
    world: &World,
    case: Case,
    host: &mut Host,
    script: Option<&str>,
) -> anyhow::Result<Seen> {
    let subject = case.subject();
    host.variables = subject
        .variables
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    host.variables
        .insert("CODE", world.server.install_code().await);
    host.sure(&subject.script())
        .await
        .context("bringing the agent up")?;
    let mut clones = Vec::new();
    let (faults, person) = match case {
        Case::Single(fault) => (vec![fault], Person::Root),
        Case::Double(one, other) => (vec![one, other], Person::Root),
        Case::None(healthy) => {
            host.sure(healthy.work)
                .await
                .context("putting it to work")?;
            (Vec::new(), healthy.person)
        }
    };
    for fault in faults {
        for step in fault.inject {
            let done = inject(world, host, step, &mut clones).await;
            done.with_context(|| format!("bringing {} about", fault.name))?;
        }
    }
    tokio::time::sleep(LATER).await;
    if let Some(script) = script {
        let said = host.shell(script).await;
        crate::say(&format!("{}{}", said.out, said.err));
    }
    let is_about_load = case
        .expected()
        .iter()
        .flat_map(|it| it.iter())
        .any(|it| *it == Cause::CpuOverloaded.name());
    check(host, subject, person, is_about_load).await
}

async fn inject(
    world: &World,
    host: &Host,
    step: &Step,
    clones: &mut Vec<Program>,
) -> anyhow::Result<()> {
    match step {
        Step::Host(script) => host.sure(script).await.map(drop),
        Step::Filter(rule) => world.filter(host.number, rule).await,
        Step::Names(answer) => {
            world.answer(host.number, Some(*answer));
            Ok(())
        }
        Step::Server(last) => {
            world.answer(
                host.number,
                Some(Answer::Moved(crate::world::address(*last))),
            );
            Ok(())
        }
        Step::Revoke => {
            let identity: Value = serde_json::from_slice(&fs::read(
                host.path("/var/lib/sickbay-agent/identity.json"),
            )?)?;
            let uuid = identity["hostUuid"].as_str().context("a uuid")?.to_owned();
            let said = world.server.sickbay(&["host", "remove", &uuid]).await;
            if said.code == 0 {
                Ok(())
            } else {
                bail!("{}", said.err)
            }
        }
        Step::Clone => {
            let data = world.folder.join(format!("clone{}", host.number));
            let copied = Command::new("cp")
                .arg("-a")
                .arg(host.path("/var/lib/sickbay-agent"))
                .arg(&data)
                .status()
                .await?;
            anyhow::ensure!(copied.success(), "copying the identity");
            let hosts = world.folder.join("hosts");
            fs::write(&hosts, "10.77.0.1 sickbay.lab\n")?;
            let mut command = Command::new("unshare");
            command
                .args([
                    "--mount",
                    "sh",
                    "-c",
                    "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
                ])
                .arg(&hosts)
                .arg(binary("sickbay-agent"))
                .args(["run", "--data"])
                .arg(&data)
                .env(
                    "SSL_CERT_FILE",
                    world.image.join("etc/ssl/certs/ca-certificates.crt"),
                );
            let log = data.with_extension("log");
            clones.push(Program::start::<&str>(&mut command, &log, false, []));
            until("the clone is online", async || {
                let log = fs::read_to_string(&log).ok()?;
                log.contains("online").then_some(())
            })
            .await;
            Ok(())
        }
    }
}

/// Lets the check look, as a person on the host would.
async fn check(
    host: &Host,
    subject: &Subject,
    person: Person,
    is_about_load: bool,
) -> anyhow::Result<Seen> {
    let mut args = vec![];
    if person == Person::User {
        args.extend([
            "setpriv",
            "--reuid=ada",
            "--regid=ada",
            "--init-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
    }
    args.extend([
        "/usr/lib/sickbay-lab/check",
        "check",
        "--json",
        "--subject",
        subject.name,
    ]);
    let started = tokio::time::Instant::now();
    let running = host
        .command(&args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(ended) = tokio::time::timeout(VERDICT_MAX, running).await else {
        let complaint = format!("no verdict within {} s", VERDICT_MAX.as_secs());
        let ms = u64::try_from(VERDICT_MAX.as_millis()).unwrap_or(u64::MAX);
        return Ok(Seen {
            causes: Vec::new(),
            complaint: Some(complaint),
            ms,
            is_machine_busy: false,
        });
    };
    let said = Said::from(ended?);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    fs::write(
        format!(
            "{}.json",
            std::env::temp_dir()
                .join(format!("host{}", host.number))
                .display()
        ),
        &said.out,
    )
    .ok();
    let report: Option<BTreeMap<String, Value>> = serde_json::from_str(&said.out).ok();
    let findings = report
        .as_ref()
        .and_then(|it| it.get("findings")?.as_array());
    let Some(findings) = findings else {
        return Ok(Seen {
            causes: Vec::new(),
            complaint: Some(said.err.trim().to_owned()),
            ms,
            is_machine_busy: false,
        });
    };
    let named = |it: &Value| {
        let code = it["cause"].as_u64().and_then(|it| u16::try_from(it).ok())?;
        Some(Cause::find(code).map_or_else(|| code.to_string(), |it| it.name().to_owned()))
    };
    let mut causes: Vec<String> = findings.iter().filter_map(named).collect();
    // All hosts share the machine's processors, and it may have other work.
    let is_overloaded = |it: &String| it == Cause::CpuOverloaded.name();
    let is_machine_busy =
        !is_about_load && is_machine_overloaded() && causes.iter().any(is_overloaded);
    if is_machine_busy {
        causes.retain(|it| !is_overloaded(it));
    }
    Ok(Seen {
        causes,
        complaint: None,
        ms,
        is_machine_busy,
    })
}

/// Whether more than four times as many tasks want to run as there are processors.
fn is_machine_overloaded() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    load > 4.0 * f64::from(u32::try_from(processors).unwrap_or(u32::MAX))
}
