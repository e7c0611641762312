use super::*;
use crate::check::Local;
use crate::check::tests::local;

const SOUND: &str = "\
name = \"x\"
title = \"X\"
sources = [\"https://x.example/manual\"]
[process]
names = [\"xd\"]
";

fn parse(text: &str) -> Result<Profile, Fault> {
    Profile::parse(Path::new("/etc/sickbay/profiles/x.toml"), text)
}

#[test]
fn every_built_in_profile_is_sound() {
    let profiles = Profiles::load(Path::new("/nonexistent"));
    let faults: Vec<String> = profiles.faults().map(ToString::to_string).collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(profiles.all().count(), BUILT_IN.len());
    let names: Vec<&str> = BUILT_IN.iter().map(|it| it.0).collect();
    assert!(names.is_sorted(), "{names:?}");
    for known in profiles.all() {
        let Profile {
            name, conflicts, ..
        } = &known.profile;
        for other in conflicts {
            assert!(names.contains(&other.as_str()), "{name} names {other}");
            let theirs = &profiles.find(other.as_str()).unwrap().profile.conflicts;
            assert!(theirs.contains(name), "{other} does not name {name}");
        }
    }
}

#[test]
fn a_refused_directory_is_why_a_profile_of_the_hosts_own_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.toml"), SOUND).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let profiles = Profiles::load(dir.path());
    let why = profiles.find("x").unwrap_err().to_string();
    assert!(why.contains("0777") && why.contains("chmod go-w"), "{why}");
    assert!(
        profiles.find("sshd").is_ok(),
        "a built-in one needs no directory"
    );
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    std::fs::write(&path, [SOUND.as_bytes(), b"# caf\xe9\n"].concat()).unwrap();
    let why = Profile::read(&path).unwrap_err().to_string();
    assert!(why.ends_with("x.toml:6: this line is not UTF-8"), "{why}");
}

#[test]
fn a_fault_names_file_line_and_what_would_be_right() {
    for (faulty, line, why) in [
        (
            "[process]\nname = [\"xd\"]\n",
            5,
            "unknown field `name`, expected one of `names`",
        ),
        ("[process]\nnames = \"xd\"\n", 5, "expected a sequence"),
        (
            "[process]\nnames = [\"xd\"]\nlimits.memory_mib = 5\n",
            6,
            "`limits` belongs above the first line in brackets",
        ),
        ("[process]\n", 1, "`names` or `scripts`"),
        ("[process]\nnames = [\"\"]\n", 1, "`names` or `scripts`"),
        (
            "[process]\nnames = [\"xd\"]\n[[log_lines]]\npattern = \"abc\"\ncause = \"DiskFul\"\nexample = \"abc\"\n",
            8,
            "the nearest is `DiskFull`",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[log_lines]]\npattern = \"* {\"\ncause = \"DiskFull\"\nexample = \"abc\"\n",
            7,
            "is no pattern",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[log_lines]]\npattern = \"abc\"\ncause = \"DiskFull\"\nexample = \"ab\"\n",
            6,
            "does not fit its own example",
        ),
        (
            "[service]\nunits = [\"x\"]\n[process]\nnames = [\"xd\"]\n",
            5,
            "`x` is not the name of a systemd unit",
        ),
        (
            "[paths]\ndata = [\"var/x\"]\n[process]\nnames = [\"xd\"]\n",
            5,
            "`var/x` is not an absolute path",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[endpoints]]\nport = 1\n",
            6,
            "an endpoint has an `address`",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[endpoints]]\naddress = \"a\"\nport = 0\n",
            8,
            "a port is a number",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[config]]\npath = \"/x\"\nformat = \"tml\"\n",
            8,
            "expected one of `toml`, `yaml`",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[config]]\npath = \"/x\"\ncheck = [\"x\"]\n",
            8,
            "absolute path of a program",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[private]]\npath = \"/x\"\nmode = 0o7777\n",
            8,
            "write it as 0o640",
        ),
        (
            "[process]\nnames = [\"xd\"]\n[[paused]]\nkey = \"x\"\n",
            6,
            "a `file`, or a `key`",
        ),
    ] {
        let head = "name = \"x\"\ntitle = \"X\"\nsources = [\"https://x.example/manual\"]\n";
        let shown = parse(&format!("{head}{faulty}")).unwrap_err().to_string();
        let place = format!("/etc/sickbay/profiles/x.toml:{line}: ");
        assert!(
            shown.starts_with(&place) && shown.contains(why),
            "{faulty}\n{shown}"
        );
    }
    let nameless = SOUND.replace("\"x\"", "\"y\"");
    let shown = parse(&nameless).unwrap_err().to_string();
    assert!(
        shown.ends_with("x.toml:1: `name` is `y`, but the file is called `x`"),
        "{shown}"
    );
    let sourceless = SOUND.replace("\"https://x.example/manual\"", "");
    let shown = parse(&sourceless).unwrap_err().to_string();
    assert!(
        shown.contains("x.toml:3: `sources` names at least one"),
        "{shown}"
    );
}

#[test]
fn a_profile_of_the_hosts_own_stands_in_the_place_of_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(path, mode).unwrap();
    };
    write("x.toml", SOUND);
    write("auditd.toml", &SOUND.replace("\"x\"", "\"auditd\""));
    write("collectd.toml", "name = 1\n");
    write("notes.txt", "not one");
    let profiles = Profiles::load(dir.path());
    assert_eq!(profiles.all().count(), BUILT_IN.len() + 1);
    let own = profiles.find("auditd").unwrap();
    assert!(own.replaces && own.profile.title == "X");
    assert!(!profiles.find("x").unwrap().replaces);
    let fault = profiles.find("collectd").unwrap_err().to_string();
    assert!(fault.contains("collectd.toml:1: "), "{fault}");
    assert_eq!(profiles.faults().count(), 1);
    let unknown = profiles.find("y").unwrap_err().to_string();
    assert!(
        unknown.starts_with("there is no profile `y`; there are auto, aliyun-aegis, "),
        "{unknown}"
    );
    assert!(
        unknown.ends_with(", x, zabbix-agent, zabbix-agent2"),
        "{unknown}"
    );
}

#[test]
fn a_profile_that_others_may_change_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    fs::write(&path, SOUND).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(&path, open).unwrap();
    let fault = Profile::read(&path).unwrap_err().to_string();
    assert!(fault.contains("its mode is 0666"), "{fault}");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(dir.path(), open).unwrap();
    let profiles = Profiles::load(dir.path());
    let faults: Vec<String> = profiles.faults().map(ToString::to_string).collect();
    assert!(
        faults[0].contains("others could lay a profile down there"),
        "{faults:?}"
    );
    assert!(profiles.find("x").is_err());
}

/// A profile whose files lie in a directory of the test, resolved.
fn resolved(dir: &Path, rest: &str) -> crate::check::subject::Subject {
    let text = format!("{SOUND}{rest}").replace("DIR", dir.to_str().unwrap());
    let known = Known {
        profile: parse(&text).unwrap(),
        file: None,
        replaces: false,
    };
    on_this_host(&known, &local(dir, Some("https://sickbay.example")))
}

#[test]
fn servers_and_ports_come_out_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let conf = "Server=a.example:1,0.example:3\nServer=b.example\nListen=127.0.0.1:77\nSecure=yes\n@@c.example:514 x\n# @@d.example:514\n";
    fs::write(dir.path().join("x.conf"), conf).unwrap();
    let subject = resolved(
        dir.path(),
        "[[config]]\npath = \"DIR/x.conf\"\nformat = \"keyvalue\"\n\
         [[listens]]\nport = 9\nkey = \"listen\"\n[[listens]]\nport = 8\nkey = \"absent\"\n\
         [[endpoints]]\nkey = \"server\"\nignored = [\"0.example\"]\nport = 2\ntls_key = \"Secure\"\nhttp = \"/up\"\n\
         [[endpoints]]\npattern = \"@@{host}:{port}\"\n\
         [[endpoints]]\nkey = \"region\"\naddress = \"{value}.z.example:443\"\ndefault = \"eu\"\ntls = true\n",
    );
    let shown: Vec<String> = subject
        .targets
        .iter()
        .map(|it| it.server.to_string())
        .collect();
    assert_eq!(
        shown,
        [
            "https://a.example:1",
            "https://b.example:2",
            "http://c.example:514",
            "https://eu.z.example:443"
        ]
    );
    assert_eq!(subject.targets[0].http.as_deref(), Some("/up"));
    let ports: Vec<u16> = subject.listens.iter().map(|it| it.port).collect();
    assert_eq!(ports, [77, 8]);
}

#[test]
fn files_are_those_of_this_host() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    for name in ["data/a.key", "data/x.log", "x.conf"] {
        fs::write(dir.path().join(name), "pause = true\n").unwrap();
    }
    let subject = resolved(
        dir.path(),
        "[paths]\ndata = [\"DIR/absent\", \"DIR/data\"]\nlogs = [\"{data}/x.log\", \"{data}/y.log\"]\n\
         [[config]]\npath = \"DIR/x.conf\"\nformat = \"ini\"\n[[config]]\npath = \"DIR/y.conf\"\n\
         [[config]]\npath = \"DIR/z.conf\"\nrequired = true\n\
         [[private]]\npath = \"{data}/*.key\"\nmode = 0o640\n\
         [[paused]]\nfile = \"DIR/absent\"\n[[paused]]\nkey = \"pause\"\nvalue = \"TRUE\"\n",
    );
    let data = dir.path().join("data");
    assert_eq!(subject.data_dirs[0], data);
    assert_eq!(subject.log_files, [data.join("x.log")]);
    assert_eq!(subject.private_files, [(data.join("a.key"), 0o640)]);
    let configs: Vec<&Path> = subject.configs.iter().map(|it| it.path.as_path()).collect();
    assert_eq!(
        configs,
        [dir.path().join("x.conf"), dir.path().join("z.conf")]
    );
    assert_eq!(
        subject.paused.as_deref(),
        Some("its configuration says pause true")
    );
}

#[test]
fn only_sickbays_own_agent_takes_what_the_caller_knows() {
    let dir = tempfile::tempdir().unwrap();
    let local = Local {
        own_pid: Some(7),
        ..local(dir.path(), Some("https://sickbay.example"))
    };
    let profiles = Profiles::load(&local.profiles_dir);
    let own = on_this_host(profiles.find(OWN).unwrap(), &local);
    assert_eq!(own.data_dirs, [dir.path()]);
    assert_eq!(
        own.targets[0].server.to_string(),
        "https://sickbay.example:443"
    );
    assert_eq!(own.own_pid, Some(7));
    let other = on_this_host(profiles.find("auditd").unwrap(), &local);
    assert_eq!((other.own_pid, other.targets.len()), (None, 0));
}

#[tokio::test]
async fn a_known_agent_is_detected_by_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let local = local(dir.path(), None);
    fs::create_dir(&local.profiles_dir).unwrap();
    let me = fs::read_link("/proc/self/exe").unwrap();
    let name = me.file_name().unwrap().to_str().unwrap();
    // This process is the looker and does not count; a program of that name does.
    let text = SOUND.replace("\"xd\"", &format!("\"{name}\"")).replace(
        "[process]",
        &format!("programs = [\"{}\"]\n[process]", me.display()),
    );
    let path = local.profiles_dir.join("x.toml");
    fs::write(&path, text).unwrap();
    for (path, mode) in [
        (local.profiles_dir.as_path(), 0o755),
        (path.as_path(), 0o644),
    ] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, mode).unwrap();
    }
    let found = detect(&Profiles::load(&local.profiles_dir), &local).await;
    let found = found.iter().find(|it| it.detected.name == "x").unwrap();
    assert_eq!(found.detected.signs, [format!("program {}", me.display())]);
    assert!(!found.detected.enabled);
}

/// The keys of a table of a profile, as the reader itself names them.
fn keys_of(table: &str) -> Vec<String> {
    let text = match table {
        "" => "odd = 1\n".to_owned(),
        "service" | "process" | "paths" | "limits" => format!("[{table}]\nodd = 1\n"),
        list => format!("[[{list}]]\nodd = 1\n"),
    };
    let fault = parse(&text).unwrap_err().to_string();
    let (_, keys) = fault.split_once(", expected ").expect(&fault);
    keys.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_is_documented_and_no_other() {
    let text = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/profiles.md"
    ));
    let text = text.unwrap();
    let rows = text.split_once("## Keys").unwrap().1.split("\n## ").next();
    let rows = rows.unwrap().lines();
    let documented: Vec<&str> = rows
        .filter_map(|it| it.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut known = Vec::new();
    for key in keys_of("") {
        let has_keys = !matches!(
            key.as_str(),
            "name"
                | "title"
                | "sources"
                | "packages"
                | "programs"
                | "users"
                | "identity"
                | "conflicts"
        );
        if has_keys {
            known.extend(keys_of(&key).into_iter().map(|it| format!("{key}.{it}")));
        } else {
            known.push(key);
        }
    }
    assert_eq!(documented, known);
    let (_, example) = text.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let profile = Profile::parse(Path::new("example.toml"), example);
    assert!(profile.is_ok(), "{profile:?}");
    let limits = Limits::default();
    for (key, default) in [
        ("memory_mib", limits.memory_mib),
        ("cpu_percent", limits.cpu_percent),
        ("descriptors_percent", limits.descriptors_percent),
    ] {
        let row = format!("| `limits.{key}` | number | `{default}` |");
        assert!(text.contains(&row), "docs/profiles.md lacks `{row}`");
    }
}

#[test]
fn broken_profiles_are_survived() {
    let samples = [
        include_str!("../../../profiles/sickbay.toml"),
        include_str!("../../../profiles/wazuh-agent.toml"),
    ];
    crate::fuzz::text("profiles", &samples, |it| {
        drop(Profile::parse(Path::new("x.toml"), it));
    });
}
