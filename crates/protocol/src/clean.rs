//! Makes text from a host harmless before it is stored, logged or shown: no line that pretends to be
//! another, no escape sequence, no text that runs backwards, nothing without an end.
//!
//! Owns which characters and how much of them a host may say. Never judges what is said. Called by
//! the node on everything that comes in.

use model::{Placeholder, limits};

use crate::answer::{
    Account, Answer, AssetReport, Autorun, BundleInfo, CheckReport, CronJob, Detected, Finding,
    KernelModule, Limited, OpsReport, Output, Package, Port, ProbeRun, Process,
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

/// The bytes of an output as text that [`output`] leaves alone, and whether it has escapes. Without one it
/// is the text itself; with them every byte can be got back: `\\xHH` is a byte that is not UTF-8 or of a
/// character that may not be shown, `\\\\` a backslash.
#[must_use]
pub fn escaped(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && text
            .replace("\r\n", "\n")
            .chars()
            .all(|it| of_output(it) == it)
    {
        return (text.to_owned(), false);
    }
    let mut safe = String::with_capacity(bytes.len());
    let raw = |safe: &mut String, bytes: &[u8]| {
        for byte in bytes {
            safe.push_str(&format!("\\x{byte:02x}"));
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => safe.push_str("\\\\"),
                it if of_output(it) == it => safe.push(it),
                it => raw(&mut safe, it.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        raw(&mut safe, chunk.invalid());
    }
    (safe, true)
}

/// The end of a running command's output: as [`output`], but with exactly as many bytes as were given, so
/// that two such ends can be joined by their places in the whole. A carriage return ends a line, or stands
/// as a space before the end of one; a byte that is no text becomes `?`, and so do those of a character
/// that may not be shown.
#[must_use]
pub fn output_end(bytes: &[u8]) -> String {
    let mut clean = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().chars().peekable();
        while let Some(c) = rest.next() {
            match of_output(c) {
                _ if c == '\r' && rest.peek() == Some(&'\n') => clean.push(' '),
                _ if c == '\r' => clean.push('\n'),
                it if it.len_utf8() == c.len_utf8() => clean.push(it),
                _ => clean.extend(std::iter::repeat_n('?', c.len_utf8())),
            }
        }
        clean.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    clean
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
        if let Some(OpsReport {
            stdout,
            stderr,
            limits,
            ..
        }) = ops
        {
            stdout.clean();
            stderr.clean();
            limits.truncate(limits::COMMAND_LIMITS_MAX);
            for Limited { name, by, .. } in limits {
                short([name, by]);
            }
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
            detected,
        } = self;
        short([subject, problem_type]);
        findings.truncate(limits::CHECK_FINDINGS_MAX);
        for finding in findings {
            let Finding {
                cause: _,
                summary,
                evidence,
                explained_by: _,
                known,
                subject,
            } = finding;
            short([subject]);
            line(summary, limits::ANSWER_LINE_BYTES_MAX);
            let texts_max = limits::FINDING_EVIDENCE_MAX;
            lines(evidence, texts_max, limits::ANSWER_LINE_BYTES_MAX);
            known.retain(|word, value| {
                Placeholder::find(word)
                    .is_some_and(|it| it.accepts(value) && value.chars().all(|c| of_line(c) == c))
            });
        }
        probes.truncate(limits::CHECK_PROBES_MAX);
        for ProbeRun {
            name,
            note,
            subject,
            ..
        } in probes
        {
            short([name, subject]);
            line(note, limits::PROBE_NOTE_BYTES_MAX);
        }
        if let Some(BundleInfo { bytes: _, sha256 }) = bundle {
            short([sha256]);
        }
        detected.truncate(limits::CHECK_DETECTED_MAX);
        for Detected {
            name,
            title,
            running: _,
            enabled: _,
            signs,
        } in detected
        {
            short([name, title]);
            lines(
                signs,
                limits::DETECTED_SIGNS_MAX,
                limits::SHORT_TEXT_BYTES_MAX,
            );
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
            partial: _,
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
            expiry: _,
            sudoer: _,
            last_login_ms: _,
            last_login_from,
        } = self;
        asset([name, home, shell, last_login_from]);
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
            installed_ms: _,
            path,
        } = self;
        asset([name, version, architecture, manager, path]);
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
mod tests;
