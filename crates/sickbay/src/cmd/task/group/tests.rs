use protocol::answer::Finding;

use super::*;

fn ran(name: &str, status: &str, exit_code: i32, stdout: &str) -> HostDetail {
    HostDetail {
        instance_name: name.to_owned(),
        status: status.to_owned(),
        exit_code: Some(exit_code),
        stdout: Some(stdout.to_owned()),
        ..HostDetail::default()
    }
}

fn text(details: Vec<HostDetail>) -> String {
    text_at(details, None)
}

fn text_at(details: Vec<HostDetail>, width: Option<usize>) -> String {
    let mut groups = Groups::default();
    details.into_iter().for_each(|it| groups.add(it, None));
    groups.text(width)
}

#[test]
fn the_same_answers_stand_together_and_the_largest_group_first() {
    let text = text(vec![
        ran("odd", "FAIL", 3, "no\n"),
        ran("a", "SUCCESS", 0, "active\n"),
        ran("b", "SUCCESS", 0, "active\n"),
    ]);
    assert_eq!(
        text,
        "2 hosts: SUCCESS, exit code 0\n  hosts  │ a, b\n  output │ active\n\n\
         1 host: FAIL, exit code 3\n  hosts  │ odd\n  output │ no\n\n"
    );
}

#[test]
fn hosts_that_are_not_here_are_counted_all_the_same() {
    let mut groups = Groups::default();
    groups.add_same(1, vec![ran("odd", "FAIL", 3, "no\n")]);
    let same = ["a", "b"].map(|it| ran(it, "SUCCESS", 0, "active\n"));
    groups.add_same(9_997, same.to_vec());
    groups.leave_out(2, "unfinished");
    groups.leave_out(0, "not said");
    assert_eq!(
        groups.text(None),
        "9997 hosts: SUCCESS, exit code 0\n  hosts  │ a, b and 9995 more\n  output │ active\n\n\
         1 host: FAIL, exit code 3\n  hosts  │ odd\n  output │ no\n\n2 more hosts unfinished\n\n"
    );
}

#[test]
fn evidence_may_differ_between_hosts_with_the_same_causes() {
    let checked = |name: &str, evidence: &str| HostDetail {
        instance_name: name.to_owned(),
        status: "SUCCESS".to_owned(),
        problem_type: "offline".to_owned(),
        cause_code: vec!["2401".to_owned()],
        cause_msg: vec!["/var is full".to_owned()],
        res_code: vec!["1301".to_owned()],
        res_msg: vec!["Free space.".to_owned()],
        findings: vec![Finding {
            cause: 2401,
            summary: String::new(),
            evidence: vec![evidence.to_owned()],
            ..Finding::default()
        }],
        ..HostDetail::default()
    };
    let text = text(vec![checked("a", "0 B free"), checked("b", "1 B free")]);
    assert_eq!(
        text,
        "2 hosts: SUCCESS\n  hosts  │ a, b\n  cause  │ 2401 critical: /var is full\n         │   0 B free\n\
         \u{20} fix    │ 1301: Free space.\n\n"
    );
}

fn waiting(name: &str, message: &str) -> HostDetail {
    HostDetail {
        uuid: "inet-1".to_owned(),
        instance_name: name.to_owned(),
        status: "DISPATCH".to_owned(),
        dispatch_type: DispatchType::Manual,
        message: message.to_owned(),
        res_code: vec!["1003".to_owned()],
        res_msg: vec!["sh -c 'genuine'".to_owned()],
        online: Some(false),
        ..HostDetail::default()
    }
}

#[test]
fn a_command_to_run_by_hand_is_shown_for_its_host_at_the_end() {
    let text = text(vec![
        waiting("a", ""),
        waiting("b", ""),
        ran("c", "SUCCESS", 0, ""),
    ]);
    assert_eq!(
        text,
        "2 hosts: DISPATCH, the host is offline\n  hosts  │ a, b\n\n\
         1 host: SUCCESS, exit code 0\n  hosts  │ c\n\n\
         Run by hand:\n\n\
         \u{20} on host inet-1\n  name   │ a\n  sh -c 'genuine'\n\n\
         \u{20} on host inet-1\n  name   │ b\n  sh -c 'genuine'\n"
    );
}

#[test]
fn commands_that_are_not_shown_are_counted() {
    let text = text((0..MANUAL_MAX + 2).map(|_| waiting("a", "")).collect());
    assert_eq!(text.matches("genuine").count(), MANUAL_MAX, "{text}");
    assert!(text.contains("and on 2 more hosts"), "{text}");
}

/// A command that a host wants to be pasted, dressed as one of ours: behind line ends of all kinds, behind cursor movements, and
/// behind as many blanks as bring it to the next row of a terminal.
fn forged(width: usize) -> String {
    const LINES: [&str; 5] = [
        "",
        "1 host: DISPATCH, the host is offline",
        "Run by hand:",
        "  on host inet-9",
        "  sh -c 'evil'",
    ];
    let mut text = "web-1".to_owned();
    for end in [
        "\n", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{b}", "\u{1b}[E", "\u{9b}E",
    ] {
        text.push_str(&LINES.join(end));
    }
    for line in LINES {
        text.push_str(&format!("{line:width$}"));
    }
    text
}

#[test]
fn nothing_that_a_host_says_can_pass_for_a_command_to_run_by_hand() {
    const WIDTH: usize = 80;
    for width in [None, Some(WIDTH), Some(0)] {
        let evil = forged(WIDTH);
        let mut said = waiting(&evil, &evil);
        said.cause_code = vec!["2401".to_owned()];
        said.cause_msg = vec![evil.clone()];
        said.findings = vec![Finding {
            cause: 2401,
            summary: evil.clone(),
            evidence: vec![evil.clone()],
            ..Finding::default()
        }];
        said.stdout = Some(evil.clone());
        said.stderr = Some(evil.clone());
        said.url = evil;
        let text = text_at(vec![said], width);
        let ours: Vec<&str> = text.lines().filter(|it| !it.contains(" │")).collect();
        assert_eq!(
            ours,
            [
                "1 host: DISPATCH, the host is offline",
                "",
                "Run by hand:",
                "",
                "  on host inet-1",
                "  sh -c 'genuine'",
            ],
            "{text}"
        );
        for line in text.lines().filter(|it| it.contains(" │")) {
            assert_eq!(line.chars().nth(BAR - 2), Some('│'), "{text}");
            let too_wide = width == Some(WIDTH) && line.chars().count() > WIDTH;
            assert!(!too_wide, "{line}");
        }
        assert!(
            text.chars().all(|it| it == '\n' || !it.is_control()),
            "{text:?}"
        );
    }
}

#[test]
fn a_name_that_could_be_several_is_quoted() {
    let text = text(vec![ran("web-1, db-9", "SUCCESS", 0, "")]);
    assert!(text.contains("hosts  │ \"web-1, db-9\"\n"), "{text}");
}

#[test]
fn many_hosts_and_long_outputs_are_cut_with_a_count() {
    let lines = 2 * OUTPUT_LINES_HALF + 7;
    let long: String = (1..=lines).map(|at| format!("line {at}\n")).collect();
    let details = (0..NAMES_MAX + 5).map(|at| ran(&format!("h{at}"), "SUCCESS", 0, &long));
    let text = text(details.collect());
    assert!(text.contains("and 5 more"), "{text}");
    assert!(text.contains("… 7 lines of what is kept"), "{text}");
    let shown = text.matches("│ line ").count();
    assert_eq!(shown, 2 * OUTPUT_LINES_HALF, "{text}");
    assert!(text.contains("output │ line 1\n"), "{text}");
    assert!(text.contains(&format!("│ line {lines}\n")), "{text}");
}

#[test]
fn a_healthy_host_has_no_cause_and_an_undelivered_one_says_so() {
    let healthy = HostDetail {
        status: "SUCCESS".to_owned(),
        problem_type: "other".to_owned(),
        ..HostDetail::default()
    };
    assert_eq!(how(&healthy), "SUCCESS, no cause found");
    let lost = HostDetail {
        status: "TIMEOUT".to_owned(),
        reason: "never_delivered".to_owned(),
        ..HostDetail::default()
    };
    assert!(how(&lost).contains("never delivered"));
}

fn runs(name: &str, output: &str, length: u64) -> (HostDetail, Option<Now>) {
    let leaf = protocol::api::task::Task {
        output_tail: output.to_owned(),
        output_length: Some(length),
        ..Default::default()
    };
    let detail = HostDetail {
        instance_name: name.to_owned(),
        status: "DISPATCH".to_owned(),
        message: "running".to_owned(),
        ..HostDetail::default()
    };
    (detail, Now::of(&leaf))
}

fn running(hosts: u32) -> String {
    let mut groups = Groups::default();
    for host in 1..=hosts {
        let (detail, now) = runs(&format!("web-{host}"), "a\nb\u{1b}[2J\n", 100);
        groups.add(detail, now);
    }
    groups.text(None)
}

#[test]
fn a_running_host_shows_its_output_so_far_a_few_their_last_lines_and_many_nothing() {
    let one = "1 host: DISPATCH\n  hosts  │ web-1\n  said   │ running\n  \
               now    │ 100 bytes of output, the last 8 of them here\n  so far │ a\n         │ b\u{fffd}[2J\n\n";
    assert_eq!(running(1), one);
    let few = running(HOSTS_MAX);
    for host in 1..=HOSTS_MAX {
        let line = format!("  now    │ web-{host}: b\u{fffd}[2J\n");
        assert!(few.contains(&line), "{few}");
    }
    assert!(!running(HOSTS_MAX + 1).contains("now"));
}

#[test]
fn a_line_of_output_stays_behind_its_bar() {
    assert_eq!(
        output_line("a\tb\r", None),
        "  output │ a       b\u{fffd}\n"
    );
    let long = output_line(&"x".repeat(17), Some(16));
    assert_eq!(
        long,
        format!("  output │ {}\n         │ x\n", "x".repeat(16))
    );
}
