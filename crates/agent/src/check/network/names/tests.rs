use super::super::hindrance::Symptom;
use super::*;

const SERVER: &str = "10.0.0.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn answer(code: u8, addresses: &[&str]) -> Reply {
    Reply::Answer {
        code,
        addresses: addresses.iter().map(|it| ip(it)).collect(),
    }
}

fn asked(reply: Reply) -> Asked {
    Asked {
        server: "10.0.0.53:53".parse().unwrap(),
        v6: false,
        reply,
        took: Duration::from_millis(7),
    }
}

fn names(told: Result<&[&str], &str>, replies: Vec<Reply>) -> Names {
    Names {
        host: "sickbay.example".into(),
        told: told
            .map(|it| it.iter().map(|it| ip(it)).collect())
            .map_err(str::to_owned),
        took: Duration::from_millis(3),
        asked: replies.into_iter().map(asked).collect(),
        setup: Setup {
            conf: ResolvConf::Servers(vec!["10.0.0.53:53".parse().unwrap()]),
            switch: None,
            listed: Vec::new(),
            own_name: "web1".into(),
        },
    }
}

const FAILED: Result<&[&str], &str> = Err("resolving sickbay.example: Name or service not known");
const LATE: Result<&[&str], &str> = Err("resolving sickbay.example: no answer within 4300 ms");

fn cause(names: &Names) -> Option<Cause> {
    names.judge().map(|it| it.0)
}

#[test]
fn a_name_that_is_resolved_in_time_is_well_whatever_one_server_does() {
    let well = names(Ok(&[SERVER]), vec![answer(0, &[SERVER]), Reply::Silence]);
    assert_eq!(cause(&well), None);
    let mut listed = names(Ok(&[SERVER]), vec![Reply::Silence]);
    listed.setup.switch = Some("hosts: files".into());
    listed.setup.conf = ResolvConf::None("empty".into());
    assert_eq!(cause(&listed), None, "a name of /etc/hosts needs no DNS");
}

#[test]
fn the_name_its_server_and_the_setup_are_told_apart() {
    use Cause as C;
    for (told, reply, expected) in [
        (FAILED, answer(3, &[]), Some(C::NameNotResolved)),
        (FAILED, answer(0, &[]), Some(C::NameNotResolved)),
        (FAILED, answer(2, &[]), Some(C::NameNotResolved)),
        (FAILED, answer(5, &[]), Some(C::NameNotResolved)),
        (LATE, Reply::Silence, Some(C::ResolverUnanswered)),
        (
            FAILED,
            Reply::Failed(Symptom::Refused),
            Some(C::ResolverUnanswered),
        ),
        (
            FAILED,
            Reply::Failed(Symptom::NoWay),
            Some(C::ResolverUnanswered),
        ),
        (LATE, answer(0, &[SERVER]), Some(C::ResolverSlow)),
        (FAILED, answer(0, &[SERVER]), None),
    ] {
        assert_eq!(
            cause(&names(told, vec![reply.clone()])),
            expected,
            "{reply:?}"
        );
    }
    let first_dead = names(LATE, vec![Reply::Silence, answer(0, &[SERVER])]);
    assert_eq!(cause(&first_dead), Some(C::ResolverSlow));
    let mut slow = names(Ok(&[SERVER]), vec![answer(0, &[SERVER])]);
    slow.took = Duration::from_millis(4_000);
    assert_eq!(cause(&slow), Some(C::ResolverSlow));
    let mut unset = names(FAILED, vec![Reply::Failed(Symptom::Refused)]);
    unset.setup.conf = ResolvConf::None("/etc/resolv.conf names no name server".into());
    assert_eq!(cause(&unset), Some(C::ResolverNotConfigured));
    let mut switched = names(FAILED, vec![answer(0, &[SERVER])]);
    switched.setup.switch = Some("hosts: files".into());
    assert_eq!(cause(&switched), Some(C::NameSwitchBroken));
}

#[test]
fn the_evidence_says_what_each_server_said() {
    let (_, evidence) = names(FAILED, vec![answer(2, &[]), Reply::Silence])
        .judge()
        .unwrap();
    assert_eq!(
        evidence[1],
        "name server 10.0.0.53, asked for IPv4: it failed itself (7 ms)"
    );
    assert_eq!(
        evidence[2],
        "name server 10.0.0.53, asked for IPv4: no answer within 7 ms"
    );
}

#[test]
fn a_wrong_address_is_one_that_cannot_be_the_servers() {
    let misled = |names: &Names, reached: Option<&str>, lies: &[&str]| {
        let lies: Vec<IpAddr> = lies.iter().map(|it| ip(it)).collect();
        names.misled(reached.map(ip), &lies).is_some()
    };
    let of = |told: &[&str], listed: &[&str]| {
        let mut names = names(Ok(told), vec![answer(0, &[SERVER])]);
        names.setup.listed = listed.iter().map(|it| ip(it)).collect();
        names
    };
    assert!(misled(&of(&["0.0.0.0"], &[]), None, &[]));
    assert!(misled(&of(&["127.0.0.1"], &["127.0.0.1"]), None, &[]));
    assert!(misled(&of(&["10.0.0.9"], &["10.0.0.9"]), Some(SERVER), &[]));
    assert!(misled(&of(&["10.0.0.9"], &[]), None, &["10.0.0.9"]));
    // A server that is down is no wrong address.
    assert!(!misled(&of(&[SERVER], &[]), None, &[]));
    assert!(!misled(&of(&["10.0.0.9"], &["10.0.0.9"]), None, &[]));
    assert!(!misled(
        &of(&[SERVER], &[]),
        Some("10.0.0.2"),
        &["10.0.0.9"]
    ));
    let mut own = of(&["127.0.1.1"], &["127.0.1.1"]);
    own.setup.own_name = "sickbay".into();
    assert!(!misled(&own, None, &[]), "a host may know itself so");
}

#[test]
fn the_switch_needs_a_source_that_knows_other_hosts() {
    let judge = |text: &str| judge_switch(text, &|it| it == "resolve");
    for well in [
        "passwd: files\nhosts:          files mdns4_minimal [NOTFOUND=return] dns myhostname\n",
        "hosts: files resolve [!UNAVAIL=return]\n",
        "passwd: files\n",
        "#hosts: files\nhosts: dns files # all\n",
    ] {
        assert_eq!(judge(well), None, "{well}");
    }
    let said = judge("hosts: files\n").unwrap();
    assert_eq!(
        said,
        "/etc/nsswitch.conf says \"hosts: files\", without dns"
    );
    assert!(judge("hosts: files [NOTFOUND=return dns] \n").is_some());
    assert!(
        judge("hosts: files sss\n")
            .unwrap()
            .contains("the module sss is not installed")
    );
}

#[test]
fn hosts_and_a_dangling_link_are_read() {
    let text = "127.0.0.1 localhost\n10.0.0.9\tdb Sickbay.Example # old\n#10.0.0.8 sickbay.example\n::1 sickbay.example\n";
    assert_eq!(
        parse_hosts(text, "sickbay.example"),
        [ip("10.0.0.9"), ip("::1")]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resolv.conf");
    std::os::unix::fs::symlink("/nonexistent/stub.conf", &path).unwrap();
    let read = parse_conf(&path, std::fs::read_to_string(&path));
    assert!(
        matches!(read, ResolvConf::None(it) if it.contains("is a link to /nonexistent/stub.conf"))
    );
}

#[test]
fn a_dead_first_name_server_makes_even_short_waits_slow() {
    let with_dead_first = |ms| {
        let mut late = names(Ok(&[SERVER]), vec![answer(0, &[SERVER])]);
        let conf = ["10.0.0.9:53", "10.0.0.53:53"].map(|it| it.parse().unwrap());
        late.setup.conf = ResolvConf::Servers(conf.to_vec());
        late.took = Duration::from_millis(ms);
        cause(&late)
    };
    assert_eq!(with_dead_first(100), None, "nobody waits for it");
    assert_eq!(with_dead_first(700), Some(Cause::ResolverSlow));
    let mut busy = names(Ok(&[SERVER]), vec![answer(0, &[SERVER])]);
    busy.took = Duration::from_millis(700);
    assert_eq!(cause(&busy), None, "the only one answers");
}

#[test]
fn broken_files_of_the_resolver_are_survived() {
    let samples = [
        "127.0.0.1 localhost\n10.0.0.7\thost.example host # x\n::1 ip6-localhost\n",
        "passwd: files systemd\nhosts: files mymachines [!UNAVAIL=return] dns\n",
        "nameserver 10.0.0.1\nsearch example\n",
    ];
    crate::fuzz::text("hosts, nsswitch.conf", &samples, |it| {
        parse_hosts(it, "host.example");
        judge_switch(it, &|name| name == "files");
        parse_conf(Path::new("/etc/resolv.conf"), Ok(it.to_owned()));
    });
}
