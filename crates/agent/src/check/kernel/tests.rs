use super::*;

/// An agent that runs since boot as process 81.
fn life() -> Life {
    Life {
        pids: vec![81],
        groups: vec!["/system.slice/sickbay-agent.service".into()],
        ..Life::default()
    }
}

fn causes(records: &[&str], now: u64) -> Vec<u16> {
    let lines: Vec<Line> = records.iter().filter_map(|it| parse(it)).collect();
    let subject = super::super::tests::own("/d".as_ref(), None);
    let own = judge_agent(&lines, now, &subject, &life());
    let disks = judge(&lines, now, Cause::KernelDiskErrors, is_disk_error);
    let damage = judge(&lines, now, Cause::FileSystemErrors, is_damage);
    let all = own.iter().chain(&disks).chain(&damage);
    all.map(|it| it.cause).collect()
}

#[test]
fn records_are_read() {
    let line = parse(
        "3,1200,86400000001,-;blk_update_request: I/O error, dev sda, sector 1\n SUBSYSTEM=block\n",
    );
    let text = "blk_update_request: I/O error, dev sda, sector 1".to_owned();
    assert_eq!(
        line,
        Some(Line {
            seconds: 86_400,
            text
        })
    );
    assert_eq!(parse("odd"), None);
}

#[test]
fn only_the_agents_own_death_of_the_last_day_counts() {
    let own = "3,1,1000000,-;Memory cgroup out of memory: Killed process 81 (sickbay-agent) total-vm:1kB, anon-rss:2kB";
    let other = "3,2,1000000,-;Out of memory: Killed process 82 (java) total-vm:1kB";
    assert_eq!(causes(&[own, other], 100), [2504]);
    assert_eq!(causes(&[own], 2 * 86_400), [0_u16; 0]);
    assert_eq!(causes(&[other], 100), [0_u16; 0]);
}

#[test]
fn whom_the_host_killed_of_late_is_told_from_a_container_at_its_limit() {
    let cause = |text: &str, now| {
        let line = parse(&format!("3,1,1000000,-;{text}")).unwrap();
        let subject = super::super::tests::own("/d".as_ref(), None);
        judge_others(&[line], now, &subject).map(|it| it.cause)
    };
    let java = "Out of memory: Killed process 82 (java) total-vm:1kB";
    assert_eq!(cause(java, 100), Some(2804));
    assert_eq!(cause(java, 9_000), None);
    assert_eq!(
        cause(
            &java.replace("Out of memory", "Memory cgroup out of memory"),
            100
        ),
        None
    );
    assert_eq!(cause(&java.replace("java", "sickbay-agent"), 100), None);
}

#[test]
fn the_death_of_a_namesake_in_a_container_is_told_by_its_control_group() {
    let killing = |group: &str| {
        let about = format!(
            "6,1,1000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={group},task_memcg={group},task=sickbay-agent,pid=9,uid=0"
        );
        let killed = "3,2,1000001,-;Memory cgroup out of memory: Killed process 9 (sickbay-agent) total-vm:1kB";
        causes(&[&about, killed], 100)
    };
    assert_eq!(killing("/docker/4f1"), [0_u16; 0]);
    assert_eq!(killing("/system.slice/sickbay-agent.service"), [2504]);
}

#[test]
fn the_number_of_the_process_is_read_from_each_kind_of_line() {
    for text in [
        "Out of memory: Killed process 81 (x y) total-vm:1kB",
        "traps: x[81] general protection fault ip:0 sp:0 error:0",
        "x[81]: segfault at 0 ip 0000 sp 0000 error 4 in x[40+1]",
        "INFO: task x:y:81 blocked for more than 120 seconds.",
        "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=81 comm=\"x\"",
    ] {
        assert_eq!(pid_of(text), Some(81), "{text}");
    }
    assert_eq!(pid_of("cgroup: fork rejected"), None);
}

#[test]
fn an_empty_drive_is_no_failing_disk() {
    let disk = "3,1,1000000,-;I/O error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0";
    let floppy = "3,1,1000000,-;blk_update_request: I/O error, dev fd0, sector 0";
    let optical = "3,1,1000000,-;Buffer I/O error on dev sr0, logical block 1";
    assert_eq!(causes(&[disk], 100), [2803]);
    assert_eq!(causes(&[floppy, optical], 100), [0_u16; 0]);
}

#[test]
fn damaged_file_systems_are_told_from_lines_that_only_name_one() {
    let at = |text: &str| causes(&[&format!("3,1,1000000,-;{text}")], 100);
    assert_eq!(
        at(
            "EXT4-fs error (device sda1): ext4_lookup:1855: inode #2: comm x: deleted inode referenced: 12"
        ),
        [2407]
    );
    assert_eq!(
        at("XFS (dm-0): Metadata corruption detected at xfs_agi_verify"),
        [2407]
    );
    assert_eq!(
        at("EXT4-fs (sda1): Remounting filesystem read-only"),
        [2407]
    );
    for fine in [
        "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
        "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro. Quota mode: none.",
        "XFS (dm-0): Ending clean mount",
        "EXT4-fs error (device loop0): ext4_lookup: deleted inode referenced: 12",
    ] {
        assert_eq!(at(fine), [0_u16; 0], "{fine}");
    }
}

#[test]
fn what_the_kernel_did_to_the_agent_is_found() {
    let at = |text: &str| causes(&[&format!("3,1,1000000,-;{text}")], 100);
    assert_eq!(
        at("sickbay-agent[81]: segfault at 0 ip 0000 sp 0000 error 4 in x[40+1]"),
        [2805]
    );
    assert_eq!(
        at("traps: sickbay-agent[81] general protection fault ip:0 sp:0 error:0"),
        [2805]
    );
    assert_eq!(
        at("INFO: task sickbay-agent:81 blocked for more than 120 seconds."),
        [2806]
    );
    assert_eq!(
        at("cgroup: fork rejected by pids controller in /system.slice/sickbay-agent.service"),
        [2511]
    );
    assert_eq!(
        at(
            "audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"x\" name=\"/etc/x\" pid=1 comm=\"sickbay-agent\""
        ),
        [2414]
    );
    assert_eq!(
        at(
            "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 comm=\"sickbay-agent\" name=\"x\" permissive=0"
        ),
        [2413]
    );
    assert_eq!(
        at(
            "audit: type=1326 audit(1.2:3): auid=1 comm=\"sickbay-agent\" exe=\"/x\" sig=31 arch=c000003e syscall=41"
        ),
        [2808]
    );
    for other in [
        "java[81]: segfault at 0 ip 0000 sp 0000 error 4",
        "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 comm=\"sickbay-agent\" permissive=1",
        "audit: type=1400 audit(1.2:3): apparmor=\"ALLOWED\" pid=1 comm=\"sickbay-agent\"",
        "cgroup: fork rejected by pids controller in /system.slice/cron.service",
        "cgroup: fork rejected by pids controller in /box/1/system.slice/sickbay-agent.service",
    ] {
        assert_eq!(at(other), [0_u16; 0], "{other}");
    }
}

#[test]
fn a_broken_kernel_log_is_survived() {
    let samples = [
        "3,1,1000000,-;Memory cgroup out of memory: Killed process 81 (sickbay-agent) total-vm:1kB",
        "3,1,1,-;traps: sickbay-agent[81] general protection fault ip:0 sp:0 error:0",
        "3,1,1,-;INFO: task sickbay-agent:81 blocked for more than 120 seconds.",
        "3,1,1,-;audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" comm=\"sickbay-agent\"",
        "3,1,1,-;EXT4-fs error (device sda1): ext4_lookup:1855: inode #2: comm x: deleted inode",
        "3,1,1,-;cgroup: fork rejected by pids controller in /system.slice/sickbay-agent.service",
    ];
    let subject = super::super::tests::own("/d".as_ref(), None);
    crate::fuzz::text("kernel log", &samples, |it| {
        let lines: Vec<Line> = it.split('\n').filter_map(parse).collect();
        judge_agent(&lines, 100, &subject, &life());
        judge_others(&lines, 100, &subject);
        judge(&lines, 100, Cause::FileSystemErrors, is_damage);
        is_disk_error(it);
    });
}
