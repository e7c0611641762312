use super::*;

fn host(key: &Key) -> Vec<&'static str> {
    match key {
        Key::Os => vec!["debian", "Debian GNU/Linux 12 (bookworm)"],
        Key::Name => vec!["db-7.example"],
        Key::Group => vec!["data base"],
        Key::Ip => vec!["10.0.0.7", "2001:db8::7"],
        Key::Status => vec!["online"],
        Key::Arch => vec!["x86_64"],
        Key::Label(key) if key.as_str() == "env" => vec!["Prod"],
        Key::Label(_) | Key::Kernel | Key::Uuid | Key::Version => Vec::new(),
    }
}

#[test]
fn a_selector_means_what_it_says() {
    for (text, expected) in [
        ("os = debian", true),
        ("OS=Debian AND status=online", true),
        ("os != debian", false),
        ("name ~ \"db-\"", true),
        ("name ~ web or ip = 2001:db8::7", true),
        ("group in (web, \"Data Base\")", true),
        ("group not in (web, \"data base\")", false),
        ("not (os = debian and arch = x86_64)", false),
        ("not os = alpine and not not status = online", true),
        ("os = alpine and os = debian or arch = x86_64", true),
        ("os = alpine and (os = debian or arch = x86_64)", false),
        ("version = 1", false),
        ("version != 1", true),
        ("label.env = prod", true),
        ("LABEL.Env in (stage, PROD)", true),
        ("label.env not in (prod)", false),
        ("label.env ~ ro", true),
        ("label.tier = web", false),
        ("label.tier != web", true),
        ("label.tier not in (web)", true),
        ("label.env exists", true),
        ("label.tier exists", false),
        ("not label.tier exists and os exists", true),
        ("version exists", false),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.matches(&host), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, message) in [
        ("", "expected a key at the end"),
        (
            "os",
            "expected `=`, `!=`, `~`, `in`, `not in` or `exists` at the end",
        ),
        ("os = ", "expected a value at the end"),
        (
            "os = debian status = online",
            "expected `and`, `or` or the end before `status` at character 13",
        ),
        ("(os = debian", "expected `)` at the end"),
        (
            "os in debian",
            "expected `(` before `debian` at character 7",
        ),
        (
            "os not debian",
            "expected `in` before `debian` at character 8",
        ),
        (
            "name = \"db",
            "the quoted value at character 8 is not closed",
        ),
        (
            "os ! debian",
            "expected `=`, `!=`, `~`, `in`, `not in` or `exists` before `!` at character 4",
        ),
    ] {
        assert_eq!(
            Selector::parse(text).unwrap_err().to_string(),
            message,
            "{text}"
        );
    }
    let error = Selector::parse("os = a or label = a").unwrap_err();
    let error = error.to_string();
    let start = "`label` at character 11 is not a key; keys are arch, group, ip,";
    assert!(error.starts_with(start), "{error}");
    assert!(error.ends_with(" and label.KEY"), "{error}");
    let error = Selector::parse("label.-x = a").unwrap_err().to_string();
    let start = "`label.-x` at character 1: `-x` is no label key: that is 1 to 63 letters";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn length_and_depth_are_limited() {
    let nested = |depth: usize| format!("{}os=a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Selector::parse(&nested(limits::SELECTOR_DEPTH_MAX - 1)).is_ok());
    let deeper = Selector::parse(&nested(limits::SELECTOR_DEPTH_MAX));
    assert_eq!(deeper.unwrap_err(), Error::TooDeep);
    let long = |bytes: usize| format!("os={}", "a".repeat(bytes - 3));
    assert!(Selector::parse(&long(limits::SELECTOR_BYTES_MAX)).is_ok());
    let longer = Selector::parse(&long(limits::SELECTOR_BYTES_MAX + 1));
    assert_eq!(longer.unwrap_err(), Error::TooLong);
}
