//! The last step on the way to the server: does it answer as the agent's server should?

use std::io::{self, ErrorKind};
use std::time::Duration;

use model::Cause;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::network::{Stream, found};
use super::probe::Verdict;
use super::subject::Target;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Asks for the path at which the server answers.
pub(super) async fn ask(
    target: &Target,
    path: &str,
    mut stream: Box<dyn Stream>,
    limit_ms: u64,
) -> Verdict {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sickbay-check/{}\r\nConnection: close\r\n\r\n",
        target.server.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let asking = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        let mut limited = stream.take(ANSWER_BYTES_MAX);
        while !answer.contains(&b'\n') && limited.read_buf(&mut answer).await? > 0 {}
        Ok(answer)
    };
    let limit = Duration::from_millis(limit_ms);
    let answered = timeout(limit, asking)
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    judge_answer(target, path, answered, limit_ms)
}

fn judge_answer(target: &Target, path: &str, answered: io::Result<Vec<u8>>, ms: u64) -> Verdict {
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
    let mut finding = found(Cause::ServerUnhealthy, server, vec![said.clone()]);
    finding.summary = format!(
        "Something answers at {}, but not as the agent's server should.",
        server.authority()
    );
    finding
        .known
        .insert("URL".to_owned(), format!("{server}{path}"));
    Verdict::of(said, vec![finding])
}

/// The status of `HTTP/1.1 STATUS …`.
fn status(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let is_http = words.next()?.starts_with("HTTP/1.");
    words.next()?.parse().ok().filter(|_| is_http)
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
        for answer in [
            &b"HTTP/1.1 503 Service Unavailable\r\n"[..],
            b"HTTP/1.1 401 Unauthorized\r\n",
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
}
