use super::*;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_shipped_one_reads_and_says_what_its_parameters_mean() {
    for (name, text) in SHIPPED {
        Runbook::parse(name, text).unwrap();
    }
    let shipped = Runbook::shipped();
    let fixes = Fix::ALL.iter().filter(|it| it.action().is_some()).count();
    assert_eq!(shipped.len(), SHIPPED.len() + fixes);
    for runbook in shipped {
        assert!(!runbook.title.is_empty(), "{}", runbook.name);
        let helps = runbook.parameters.values().map(|it| it.help.as_str());
        assert!(helps.into_iter().all(|it| !it.is_empty()));
    }
}

#[test]
fn a_runbook_with_values_is_work_and_a_value_never_becomes_syntax() {
    let runbook = Runbook::find("clear-cache-directory").unwrap();
    let given = values(&[("directory", "/var/cache/a'; reboot #")]);
    let work = runbook.resolve(&given, None).unwrap();
    let word = r"'/var/cache/a'\''; reboot #'";
    assert!(work.command.starts_with(&format!("cd -P -- {word} && ")));
    assert!(work.before.unwrap().contains(word) && work.after.unwrap().contains(word));
    assert_eq!(work.runbook.unwrap().parameters, given);
    for bad in [
        "/var/cache",
        "/var/cache/..",
        "/var/cached/x",
        "/etc",
        "/var/cache//x",
        "x",
    ] {
        let error = runbook.resolve(&values(&[("directory", bad)]), None);
        assert!(matches!(error, Err(Error::Value { .. })), "{bad}");
    }
    let missing = runbook.resolve(&values(&[]), None).unwrap_err();
    assert!(missing.to_string().contains("needs a value for directory"));
    let unknown = runbook
        .resolve(&values(&[("path", "/x")]), None)
        .unwrap_err();
    assert!(unknown.to_string().ends_with("it has directory"));
}

#[test]
fn a_fix_with_a_command_is_a_runbook_and_one_may_take_its_command() {
    let given = values(&[("unit", "x.service")]);
    let fix = Runbook::find("fix-1404")
        .unwrap()
        .resolve(&given, None)
        .unwrap();
    let own = Runbook::find("restart-agent").unwrap();
    assert_eq!(own.resolve(&given, None).unwrap().command, fix.command);
    assert!(fix.command.contains("restart -- x.service"));
    assert_eq!(Runbook::find("fix-1301"), None);
}

#[test]
fn what_is_half_understood_is_refused_with_its_place() {
    let head = "title = \"t\"\ncommand = \"echo WORD\"\n";
    for (text, words) in [
        ("title = 1", "line 1"),
        ("title = \"t\"\ncomand = \"x\"", "line 2"),
        ("title = \"t\"", "command or fix"),
        ("title = \"t\"\nfix = 1301", "no fix 1301"),
        ("title = \"t\"\nfix = 1404", "needs the parameter unit"),
        (
            "title = \"t\"\ncommand = 'echo \"WORD\"'\n[parameters.word]\ntype = \"string\"\nhelp = \"h\"",
            "inside quotes",
        ),
        (
            &format!("{head}[parameters.word]\ntype = \"float\"\nhelp = \"h\""),
            "is no type",
        ),
        (
            &format!(
                "{head}[parameters.word]\ntype = \"integer\"\nmax = 3\ndefault = \"4\"\nhelp = \"h\""
            ),
            "its default",
        ),
        (
            &format!("{head}[parameters.WORD]\ntype = \"string\"\nhelp = \"h\""),
            "cannot be a parameter",
        ),
    ] {
        let error = Runbook::parse("x", text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(Runbook::parse("../x", head).is_err());
}

#[test]
fn only_its_users_may_run_it() {
    let text = "title = \"t\"\ncommand = \"id\"\nusers = [\"www-data\", \"nobody\"]\n";
    let runbook = Runbook::parse("x", text).unwrap();
    let run_as = |user| runbook.resolve(&values(&[]), user).map(|it| it.run_as);
    assert_eq!(run_as(None), Ok(Some("www-data".to_owned())));
    assert_eq!(run_as(Some("nobody")), Ok(Some("nobody".to_owned())));
    let error = run_as(Some("root")).unwrap_err().to_string();
    assert!(error.contains("www-data, nobody only"), "{error}");
}
