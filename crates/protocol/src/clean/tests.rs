use super::*;
use crate::answer::ProbeOutcome;

const BAD: &str = "a\u{1b}[31m\n  run on db-9:\u{202e}\u{2028}\u{9b}\u{7f}\u{200b}\0z";
const LINE: &str = "a\u{fffd}[31m   run on db-9:\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}z";

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
fn the_end_of_an_output_has_as_many_bytes_as_it_stands_for() {
    for (bytes, clean) in [
        (b"a\tb\r\nc\n".as_slice(), "a\tb \nc\n"),
        (b"10 %\r20 %\r", "10 %\n20 %\n"),
        (b"\x1b[31m\0\x7f", "?[31m??"),
        ("é\u{202e}\u{9b}主".as_bytes(), "é\u{fffd}??主"),
        (b"\xff\xe4\xb8", "???"),
    ] {
        assert_eq!(output_end(bytes), clean);
        assert_eq!(clean.len(), bytes.len());
    }
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
        known: [("PATH", "/x"), ("UNIT", BAD), ("PORT", "x"), ("OTHER", "1")]
            .map(|(word, value)| (word.to_owned(), value.to_owned()))
            .into(),
        subject: BAD.to_owned(),
        ..Finding::default()
    };
    let detected = Detected {
        name: BAD.to_owned(),
        title: BAD.to_owned(),
        signs: vec!["s".repeat(257); 9],
        ..Detected::default()
    };
    let probe = ProbeRun {
        name: BAD.to_owned(),
        outcome: ProbeOutcome::Clear,
        note: "n".repeat(513),
        subject: BAD.to_owned(),
        duration_ms: 1,
    };
    let mut answer = Answer {
        message: "m".repeat(1_025),
        check: Some(CheckReport {
            subject: BAD.to_owned(),
            findings: vec![finding; 33],
            probes: vec![probe; 257],
            detected: vec![detected; 65],
            ..CheckReport::default()
        }),
        ..Answer::default()
    };
    answer.clean();
    assert_eq!(answer.message.len(), 1_024);
    let check = answer.check.unwrap();
    assert_eq!(check.subject, LINE);
    assert_eq!((check.findings.len(), check.probes.len()), (32, 256));
    let finding = &check.findings[0];
    assert_eq!(
        (finding.subject.as_str(), check.probes[0].subject.as_str()),
        (LINE, LINE)
    );
    assert_eq!(check.detected.len(), 64);
    assert_eq!(check.detected[0].title, LINE);
    assert_eq!(check.detected[0].signs, vec!["s".repeat(256); 8]);
    assert_eq!(finding.summary, LINE);
    assert_eq!(finding.evidence, vec!["e".repeat(1_024); 16]);
    let known: Vec<_> = finding.known.iter().collect();
    assert_eq!(known, [(&"PATH".to_owned(), &"/x".to_owned())]);
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
            "shell": BAD, "canLogin": true, "lastLoginFrom": BAD}],
        "packages": [{"name": BAD, "version": BAD, "architecture": BAD, "manager": BAD,
            "path": BAD}],
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
