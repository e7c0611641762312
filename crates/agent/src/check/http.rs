//! The last step on the way to the server: does it answer as the agent's server should?

use std::io::{self, ErrorKind};
use std::time::Duration;

use model::Cause;
use protocol::endpoint::Endpoint;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::network::{Stream, found};
use super::probe::Verdict;
use super::subject::Target;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Asks for the path at which the server answers; with what it says of its clock, in ms since the Unix
/// epoch.
pub(super) async fn ask(
    target: &Target,
    path: &str,
    mut stream: Box<dyn Stream>,
    limit_ms: u64,
) -> (Verdict, Option<i64>) {
    let limit = Duration::from_millis(limit_ms);
    let asking = head(&target.server, path, &mut stream);
    let answered = timeout(limit, asking).await;
    let answered = answered.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let head = answered.as_ref().map(|it| String::from_utf8_lossy(it));
    let date_ms = head.ok().and_then(|it| date_ms(&it));
    (judge_answer(target, path, answered, limit_ms), date_ms)
}

/// Asks for a path; the head of the answer.
pub(super) async fn head(
    server: &Endpoint,
    path: &str,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Vec<u8>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sickbay-check/{}\r\nConnection: close\r\n\r\n",
        server.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_BYTES_MAX);
    let is_whole = |it: &[u8]| it.windows(4).any(|it| it == b"\r\n\r\n");
    while !is_whole(&answer) && limited.read_buf(&mut answer).await? > 0 {}
    Ok(answer)
}

fn judge_answer(target: &Target, path: &str, answered: io::Result<Vec<u8>>, ms: u64) -> Verdict {
    let mut cause = Cause::ServerUnhealthy;
    let said = match answered {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            let line = text.lines().next().unwrap_or_default();
            let status = status(line);
            let is_well = |it: u16| match target.statuses.as_slice() {
                [] => it < 500,
                well => well.contains(&it),
            };
            if let Some(status) = status.filter(|it| is_well(*it)) {
                return Verdict::clear(format!("GET {path} answers {status}"));
            }
            // We show no credential: a refusal says nothing about the agent's.
            if status.is_some_and(|it| it >= 500) {
                cause = Cause::ServerFails;
            }
            match line {
                "" => format!("GET {path}: the connection was closed without an answer"),
                line => format!("GET {path} answers: {line}"),
            }
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            format!("GET {path}: no answer within {ms} ms")
        }
        Err(error) => format!("GET {path}: {error}"),
    };
    let server = &target.server;
    let mut finding = found(cause, server, vec![said.clone()]);
    if cause == Cause::ServerUnhealthy {
        finding.summary = format!(
            "Something answers at {}, but not as the agent's server should.",
            server.authority()
        );
    }
    finding
        .known
        .insert("URL".to_owned(), format!("{server}{path}"));
    Verdict::of(said, vec![finding])
}

/// The status of `HTTP/1.1 STATUS …`.
pub(super) fn status(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let is_http = words.next()?.starts_with("HTTP/1.");
    words.next()?.parse().ok().filter(|_| is_http)
}

/// The server's clock, in ms since the Unix epoch, by its header `Date` (RFC 9110, 5.6.7).
pub(super) fn date_ms(head: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let lines = head.lines().take_while(|it| !it.trim().is_empty());
    let value = lines.filter_map(|it| {
        let (name, value) = it.split_once(':')?;
        name.eq_ignore_ascii_case("date").then_some(value.trim())
    });
    let words: Vec<&str> = value.last()?.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else {
        return None;
    };
    let month = MONTHS.iter().position(|it| it == month)? + 1;
    protocol::stamp::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use protocol::answer::ProbeOutcome;

    use super::super::profile::{Protocol, Trust};
    use super::*;

    fn target(statuses: &[u16]) -> Target {
        Target {
            server: "https://sickbay.example:8443".parse().unwrap(),
            pin: None,
            http: Some("/healthz".to_owned()),
            statuses: statuses.to_vec(),
            protocol: Protocol::Tcp,
            trust: Trust::System,
        }
    }

    #[test]
    fn only_the_named_statuses_are_healthy() {
        let judge =
            |answer: &[u8]| judge_answer(&target(&[200]), "/healthz", Ok(answer.to_vec()), 1_500);
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n").outcome, ProbeOutcome::Clear);
        let failing = judge(b"HTTP/1.1 503 Service Unavailable\r\n");
        assert_eq!(failing.findings[0].cause, 2337);
        for answer in [
            &b"HTTP/1.1 401 Unauthorized\r\n"[..],
            b"SSH-2.0-OpenSSH_9.7\r\n",
            b"",
        ] {
            let verdict = judge(answer);
            assert_eq!(verdict.findings[0].cause, 2310);
            let url = &verdict.findings[0].known["URL"];
            assert_eq!(url, "https://sickbay.example:8443/healthz");
        }
        let any = b"HTTP/1.1 401 Unauthorized\r\n".to_vec();
        let verdict = judge_answer(&target(&[]), "/", Ok(any), 1_500);
        assert_eq!(verdict.outcome, ProbeOutcome::Clear);
    }

    #[test]
    fn the_date_of_the_head_is_read() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: Tue, 24 Nov 2026 12:34:41 GMT\r\n\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n";
        assert_eq!(
            date_ms(head),
            protocol::stamp::parse("2026-11-24T12:34:41Z")
        );
        for bad in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "x\r\nDate: today\r\n",
            "x\r\nDate: Tue, 24 Nix 2026 12:34:41 GMT\r\n",
        ] {
            assert_eq!(date_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_broken_answer_is_survived() {
        let sample = "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 12:34:41 GMT\r\n\r\n";
        crate::fuzz::text("HTTP", &[sample], |it| {
            let _ = (status(it), date_ms(it));
        });
    }
}
