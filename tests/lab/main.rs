//! The fault laboratory: hosts on this machine in which one fault at a time is brought about, and the check must name its cause.
//!
//! `cargo test -p tests --test lab` runs a short form, `-- --all` everything; `-- NAME` what has NAME in its name. `docs/diagnosis.md`
//! says what a host is made of. Owns the command line; the rest is in the modules.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and ends"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet, LocalSet, spawn_local};

use crate::image::Folder;
use crate::report::{Figures, line};
use crate::runner::{Case, Grade, Outcome, run_case};
use crate::world::World;

mod cage;
mod case;
mod faults;
mod host;
mod image;
mod report;
mod runner;
mod subject;
mod world;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wish {
    all: bool,
    report: bool,
    list: bool,
    jobs: Option<usize>,
    /// A script for the host, run before the check looks; what it says is shown.
    script: Option<String>,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let ended = match wish(std::env::args().skip(1)) {
        Ok(wish) => carry_out(&wish),
        Err(error) => Err(error),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            say(&format!("lab: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn wish(mut args: impl Iterator<Item = String>) -> anyhow::Result<Wish> {
    let mut wish = Wish::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--all" => wish.all = true,
            "--short" => wish.all = false,
            "--report" => wish.report = true,
            "--list" => wish.list = true,
            "--jobs" => wish.jobs = Some(args.next().context("--jobs N")?.parse()?),
            "--script" => wish.script = Some(args.next().context("--script SCRIPT")?),
            "--fault" => wish.names.push(args.next().context("--fault NAME")?),
            // What `cargo test` passes on for tests of another make.
            "--nocapture" | "--quiet" | "-q" | "--show-output" => {}
            name if !name.starts_with('-') => wish.names.push(name.to_owned()),
            other => anyhow::bail!("`{other}` is not understood: see docs/diagnosis.md"),
        }
    }
    Ok(wish)
}

/// All cases there are.
fn cases() -> Vec<Case> {
    let find = |name: &str| {
        let found = faults::all().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("no fault is called {name}"))
    };
    let healthy = faults::healthy::HOSTS.iter().map(Case::None);
    let single = faults::all().map(Case::Single);
    let double = faults::PAIRS
        .iter()
        .map(|it| Case::Double(find(it.0), find(it.1)));
    let all: Vec<Case> = healthy.chain(single).chain(double).collect();
    let names: BTreeSet<String> = all.iter().map(Case::name).collect();
    assert_eq!(names.len(), all.len(), "a name is given twice");
    all
}

fn chosen(wish: &Wish) -> Vec<Case> {
    let is_short = |name: &str| faults::SHORT.contains(&name);
    let is_named = |name: &str| wish.names.iter().any(|it| name.contains(it.as_str()));
    let mut chosen = cases();
    chosen.retain(|it| {
        let name = it.name();
        if wish.names.is_empty() {
            wish.all || is_short(&name)
        } else {
            is_named(&name)
        }
    });
    chosen
}

fn carry_out(wish: &Wish) -> anyhow::Result<ExitCode> {
    let chosen = chosen(wish);
    let names: Vec<String> = chosen.iter().map(Case::name).collect();
    if wish.list || chosen.is_empty() {
        names.iter().for_each(|it| say(it));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(lab) = cage::inside() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = LocalSet::new();
        let outcomes = local.block_on(&runtime, run_all(lab, chosen, wish))?;
        return conclude(wish, &outcomes);
    }
    if let Some(why) = cage::hindrance() {
        say(&format!(
            "SKIPPED, for this machine permits no hosts ({why}):"
        ));
        names.iter().for_each(|it| say(&format!("skipped {it}")));
        return Ok(ExitCode::SUCCESS);
    }
    let folder = Folder::new()?;
    folder.prepare()?;
    let status = cage::enter(&folder.run())?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run_all(lab: String, cases: Vec<Case>, wish: &Wish) -> anyhow::Result<Vec<Outcome>> {
    let most = usize::from(u8::MAX);
    anyhow::ensure!(cases.len() <= most, "there are addresses for {most} hosts");
    let folder = Folder::new()?;
    let world = Rc::new(World::create(&folder, lab).await?);
    let turns = Arc::new(Semaphore::new(wish.jobs.unwrap_or(2)));
    let mut running = JoinSet::new();
    for (number, case) in (1..=u8::MAX).zip(cases) {
        let (world, turns, script) = (Rc::clone(&world), Arc::clone(&turns), wish.script.clone());
        running.spawn_local(async move {
            let _turn = turns.acquire_owned().await;
            let running =
                spawn_local(async move { run_case(&world, case, number, script.as_deref()).await });
            let broken = |error: JoinError| Outcome {
                case,
                seen: Err(error.to_string()),
            };
            let outcome = running.await.unwrap_or_else(broken);
            say(&line(&outcome));
            (number, outcome)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(ended) = running.join_next().await {
        outcomes.push(ended.context("a case broke")?);
    }
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn conclude(wish: &Wish, outcomes: &[Outcome]) -> anyhow::Result<ExitCode> {
    let figures = Figures::of(outcomes);
    say(&figures.text());
    if wish.report {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnosis.md");
        let document = std::fs::read_to_string(&path).context("reading docs/diagnosis.md")?;
        let document = figures
            .put_into(&document)
            .context("docs/diagnosis.md has no place for figures")?;
        std::fs::write(&path, document).context("writing docs/diagnosis.md")?;
    }
    let is_well = if wish.all {
        figures.is_good
    } else {
        outcomes
            .iter()
            .all(|it| matches!(it.grade(), Grade::First | Grade::Silent))
    };
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The laboratory's one way to speak.
fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}
