use super::*;

fn host(key: &Key) -> Values<'static> {
    Values::all(match key {
        Key::Account | Key::ProcessName | Key::PackageName | Key::Package(_) => {
            return partly_known(key);
        }
        Key::Port => vec!["22", "443"],
        Key::KernelModule => Vec::new(),
        Key::Os => vec!["debian", "Debian GNU/Linux 12 (bookworm)"],
        Key::Name => vec!["db-7.example"],
        Key::Group => vec!["data base"],
        Key::Ip => vec!["10.0.0.7", "2001:db8::7"],
        Key::Status => vec!["online"],
        Key::Arch => vec!["x86_64"],
        Key::Label(key) if key.as_str() == "env" => vec!["Prod"],
        Key::Kernel => vec!["6.1.0-18-amd64"],
        Key::Label(_) | Key::Uuid | Key::Version => Vec::new(),
    })
}

/// Nothing of accounts, some of the packages, all processes.
fn partly_known(key: &Key) -> Values<'static> {
    let known = match key {
        Key::PackageName => vec!["openssl", "linux-image"],
        Key::Package(name) if name == "openssl" => vec!["3.0.7-1~deb12u1"],
        Key::Package(name) if name == "linux-image" => vec!["5.10.1", "6.1.2"],
        Key::ProcessName => vec!["nginx", "sshd"],
        _ => Vec::new(),
    };
    Values {
        is_all: *key == Key::ProcessName,
        known,
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
        ("ip in (192.0.2.0/24, 10.0.0.0/8)", true),
        ("ip = 2001:DB8:0::7 and ip = 10.0.0.7 and ip ~ 0.0.7", true),
        ("ip != 10.0.0.0/29", false),
        ("ip not in (10.0.0.8/29, 2001:db9::/32)", true),
        ("status ~ on and port ~ 44", true),
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
        ("version < 2", false),
        ("kernel < 6.1.0-20 and kernel >= 6.1", true),
        ("kernel = 6.1.0-18", true),
        ("port = 443 and port in (22, 80) and port > 442", true),
        ("port < 22", false),
        ("process.name = NGINX and not process.name = apache2", true),
        ("package(openssl) < 3.0.8", true),
        (
            "package(OpenSSL) <= 3.0.7 and package(openssl) = 3.0.7",
            true,
        ),
        ("package(openssl) = \"3.0.7-1~deb12u1\"", true),
        ("package(openssl) exists and package.name = openssl", true),
        ("package(linux-image)<6 and package(linux-image)>6", true),
        ("kernel.module = wireguard", false),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.matches(&host), Some(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, message) in [
        (
            "",
            "the selector is empty: say which hosts, as in `os = debian`",
        ),
        (
            "not status = ofline",
            "`ofline` at character 14 is no value of status: those are `online` and `offline`",
        ),
        (
            "status != \"\"",
            "the value at character 11 is empty: `KEY exists` asks whether there is any",
        ),
        (
            "label.env ~ \"\"",
            "the value at character 13 is empty: `KEY exists` asks whether there is any",
        ),
        (
            "port in (22, https)",
            "`https` at character 14 is no value of port: those are numbers from 1 to 65535",
        ),
        (
            "port < 65536",
            "`65536` at character 8 is no value of port: those are numbers from 1 to 65535",
        ),
        (
            "ip = 192.0.2.0/33",
            "`192.0.2.0/33` at character 6 is no value of ip: those are addresses and, but after `~`, networks such as 192.0.2.0/24",
        ),
        (
            "not ip ~ 192.0.2.0/24",
            "`192.0.2.0/24` at character 10 is no value of ip: those are addresses and, but after `~`, networks such as 192.0.2.0/24",
        ),
        (
            "label.note = 'data base'",
            "values with blanks or signs stand in double quotes: `'data` at character 14 has a single one",
        ),
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
    let start = "`label` at character 11 is not a key; keys are account.name, arch, group, ip,";
    assert!(error.starts_with(start), "{error}");
    assert!(error.ends_with(", package(NAME) and label.KEY"), "{error}");
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

#[test]
fn what_is_not_known_decides_nothing() {
    for (text, expected) in [
        ("account.name = bob", None),
        ("not account.name = bob", None),
        ("account.name != bob", None),
        ("account.name exists", None),
        ("package(bash) exists", None),
        ("package(openssl) >= 3.0.8", None),
        ("not package(openssl) >= 3.0.8", None),
        ("account.name = bob or os = debian", Some(true)),
        ("account.name = bob or os = alpine", None),
        ("account.name = bob and os = alpine", Some(false)),
        ("os = debian and not account.name = bob", None),
        ("not (os = alpine and account.name = bob)", Some(true)),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.matches(&host), expected, "{text}");
    }
}

#[test]
fn a_selector_says_which_lists_it_looks_at() {
    use AssetItem::{Accounts, KernelModules, Packages, Ports, Processes};
    for (text, items) in [
        ("os = debian and label.env exists", vec![]),
        ("package(a) < 1 or not package.name ~ b", vec![Packages]),
        (
            "port = 1 and (account.name = a or kernel.module = b) and process.name in (c)",
            vec![Accounts, Ports, Processes, KernelModules],
        ),
    ] {
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.items(), items.into_iter().collect(), "{text}");
    }
}

#[test]
fn comparing_by_order_is_refused_where_there_is_none() {
    for (text, message) in [
        (
            "os < 12",
            "`os` at character 1 has no order: `<`, `<=`, `>` and `>=` compare kernel, package(NAME), port and version",
        ),
        (
            "os = a and package.version < 3",
            "`package.version` at character 12 belongs to a package: write `package(openssl) < 3.0.8`",
        ),
        (
            "package = openssl",
            "expected `(` and the package's name before `=` at character 9",
        ),
        ("package(a b", "expected `)` before `b` at character 11"),
        (
            "package(a)",
            "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `in`, `not in` or `exists` at the end",
        ),
    ] {
        let error = Selector::parse(text).unwrap_err().to_string();
        assert_eq!(error, message, "{text}");
    }
}
