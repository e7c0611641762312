//! Makes text from a host harmless before it is stored, logged or shown: no line that pretends to be
//! another, no escape sequence, no text that runs backwards, nothing without an end.
//!
//! Owns which characters and how much of them a host may say. Never judges what is said. Called by
//! the node on everything that comes in.

use model::limits;

use crate::answer::{
    Account, Answer, AssetReport, Autorun, BundleInfo, CheckReport, CronJob, Finding, KernelModule,
    OpsReport, Output, Package, Port, ProbeRun, Process,
};
use crate::facts::{Disk, HostFacts};

/// One line: tabs and line ends become spaces; control characters, those that turn the direction of
/// writing and invisible ones become U+FFFD. At most `bytes_max` bytes, cut between characters.
#[must_use]
pub fn one_line(text: &str, bytes_max: usize) -> String {
    mapped(text, bytes_max, of_line)
}

/// A host name: what is not one of `A-Za-z0-9._-` becomes `_`. At most
/// [`limits::HOST_NAME_BYTES_MAX`] bytes.
#[must_use]
pub fn host_name(text: &str) -> String {
    mapped(text, limits::HOST_NAME_BYTES_MAX, of_name)
}

/// The output of a command: line feeds and tabs stay, CR LF becomes LF; other control characters,
/// escape among them, and those that turn the direction of writing become U+FFFD. At most
/// [`limits::OUTPUT_CLEAN_BYTES_MAX`] bytes, cut between characters.
#[must_use]
pub fn output(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    mapped(&text, limits::OUTPUT_CLEAN_BYTES_MAX, of_output)
}

const fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

fn of_line(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        it if it.is_control() || turns(it) || is_invisible(it) => char::REPLACEMENT_CHARACTER,
        it => it,
    }
}

const fn of_name(c: char) -> char {
    match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-' => c,
        _ => '_',
    }
}

fn of_output(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        it if it.is_control() || turns(it) => char::REPLACEMENT_CHARACTER,
        it => it,
    }
}

fn mapped(text: &str, bytes_max: usize, map: fn(char) -> char) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars().map(map) {
        if clean.len() + c.len_utf8() > bytes_max {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Most text is clean already and stays where it is.
fn line(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max || text.chars().any(|it| of_line(it) != it) {
        *text = one_line(text, bytes_max);
    }
}

fn lines(texts: &mut Vec<String>, texts_max: usize, bytes_max: usize) {
    texts.truncate(texts_max);
    for text in texts {
        line(text, bytes_max);
    }
}

fn short<const N: usize>(texts: [&mut String; N]) {
    for text in texts {
        line(text, limits::SHORT_TEXT_BYTES_MAX);
    }
}

fn asset<const N: usize>(texts: [&mut String; N]) {
    for text in texts {
        line(text, limits::ASSET_TEXT_BYTES_MAX);
    }
}

impl HostFacts {
    /// Makes every text one harmless line and every list finite.
    pub fn clean(&mut self) {
        let Self {
            hostname,
            os_name,
            os_id,
            kernel,
            architecture,
            cpu_model,
            cpu_count: _,
            memory_bytes: _,
            booted_ms: _,
            machine_fingerprint,
            addresses,
            mac_addresses,
            disks,
            is_root: _,
        } = self;
        *hostname = host_name(hostname);
        short([os_name, os_id, kernel, architecture]);
        short([cpu_model, machine_fingerprint]);
        for list in [addresses, mac_addresses] {
            lines(list, limits::FACT_ENTRIES_MAX, limits::SHORT_TEXT_BYTES_MAX);
        }
        disks.truncate(limits::FACT_ENTRIES_MAX);
        for disk in disks {
            let Disk {
                device,
                mount,
                file_system,
                total_bytes: _,
                used_bytes: _,
            } = disk;
            short([device, mount, file_system]);
        }
    }
}

impl Answer {
    /// Makes every text but a command's output one harmless line and every list of a check finite.
    pub fn clean(&mut self) {
        let Self {
            message,
            check,
            ops,
            assets,
        } = self;
        line(message, limits::ANSWER_LINE_BYTES_MAX);
        if let Some(check) = check {
            check.clean();
        }
        if let Some(OpsReport { stdout, stderr, .. }) = ops {
            stdout.clean();
            stderr.clean();
        }
        if let Some(assets) = assets {
            assets.clean();
        }
    }
}

impl CheckReport {
    fn clean(&mut self) {
        let Self {
            subject,
            problem_type,
            mode: _,
            findings,
            probes,
            duration_ms: _,
            bundle,
        } = self;
        short([subject, problem_type]);
        findings.truncate(limits::CHECK_FINDINGS_MAX);
        for finding in findings {
            let Finding {
                cause: _,
                summary,
                evidence,
            } = finding;
            line(summary, limits::ANSWER_LINE_BYTES_MAX);
            let texts_max = limits::FINDING_EVIDENCE_MAX;
            lines(evidence, texts_max, limits::ANSWER_LINE_BYTES_MAX);
        }
        probes.truncate(limits::CHECK_PROBES_MAX);
        for ProbeRun { name, note, .. } in probes {
            short([name]);
            line(note, limits::PROBE_NOTE_BYTES_MAX);
        }
        if let Some(BundleInfo { bytes: _, sha256 }) = bundle {
            short([sha256]);
        }
    }
}

impl Output {
    fn clean(&mut self) {
        let Self { text, sha256, .. } = self;
        let bytes_max = limits::OUTPUT_CLEAN_BYTES_MAX;
        if text.len() > bytes_max || text.chars().any(|it| of_output(it) != it) {
            *text = output(text);
        }
        short([sha256]);
    }
}

impl AssetReport {
    fn clean(&mut self) {
        let Self {
            system,
            processes,
            ports,
            accounts,
            packages,
            cron_jobs,
            kernel_modules,
            autoruns,
            unread,
        } = self;
        if let Some(facts) = system {
            facts.clean();
        }
        processes.iter_mut().flatten().for_each(Process::clean);
        ports.iter_mut().flatten().for_each(Port::clean);
        accounts.iter_mut().flatten().for_each(Account::clean);
        packages.iter_mut().flatten().for_each(Package::clean);
        cron_jobs.iter_mut().flatten().for_each(CronJob::clean);
        kernel_modules
            .iter_mut()
            .flatten()
            .for_each(KernelModule::clean);
        autoruns.iter_mut().flatten().for_each(Autorun::clean);
        let texts_max = limits::FACT_ENTRIES_MAX;
        lines(unread, texts_max, limits::ANSWER_LINE_BYTES_MAX);
    }
}

impl Process {
    fn clean(&mut self) {
        let Self {
            pid: _,
            ppid: _,
            name,
            path,
            cmdline,
            user,
            rss_bytes: _,
            started_ms: _,
            state,
        } = self;
        asset([name, path, cmdline, user, state]);
    }
}

impl Port {
    fn clean(&mut self) {
        let Self {
            protocol,
            address,
            port: _,
            pid: _,
            process,
        } = self;
        asset([protocol, address, process]);
    }
}

impl Account {
    fn clean(&mut self) {
        let Self {
            name,
            uid: _,
            gid: _,
            groups,
            home,
            shell,
            can_login: _,
            password_locked: _,
        } = self;
        asset([name, home, shell]);
        lines(groups, usize::MAX, limits::ASSET_TEXT_BYTES_MAX);
    }
}

impl Package {
    fn clean(&mut self) {
        let Self {
            name,
            version,
            architecture,
            manager,
        } = self;
        asset([name, version, architecture, manager]);
    }
}

impl CronJob {
    fn clean(&mut self) {
        let Self {
            file,
            schedule,
            user,
            command,
        } = self;
        asset([file, schedule, user, command]);
    }
}

impl KernelModule {
    fn clean(&mut self) {
        let Self {
            name,
            size_bytes: _,
            used_by,
        } = self;
        asset([name]);
        lines(used_by, usize::MAX, limits::ASSET_TEXT_BYTES_MAX);
    }
}

impl Autorun {
    fn clean(&mut self) {
        let Self { kind, path, name } = self;
        asset([kind, path, name]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::ProbeOutcome;

    const BAD: &str = "a\u{1b}[31m\n  run on db-9:\u{202e}\u{2028}\u{9b}\u{7f}\u{200b}\0z";
    const LINE: &str =
        "a\u{fffd}[31m   run on db-9:\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}z";

    #[test]
    fn a_line_stays_one_line_and_cannot_mislead() {
        assert_eq!(one_line(BAD, 1_000), LINE);
        assert_eq!(one_line("a\tb\r\nc", 9), "a b  c");
        assert_eq!(one_line("Grüße, 主机 🙂", 99), "Grüße, 主机 🙂");
        let turning = (0x202a..=0x202e)
            .chain(0x2066..=0x2069)
            .chain([0x200e, 0x200f, 0x2028, 0x2029]);
        for c in turning.filter_map(char::from_u32) {
            assert_eq!(one_line(&c.to_string(), 3), "\u{fffd}", "{c:?}");
            assert_eq!(output(&c.to_string()), "\u{fffd}", "{c:?}");
        }
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(one_line("aé", 3), "aé");
        assert_eq!(one_line("aé", 2), "a");
        assert_eq!(one_line("\0\0", 5), "\u{fffd}");
        assert_eq!(one_line("abc", 0), "");
    }

    #[test]
    fn a_host_name_has_the_letters_of_one() {
        assert_eq!(host_name("web-1.example_x"), "web-1.example_x");
        assert_eq!(host_name("web 1\n'$(x)"), "web_1____x_");
        assert_eq!(host_name(&"a".repeat(254)), "a".repeat(253));
    }

    #[test]
    fn output_keeps_its_lines_and_no_escape() {
        assert_eq!(output("a\tb\r\nc\n"), "a\tb\nc\n");
        assert_eq!(output("a\rb\u{1b}c\u{9b}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        let most = limits::OUTPUT_CLEAN_BYTES_MAX;
        assert_eq!(output(&"x".repeat(most)).len(), most);
        assert_eq!(output(&"x".repeat(most + 1)).len(), most);
    }

    #[test]
    fn facts_are_cleaned_and_finite() {
        let disk = Disk {
            mount: BAD.to_owned(),
            ..Disk::default()
        };
        let mut facts = HostFacts {
            hostname: "web\n1".to_owned(),
            os_name: BAD.to_owned(),
            kernel: "k".repeat(257),
            addresses: vec![BAD.to_owned(); 65],
            mac_addresses: vec![String::new(); 65],
            disks: vec![disk; 65],
            ..HostFacts::default()
        };
        facts.clean();
        assert_eq!(facts.hostname, "web_1");
        assert_eq!(facts.os_name, LINE);
        assert_eq!(facts.kernel.len(), 256);
        assert_eq!(facts.addresses, vec![LINE; 64]);
        assert_eq!(facts.mac_addresses.len(), 64);
        assert_eq!(facts.disks.len(), 64);
        assert!(facts.disks.iter().all(|it| it.mount == LINE));
        let before = facts.clone();
        facts.clean();
        assert_eq!(facts, before, "what is clean stays as it is");
    }

    #[test]
    fn the_report_of_a_check_is_cleaned_and_finite() {
        let finding = Finding {
            cause: 1,
            summary: BAD.to_owned(),
            evidence: vec!["e".repeat(1_025); 17],
        };
        let probe = ProbeRun {
            name: BAD.to_owned(),
            outcome: ProbeOutcome::Clear,
            note: "n".repeat(513),
            duration_ms: 1,
        };
        let mut answer = Answer {
            message: "m".repeat(1_025),
            check: Some(CheckReport {
                subject: BAD.to_owned(),
                findings: vec![finding; 33],
                probes: vec![probe; 65],
                ..CheckReport::default()
            }),
            ..Answer::default()
        };
        answer.clean();
        assert_eq!(answer.message.len(), 1_024);
        let check = answer.check.unwrap();
        assert_eq!(check.subject, LINE);
        assert_eq!((check.findings.len(), check.probes.len()), (32, 64));
        let finding = &check.findings[0];
        assert_eq!(finding.summary, LINE);
        assert_eq!(finding.evidence, vec!["e".repeat(1_024); 16]);
        assert_eq!(check.probes[0].name, LINE);
        assert_eq!(check.probes[0].note.len(), 512);
    }

    #[test]
    fn no_text_of_an_inventory_is_forgotten() {
        let report = serde_json::json!({
            "system": {"hostname": BAD, "osName": BAD, "disks": [{"device": BAD}]},
            "processes": [{"pid": 1, "ppid": 0, "name": BAD, "path": BAD, "cmdline": BAD,
                "user": BAD, "rssBytes": 1, "startedMs": 1, "state": BAD}],
            "ports": [{"protocol": BAD, "address": BAD, "port": 1, "process": BAD}],
            "accounts": [{"name": BAD, "uid": 1, "gid": 1, "groups": [BAD], "home": BAD,
                "shell": BAD, "canLogin": true}],
            "packages": [{"name": BAD, "version": BAD, "architecture": BAD, "manager": BAD}],
            "cronJobs": [{"file": BAD, "schedule": BAD, "user": BAD, "command": BAD}],
            "kernelModules": [{"name": BAD, "sizeBytes": 1, "usedBy": [BAD]}],
            "autoruns": [{"kind": BAD, "path": BAD, "name": BAD}],
            "unread": [BAD],
        });
        let mut answer = Answer {
            assets: Some(serde_json::from_value(report).unwrap()),
            ..Answer::default()
        };
        answer.clean();
        let json = serde_json::to_string(&answer).unwrap();
        assert!(!json.contains('\\'), "nothing is left to escape: {json}");
        assert!(!json.contains(['\u{202e}', '\u{2028}', '\u{9b}', '\u{7f}', '\u{200b}']));
    }

    #[test]
    fn the_output_of_a_command_is_cleaned() {
        let mut answer = Answer {
            ops: Some(OpsReport {
                stdout: Output {
                    text: "ok\n\u{1b}[2J".to_owned(),
                    sha256: BAD.to_owned(),
                    ..Output::default()
                },
                ..OpsReport::default()
            }),
            ..Answer::default()
        };
        answer.clean();
        let stdout = answer.ops.unwrap().stdout;
        assert_eq!(stdout.text, "ok\n\u{fffd}[2J");
        assert_eq!(stdout.sha256, LINE);
    }
}
