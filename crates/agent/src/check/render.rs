//! A report for the person in front of the terminal.

use std::fmt::{self, Write};

use model::{Cause, Severity};
use protocol::answer::{CheckReport, Finding, ProbeOutcome};

use super::profile::AUTO;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";

/// The report as text, with ANSI colours if `colour`. Control characters in it are taken out: what a
/// host's logs say must not steer the reader's terminal.
#[must_use]
pub fn render(report: &CheckReport, colour: bool) -> String {
    let mut page = Page {
        text: String::new(),
        colour,
    };
    // Writing into a string does not fail.
    let _written = page.report(report);
    page.text
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn report(&mut self, report: &CheckReport) -> fmt::Result {
        let subject = self.subjects(report)?;
        let looked = report
            .probes
            .iter()
            .filter(|it| it.outcome != ProbeOutcome::Skipped)
            .count();
        let probes = if looked == 1 { "probe" } else { "probes" };
        let ms = report.duration_ms;
        if report.findings.is_empty() {
            let line =
                format!("{subject}: healthy; {looked} {probes} found nothing wrong ({ms} ms).");
            self.painted(GREEN, &line)?;
            self.text.push('\n');
        } else {
            let roots = report.findings.iter().filter(|it| is_root(it)).count();
            let causes = if roots == 1 { "cause" } else { "causes" };
            let line = format!("{subject}: {roots} {causes} found by {looked} {probes} ({ms} ms).");
            self.painted(BOLD, &line)?;
            self.text.push('\n');
            let mut number = 0;
            for finding in &report.findings {
                number += usize::from(is_root(finding));
                self.finding(number, finding)?;
            }
        }
        self.skipped(report)
    }

    /// A root has its number; a symptom stands under it.
    fn finding(&mut self, number: usize, finding: &Finding) -> fmt::Result {
        let cause = Cause::find(finding.cause);
        let (colour, word) = match cause.map(Cause::severity) {
            Some(Severity::Critical) => (RED, Severity::Critical.wire()),
            Some(Severity::Error) => (RED, Severity::Error.wire()),
            Some(Severity::Warning) => (YELLOW, Severity::Warning.wire()),
            None => (YELLOW, "unknown"),
        };
        match finding.explained_by {
            None => write!(self.text, "\n{number}. ")?,
            Some(_) => self.text.push_str("   so: "),
        }
        self.painted(colour, &format!("{word} {}", finding.cause))?;
        self.text.push(' ');
        if !finding.subject.is_empty() {
            self.painted(BOLD, &format!("{}: ", plain(&finding.subject)))?;
        }
        writeln!(self.text, "{}", plain(&finding.summary))?;
        for line in &finding.evidence {
            self.text.push_str("     ");
            self.painted(DIM, &plain(line))?;
            self.text.push('\n');
        }
        for fix in cause.map(Cause::fixes).unwrap_or_default() {
            writeln!(self.text, "   -> {} {}", fix.code(), fix.sentence())?;
            let command = fix.action().and_then(|it| finding.fill(it.command).ok());
            if let Some(command) = command {
                self.text.push_str("        ");
                self.painted(DIM, &plain(&command))?;
                self.text.push('\n');
            }
        }
        Ok(())
    }

    /// What was examined, in a word. Where the agents were looked for, one line for each first.
    fn subjects(&mut self, report: &CheckReport) -> Result<String, fmt::Error> {
        if report.subject != AUTO {
            return Ok(plain(&report.subject));
        }
        for it in &report.detected {
            let state = match (it.running, it.enabled) {
                (true, _) => "running",
                (false, true) => "not running",
                (false, false) => "not in use",
            };
            let signs = plain(&it.signs.join(", "));
            writeln!(
                self.text,
                "{} ({}): {state}",
                plain(&it.title),
                plain(&it.name)
            )?;
            self.painted(DIM, &format!("     {signs}"))?;
            self.text.push('\n');
        }
        if !report.detected.is_empty() {
            self.text.push('\n');
        }
        let used = report.detected.iter().filter(|it| it.running || it.enabled);
        Ok(match used.count() {
            0 => "the host".to_owned(),
            1 => "1 known agent".to_owned(),
            count => format!("{count} known agents"),
        })
    }

    /// What was not looked at; neighbours with the same reason share a line.
    fn skipped(&mut self, report: &CheckReport) -> fmt::Result {
        let mut groups: Vec<(Vec<String>, String)> = Vec::new();
        for it in report
            .probes
            .iter()
            .filter(|it| it.outcome == ProbeOutcome::Skipped)
        {
            let (mut name, why) = (plain(&it.name), plain(&it.note));
            if !it.subject.is_empty() {
                name = format!("{name} of {}", plain(&it.subject));
            }
            match groups.last_mut() {
                Some((names, known)) if *known == why => names.push(name),
                _ => groups.push((vec![name], why)),
            }
        }
        if !groups.is_empty() {
            self.text.push('\n');
            self.painted(DIM, "Not looked at:")?;
            self.text.push('\n');
        }
        for (names, why) in groups {
            self.painted(DIM, &format!("  {}: {why}", names.join(", ")))?;
            self.text.push('\n');
        }
        Ok(())
    }

    fn painted(&mut self, colour: &str, text: &str) -> fmt::Result {
        if self.colour {
            write!(self.text, "{colour}{text}\x1b[0m")
        } else {
            self.text.write_str(text)
        }
    }
}

fn is_root(finding: &Finding) -> bool {
    finding.explained_by.is_none()
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use protocol::answer::ProbeRun;

    use super::*;

    fn report(findings: Vec<Finding>) -> CheckReport {
        let probe = |name: &str, outcome, note: &str| ProbeRun {
            name: name.into(),
            outcome,
            note: note.into(),
            duration_ms: 1,
            ..ProbeRun::default()
        };
        CheckReport {
            subject: "sickbay".into(),
            findings,
            probes: vec![
                probe("disk", ProbeOutcome::Clear, "fine"),
                probe(
                    "service",
                    ProbeOutcome::Skipped,
                    "systemd does not run this host",
                ),
            ],
            duration_ms: 640,
            ..CheckReport::default()
        }
    }

    #[test]
    fn a_healthy_host_gets_one_clear_line() {
        let text = render(&report(Vec::new()), false);
        assert_eq!(
            text,
            "sickbay: healthy; 1 probe found nothing wrong (640 ms).\n\nNot looked at:\n  service: systemd does not run this host\n"
        );
    }

    #[test]
    fn a_finding_shows_evidence_and_fixes() {
        let finding = Finding {
            cause: 2401,
            summary: "The file system /var is full.".into(),
            evidence: vec!["/var 100 % used\x1b[2J".into(), "see it: df -h /var".into()],
            ..Finding::default()
        };
        let text = render(&report(vec![finding]), false);
        let expected = "sickbay: 1 cause found by 1 probe (640 ms).\n\n\
                        1. critical 2401 The file system /var is full.\n     \
                        /var 100 % used[2J\n     see it: df -h /var\n   \
                        -> 1301 Free space: du -xh --max-depth=2 shows which directories are largest.\n";
        assert!(text.starts_with(expected), "{text}");
        let painted = render(&report(Vec::new()), true);
        assert!(painted.starts_with("\x1b[32msickbay: healthy"));
    }

    #[test]
    fn a_symptom_stands_under_its_root_with_the_command_that_mends_it() {
        let finding = |cause: u16, explained_by| Finding {
            cause,
            summary: format!("It is {cause}."),
            explained_by,
            known: [("UNIT".to_owned(), "a.service".to_owned())].into(),
            ..Finding::default()
        };
        let found = vec![
            finding(2401, None),
            finding(2102, Some(2401)),
            finding(2602, None),
        ];
        let text = render(&report(found), false);
        assert!(text.starts_with("sickbay: 2 causes found"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "1. critical 2401 It is 2401.",
            "   so: critical 2102 It is 2102.",
            "2. warning 2602 It is 2602.",
        ] {
            assert!(lines.contains(&line), "{text}");
        }
        assert!(text.contains("systemctl start -- a.service"), "{text}");
    }
}
