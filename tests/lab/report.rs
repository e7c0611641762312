//! The laboratory's figures: on the terminal, and as the table of `docs/diagnosis.md`.

use std::fmt::Write as _;

use model::Cause;

use crate::runner::{Case, Grade, Outcome};

/// Between these lines of the document stand the figures.
const BEGIN: &str = "<!-- laboratory: begin -->";
/// See [`BEGIN`].
const END: &str = "<!-- laboratory: end -->";

/// One line about one case.
pub(crate) fn line(outcome: &Outcome) -> String {
    let name = outcome.case.name();
    match &outcome.seen {
        Err(why) => format!("  ?    {name}: could not be brought about: {why}"),
        Ok(seen) => {
            let grade = match outcome.grade() {
                Grade::First | Grade::Silent => "well ",
                Grade::Named => "later",
                Grade::Missed => "MISS ",
                Grade::FalseAlarm => "FALSE",
                Grade::Mute | Grade::NotMade => "  ?  ",
            };
            let said = match &seen.complaint {
                Some(complaint) => complaint.lines().next().unwrap_or("nothing").to_owned(),
                None if seen.causes.is_empty() => "no cause".to_owned(),
                None => seen.causes.join(", "),
            };
            let wanted = wanted(&outcome.case);
            let wanted = if matches!(outcome.grade(), Grade::Missed | Grade::Named) {
                format!(" (wanted: {wanted})")
            } else {
                String::new()
            };
            format!("{grade} {:6} ms  {name}: {said}{wanted}", seen.ms)
        }
    }
}

fn wanted(case: &Case) -> String {
    let all = case.expected();
    let each: Vec<String> = all
        .iter()
        .map(|names| {
            names
                .iter()
                .map(|it| known(it))
                .collect::<Vec<_>>()
                .join(" or ")
        })
        .collect();
    each.join(" and ")
}

/// The name, and whether the catalogue has it.
fn known(name: &str) -> String {
    if Cause::ALL.iter().any(|it| it.name() == name) {
        name.to_owned()
    } else {
        format!("{name} [no such cause yet]")
    }
}

/// All figures, counted.
#[derive(Debug)]
pub(crate) struct Figures {
    lines: Vec<(&'static str, String)>,
    misses: Vec<String>,
    /// Whether the goals are met.
    pub(crate) is_good: bool,
}

fn percent(part: usize, whole: usize) -> String {
    format!("{part} of {whole} ({:.1} %)", share(part, whole))
}

fn share(part: usize, whole: usize) -> f64 {
    let number = |it| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    if whole == 0 {
        100.0
    } else {
        number(part) * 100.0 / number(whole)
    }
}

impl Figures {
    /// Counts.
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        let count = |kind: fn(&Case) -> bool, grades: &[Grade]| {
            outcomes
                .iter()
                .filter(|it| kind(&it.case) && grades.contains(&it.grade()))
                .count()
        };
        let single: fn(&Case) -> bool = |it| matches!(it, Case::Single(_));
        let double: fn(&Case) -> bool = |it| matches!(it, Case::Double(..));
        let none: fn(&Case) -> bool = |it| matches!(it, Case::None(_));
        let made = [Grade::First, Grade::Named, Grade::Missed];
        let found = [Grade::First, Grade::Named];
        let busy = outcomes
            .iter()
            .filter(|it| it.seen.as_ref().is_ok_and(|it| it.is_machine_busy))
            .count();
        let mut times: Vec<u64> = outcomes
            .iter()
            .filter_map(|it| Some(it.seen.as_ref().ok()?.ms))
            .collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let (singles, doubles, well) = (
            count(single, &made),
            count(double, &made),
            count(none, &[Grade::Silent, Grade::FalseAlarm]),
        );
        let (first, named) = (count(single, &[Grade::First]), count(single, &found));
        let alarms = count(none, &[Grade::FalseAlarm]);
        let lines = vec![
            (
                "single faults: the cause is named first",
                percent(first, singles),
            ),
            ("single faults: it is named at all", percent(named, singles)),
            (
                "pairs: one of the causes is named first, both are named",
                percent(count(double, &[Grade::First]), doubles),
            ),
            (
                "pairs: both are named",
                percent(count(double, &found), doubles),
            ),
            (
                "healthy hosts with a false alarm",
                format!("{alarms} of {well}"),
            ),
            (
                "time to the verdict, median",
                format!("{:.1} s", seconds(median)),
            ),
            (
                "cases in which the machine itself was overloaded and the check said so, not counted",
                busy.to_string(),
            ),
            (
                "time to the verdict, longest",
                format!(
                    "{:.1} s",
                    seconds(times.last().copied().unwrap_or_default())
                ),
            ),
        ];
        let bad = |it: &&Outcome| !matches!(it.grade(), Grade::First | Grade::Silent);
        let is_good = share(first, singles) >= 95.0 && share(named, singles) >= 98.0 && alarms == 0;
        Self {
            lines,
            misses: outcomes.iter().filter(bad).map(miss).collect(),
            is_good,
        }
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let lines = self
            .lines
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        lines.collect()
    }

    /// The document with these figures in the place of the old ones.
    pub(crate) fn put_into(&self, document: &str) -> Option<String> {
        let (before, rest) = document.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        let mut table = String::from("| figure | value |\n|---|---|\n");
        for (name, value) in &self.lines {
            writeln!(table, "| {name} | {value} |").ok()?;
        }
        table.push_str("\n| not as it should be | wanted | said |\n|---|---|---|\n");
        for line in &self.misses {
            writeln!(table, "{line}").ok()?;
        }
        Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
    }
}

fn seconds(ms: u64) -> f64 {
    f64::from(u32::try_from(ms).unwrap_or(u32::MAX)) / 1_000.0
}

/// A row of the table of misses.
fn miss(outcome: &Outcome) -> String {
    let said = match &outcome.seen {
        Err(why) => format!(
            "could not be brought about: {}",
            why.lines().next().unwrap_or_default()
        ),
        Ok(seen) => match &seen.complaint {
            Some(complaint) => complaint.lines().next().unwrap_or("nothing").to_owned(),
            None if seen.causes.is_empty() => "no cause".to_owned(),
            None => seen.causes.join(", "),
        },
    };
    let wanted = match outcome.case {
        Case::None(_) => "no cause".to_owned(),
        case => wanted(&case),
    };
    format!(
        "| `{}` | {wanted} | {} |",
        outcome.case.name(),
        said.replace('|', "/")
    )
}
