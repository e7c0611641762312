use super::runbook::own_copy;
use super::*;
use protocol::runbook::Runbook;
use protocol::work::OpsWork;
use std::os::unix::fs::PermissionsExt;

fn read(text: &str) -> Result<Policy, String> {
    Policy::read(Path::new("agent.toml"), text).map_err(|it| it.to_string())
}

fn command(run_as: Option<&str>) -> Work {
    Work::Ops(OpsWork {
        command: "id".into(),
        run_as: run_as.map(Into::into),
        ..OpsWork::default()
    })
}

#[test]
fn every_key_reads() {
    let policy = read(
        "allowed_task_types = [\"CLIENT_DEV_OPS\"]\ncommands = true\n\
         allowed_users = [\"www-data\"]\ncommand_seconds_max = 60\n\
         output_bytes_max = 1024\nwork_at_once_max = 1\n\
         allowed_runbooks = [\"rotate-logs\"]\n",
    );
    let expected = Policy {
        allowed_task_types: vec![TaskType::ClientDevOps],
        commands: true,
        allowed_users: Some(["www-data".to_owned()].into()),
        command_seconds_max: Some(60),
        output_bytes_max: 1024,
        work_at_once_max: 1,
        allowed_runbooks: Some(["rotate-logs".to_owned()].into()),
        rules: policy.as_ref().unwrap().rules.clone(),
    };
    assert_eq!(policy, Ok(expected));
    assert_eq!(
        read(""),
        Ok(Policy {
            rules: Rules::of(Path::new("agent.toml"), ""),
            ..Policy::default()
        })
    );
}

#[test]
fn a_fault_names_file_line_and_key() {
    for (text, line, word) in [
        ("commands = true\ncomands = false\n", 2, "`comands`"),
        ("\n\ncommands = \"yes\"", 3, "`commands`"),
        ("allowed_task_types = [\"X\"]", 1, "`allowed_task_types`"),
        ("command_seconds_max = 0", 1, "`command_seconds_max`"),
        ("output_bytes_max = 65537", 1, "`output_bytes_max`"),
        ("work_at_once_max = -1", 1, "`work_at_once_max`"),
        ("commands = ", 1, "`commands`"),
    ] {
        let error = read(text).unwrap_err();
        let head = format!("the policy agent.toml is wrong at line {line}: ");
        assert!(error.starts_with(&head), "{error}");
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_file_that_others_may_write_is_refused_and_a_missing_one_means_the_defaults() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("agent.toml");
    assert_eq!(Policy::load(&path).unwrap(), Policy::default());
    fs::write(&path, "commands = false").unwrap();
    for (mode, safe) in [(0o644, true), (0o600, true), (0o664, false), (0o646, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match Policy::load(&path) {
            Ok(policy) => assert!(safe && !policy.commands),
            Err(error) => assert!(
                !safe && error.to_string().contains("its mode is"),
                "{error}"
            ),
        }
    }
}

#[test]
fn a_directory_that_others_may_write_is_refused_with_and_without_the_file() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("agent.toml");
    for _ in 0..2 {
        for (mode, safe) in [(0o755, true), (0o775, false), (0o1777, false)] {
            fs::set_permissions(temp.path(), fs::Permissions::from_mode(mode)).unwrap();
            match Policy::load(&path) {
                Ok(_) => assert!(safe, "{mode:o}"),
                Err(error) => assert!(!safe && matches!(error, Error::UnsafeDir { .. })),
            }
        }
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let nowhere = temp.path().join("missing/agent.toml");
    assert_eq!(Policy::load(&nowhere).unwrap(), Policy::default());
}

#[test]
fn a_named_policy_must_exist() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("agent.toml");
    for missing in [&path, &temp.path().join("missing/agent.toml")] {
        let error = Policy::load_named(missing).unwrap_err();
        let line = format!("there is no policy {}", missing.display());
        assert_eq!(error.to_string(), line);
    }
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Policy::load_named(&path).unwrap().commands);
}

#[test]
fn only_a_runbook_that_is_the_same_here_runs_where_only_runbooks_may() {
    let policy = read("commands = true\nallowed_runbooks = [\"restart-agent\", \"own\"]").unwrap();
    let refusal = |ops: OpsWork| policy.refusal(TaskType::ClientDevOps, &Work::Ops(ops));
    let given = [("unit".to_owned(), "x.service".to_owned())].into();
    let work = |name: &str| Runbook::find(name).unwrap().resolve(&given, None).unwrap();
    assert_eq!(refusal(work("restart-agent")), None);
    let rule = "(agent.toml line 2: allowed_runbooks = [";
    let mut forged = work("restart-agent");
    forged.command.push_str("; reboot");
    let mut preloaded = work("restart-agent");
    preloaded
        .env
        .insert("LD_PRELOAD".to_owned(), "/tmp/x.so".to_owned());
    let mut renamed = work("enable-agent");
    renamed.runbook.as_mut().unwrap().name = "own".to_owned();
    let Work::Ops(plain) = command(None) else {
        unreachable!()
    };
    for (ops, what) in [
        (plain, "commands that are no runbook"),
        (work("enable-agent"), "the runbook `enable-agent` ("),
        (forged, "this host's copy is different"),
        (preloaded, "this host's copy is different"),
        (renamed, "of which there is no copy here"),
    ] {
        let why = refusal(ops).unwrap();
        assert!(why.contains(what) && why.contains(rule), "{why}");
    }
}

#[test]
fn a_host_s_own_runbook_counts_only_where_nobody_else_may_write() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("own.toml");
    fs::write(&path, "title = \"t\"\ncommand = \"id\"\n").unwrap();
    for (mode, is_safe) in [(0o644, true), (0o666, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let own = own_copy("own", temp.path());
        assert_eq!(own.is_ok_and(|it| it.is_some()), is_safe, "{mode:o}");
    }
    assert_eq!(own_copy("../own", temp.path()), Ok(None));
}

#[test]
fn a_summary_says_what_is_allowed() {
    let text = "allowed_task_types = [\"CLIENT_DEV_OPS\"]\ncommands = false\nallowed_users = []";
    let summary = read(text).unwrap().summary();
    let head = "task types CLIENT_DEV_OPS, commands no, users none, ";
    assert!(summary.starts_with(head), "{summary}");
    let usual = Policy::default().summary();
    assert!(
        usual.starts_with("task types all, commands yes, users all, "),
        "{usual}"
    );
}

#[test]
fn a_refusal_names_the_rule() {
    let ops = TaskType::ClientDevOps;
    let policy = read("allowed_users = [\"www-data\"]").unwrap();
    assert_eq!(policy.refusal(ops, &command(Some("www-data"))), None);
    for user in [Some("root"), Some("0"), Some(""), None] {
        let refusal = policy.refusal(ops, &command(user)).unwrap();
        assert!(
            refusal.ends_with("(agent.toml line 1: allowed_users = [\"www-data\"])"),
            "{refusal}"
        );
    }
    let off = read("commands = false").unwrap();
    let refusal = off.refusal(ops, &command(None)).unwrap();
    assert!(refusal.ends_with("(agent.toml line 1: commands = false)"));
    let types = read("allowed_task_types = [\"CLIENT_PROBLEM_CHECK\"]").unwrap();
    let refusal = types.refusal(ops, &command(None)).unwrap();
    assert!(refusal.contains("(agent.toml line 1: allowed_task_types = ["));
    assert_eq!(Policy::default().refusal(ops, &command(None)), None);
}
