//! The proxy between the agent and its server: which one the agent uses, and what it does.
//!
//! The agent's own environment decides, not that of the person who looks: a service does not inherit
//! the variables of a login shell.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::Cause;
use protocol::endpoint::Endpoint;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::{Attempts, Connected, Explained};
use super::names::Names;
use crate::check::{Context, command, http, install, procfs};
use crate::connect::proxy::Proxy;

/// Where hosts name a proxy for everybody.
const HOST_FILE: &str = "/etc/environment";
/// Time that systemd has to show a unit, in ms.
const SHOW_MS: u64 = 1_500;
/// Files of variables that are read.
const FILES_MAX: usize = 8;

type Variables = BTreeMap<String, String>;

/// A proxy and who says so.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) proxy: Proxy,
    pub(super) source: String,
}

/// A proxy that does not lead to the server.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    pub(super) evidence: Vec<String>,
    /// The proxy reached nobody in the server's place: it works, and the server lies elsewhere.
    pub(super) found_no_server: bool,
    /// How its name was looked for, in vain.
    pub(super) names: Option<Names>,
    /// What keeps packets from it.
    pub(super) explained: Option<Explained>,
}

/// The proxy that the agent uses for that server; `Err` says that what it is told is none.
pub(super) async fn of_agent(
    context: &Context,
    server: &Endpoint,
) -> Result<Option<Setting>, String> {
    if !server.tls || server.is_loopback() {
        return Ok(None);
    }
    let (source, variables) = match of_process(context) {
        Some(it) => it,
        // Where there is no agent, the way of who looks is the only one there is.
        None if !install::is_installed(&context.subject) => ("the environment".to_owned(), own()),
        None => of_unit(&context.subject.unit).await,
    };
    chosen(server, source, &variables)
}

/// The variables of this program.
fn own() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A proxy that the host's settings, or the environment of who looks, name for everybody.
pub(super) fn of_host(server: &Endpoint) -> Option<Setting> {
    let file = parse_lines(&std::fs::read_to_string(HOST_FILE).unwrap_or_default());
    let named = [
        (HOST_FILE.to_owned(), file),
        ("the environment".to_owned(), own()),
    ];
    named
        .into_iter()
        .find_map(|(source, it)| chosen(server, source, &it).ok().flatten())
}

fn chosen(
    server: &Endpoint,
    source: String,
    variables: &Variables,
) -> Result<Option<Setting>, String> {
    match Proxy::named_by(server, |name| variables.get(name).cloned()) {
        Ok(proxy) => Ok(proxy.map(|proxy| Setting { proxy, source })),
        Err(error) => Err(format!("{source}: {error}")),
    }
}

/// The variables of the agent's process, if it runs and may be looked at.
fn of_process(context: &Context) -> Option<(String, Variables)> {
    let pid = *procfs::agents(&context.subject).first()?;
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let variables = text.split('\0').filter_map(assignment).collect();
    Some((format!("the environment of process {pid}"), variables))
}

/// The variables that its unit sets.
async fn of_unit(unit: &str) -> (String, Variables) {
    let source = format!("the unit {unit}");
    if !command::systemd_runs() || unit.is_empty() {
        return (source, Variables::new());
    }
    let arguments = [
        "show",
        "-p",
        "Environment",
        "-p",
        "EnvironmentFiles",
        "--",
        unit,
    ];
    let shown = command::output("systemctl", &arguments, SHOW_MS).await;
    let shown = shown.unwrap_or_default();
    let mut variables = parse_shown(&shown);
    for path in files_of(&shown) {
        // Files come after, and win (systemd.exec(5)).
        variables.extend(parse_lines(
            &std::fs::read_to_string(path).unwrap_or_default(),
        ));
    }
    (source, variables)
}

fn files_of(shown: &str) -> Vec<String> {
    let lines = shown
        .lines()
        .filter_map(|it| it.strip_prefix("EnvironmentFiles="));
    let paths = lines.map(|it| it.split(" (").next().unwrap_or_default().to_owned());
    paths.take(FILES_MAX).collect()
}

/// `Environment=A=b "C=d e"`.
fn parse_shown(shown: &str) -> Variables {
    let lines = shown
        .lines()
        .filter_map(|it| it.strip_prefix("Environment="));
    let mut variables = Variables::new();
    for line in lines {
        let (mut word, mut quoted) = (String::new(), false);
        for c in line.chars().chain([' ']) {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => variables.extend(assignment(&std::mem::take(&mut word))),
                c => word.push(c),
            }
        }
    }
    variables
}

/// Lines of environment.d(5), a shell's or PAM's: `export A="b"`.
fn parse_lines(text: &str) -> Variables {
    let lines = text
        .lines()
        .map(|it| it.trim().trim_start_matches("export ").trim());
    let all = lines
        .filter(|it| !it.starts_with(['#', ';']))
        .filter_map(assignment);
    all.map(|(name, value)| (name, value.trim_matches(['"', '\'']).to_owned()))
        .collect()
}

fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

impl Setting {
    /// A connection to the server through the proxy.
    pub(super) async fn open(
        &self,
        server: &Endpoint,
        name_limit: Duration,
        limit: Duration,
    ) -> Result<TcpStream, Fault> {
        let Self { proxy, source } = self;
        let named = format!("{source} names the proxy {proxy}");
        let fault = |cause, why: String| Fault {
            cause,
            evidence: vec![named.clone(), why],
            found_no_server: false,
            names: None,
            explained: None,
        };
        let names = match proxy.host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let names = Names::look(&proxy.host, name_limit).await;
                match &names.told {
                    Ok(addresses) => addresses.clone(),
                    Err(why) => {
                        let mut fault = fault(Cause::ProxyUnreachable, why.clone());
                        fault.evidence.extend(names.evidence());
                        fault.names = Some(names);
                        return Err(fault);
                    }
                }
            }
        };
        let addresses: Vec<SocketAddr> = names.iter().map(|it| (*it, proxy.port).into()).collect();
        let mut attempts = Attempts::begin(&addresses, limit);
        let Some(Connected { mut stream, .. }) = attempts.first().await else {
            let (why, explained) = match attempts.explain(limit).await {
                Ok(it) => (it.evidence.join("; "), Some(it)),
                Err(why) => (why, None),
            };
            return Err(Fault {
                explained,
                ..fault(Cause::ProxyUnreachable, why)
            });
        };
        let said = timeout(limit, proxy.ask(&mut stream, server)).await;
        let why = match said {
            Ok(Ok(line)) => match judge(&line) {
                None => return Ok(stream),
                Some((cause, found_no_server)) => {
                    let said = format!(
                        "asked for {}, the proxy answers: {line}",
                        server.authority()
                    );
                    return Err(Fault {
                        found_no_server,
                        ..fault(cause, said)
                    });
                }
            },
            Ok(Err(error)) => format!("the proxy accepts a connection and then: {error}"),
            Err(_) => format!(
                "the proxy accepts a connection and says nothing within {} ms",
                limit.as_millis()
            ),
        };
        Err(fault(Cause::ProxyAnswersWrongly, why))
    }
}

/// What the first line of an answer to CONNECT means; `None`: the way is open. The second says whether
/// the proxy looked for the server and found none.
fn judge(line: &str) -> Option<(Cause, bool)> {
    let status = http::status(line);
    Some(match status {
        Some(200..=299) => return None,
        Some(407) => (Cause::ProxyNeedsAuthentication, false),
        // What servers that are no proxies say to CONNECT.
        Some(400 | 404 | 405 | 501) | None => (Cause::ProxyAnswersWrongly, false),
        Some(502..=504) => (Cause::ProxyAnswersWrongly, true),
        Some(401..=499) => (Cause::ProxyRefuses, false),
        Some(_) => (Cause::ProxyAnswersWrongly, false),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn answers_of_proxies_are_told_apart() {
        let cause = |line: &str| judge(line).map(|it| it.0);
        assert_eq!(cause("HTTP/1.1 200 Connection established"), None);
        assert_eq!(
            cause("HTTP/1.1 407 Proxy Authentication Required"),
            Some(Cause::ProxyNeedsAuthentication)
        );
        assert_eq!(cause("HTTP/1.1 403 Forbidden"), Some(Cause::ProxyRefuses));
        assert_eq!(
            cause("HTTP/1.1 405 Not Allowed"),
            Some(Cause::ProxyAnswersWrongly)
        );
        assert_eq!(
            cause("SSH-2.0-OpenSSH_9.7"),
            Some(Cause::ProxyAnswersWrongly)
        );
        assert_eq!(
            judge("HTTP/1.1 503 Service Unavailable"),
            Some((Cause::ProxyAnswersWrongly, true))
        );
    }

    #[test]
    fn variables_of_a_unit_and_of_files_are_read() {
        let shown = "Environment=HTTPS_PROXY=http://proxy.lab:3128 \"A=b c\"\nEnvironmentFiles=/etc/default/agent (ignore_errors=yes)\n";
        let variables = parse_shown(shown);
        assert_eq!(variables["HTTPS_PROXY"], "http://proxy.lab:3128");
        assert_eq!(variables["A"], "b c");
        assert_eq!(files_of(shown), ["/etc/default/agent"]);
        let lines = parse_lines("# x=y\nexport https_proxy=\"http://p:1\"\nno_proxy='a,b'\n");
        assert_eq!(
            (
                lines.len(),
                lines["https_proxy"].as_str(),
                lines["no_proxy"].as_str()
            ),
            (2, "http://p:1", "a,b")
        );
    }

    #[test]
    fn no_proxy_is_heeded_and_nonsense_is_said() {
        let server: Endpoint = "https://sickbay.example".parse().unwrap();
        let of = |proxy: &str, exempt: &str| {
            let variables = [("https_proxy", proxy), ("NO_PROXY", exempt)];
            let variables = variables
                .map(|(name, it)| (name.to_owned(), it.to_owned()))
                .into();
            chosen(&server, "the unit".into(), &variables)
        };
        assert_eq!(
            of("http://p:1", "").unwrap().unwrap().proxy.to_string(),
            "http://p:1"
        );
        assert!(of("http://p:1", ".example").unwrap().is_none());
        assert!(of("", "").unwrap().is_none());
        assert!(
            of("socks5://u:secret@p:1", "")
                .unwrap_err()
                .starts_with("the unit: `")
        );
    }

    /// What becomes of a proxy that says this.
    async fn open(says: &'static str) -> Result<(), Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let size = stream.read(&mut request).await.unwrap();
            assert!(request[..size].starts_with(b"CONNECT sickbay.example:443 HTTP/1.1\r\n"));
            stream.write_all(says.as_bytes()).await.unwrap();
        };
        let server: Endpoint = "https://sickbay.example".parse().unwrap();
        let named = format!("http://u:secret@127.0.0.1:{port}");
        let variable = |name: &str| (name == "https_proxy").then(|| named.clone());
        let proxy = Proxy::named_by(&server, variable).unwrap().unwrap();
        let setting = Setting {
            proxy,
            source: "the unit".into(),
        };
        let limit = Duration::from_secs(60);
        let (opened, ()) = tokio::join!(setting.open(&server, limit, limit), serving);
        opened.map(drop)
    }

    #[tokio::test]
    async fn what_a_proxy_says_is_evidence_without_its_password() {
        assert!(open("HTTP/1.1 200 OK\r\n\r\n").await.is_ok());
        let fault = open("HTTP/1.1 407 Who are you\r\n\r\n").await.unwrap_err();
        assert_eq!(fault.cause, Cause::ProxyNeedsAuthentication);
        assert!(
            fault.evidence[1].ends_with("the proxy answers: HTTP/1.1 407 Who are you"),
            "{fault:?}"
        );
        assert!(!format!("{:?}", fault.evidence).contains("secret"));
        assert_eq!(
            open("").await.unwrap_err().cause,
            Cause::ProxyAnswersWrongly
        );
    }

    #[test]
    fn broken_settings_are_survived() {
        let samples = [
            "Environment=http_proxy=http://10.0.0.1:3128 \"no_proxy=a b\"\nEnvironmentFiles=/etc/default/x (ignore_errors=yes)\n",
            "# x\nexport HTTPS_PROXY='http://u:p@10.0.0.1:3128'\nNO_PROXY=\"a,b\"\n",
            "HTTP/1.1 407 Proxy Authentication Required",
        ];
        crate::fuzz::text("proxies", &samples, |it| {
            files_of(it);
            parse_shown(it);
            parse_lines(it);
            judge(it);
        });
    }
}
