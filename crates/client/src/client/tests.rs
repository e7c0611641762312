use protocol::sign::{Presented, RawRequest};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a fake server does with one request.
#[derive(Clone, Copy)]
enum Reply {
    /// Answers, with more headers if given.
    Answer(u16, &'static str, &'static str),
    /// Answers, then closes without a word.
    AnswerAndClose(&'static str),
    /// Closes without an answer.
    Close,
}

/// A request as the fake server saw it.
struct Seen {
    connection: usize,
    action: String,
    body: String,
}

/// Serves the replies in order, over as many connections as the client makes; says what it saw when they are used up.
async fn serve<const N: usize>(
    replies: [Reply; N],
) -> (Client, tokio::task::JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::new(Config {
        endpoint: format!("http://{address}").parse().unwrap(),
        access_key_id: "id".to_owned(),
        access_key_secret: "secret".to_owned(),
        security_token: None,
        pin: None,
    });
    let mut replies = replies.into_iter().peekable();
    let server = async move {
        let mut seen = Vec::new();
        let mut connection = 0;
        while replies.peek().is_some() {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            while replies.peek().is_some()
                && let Some(request) = read(&mut stream, connection).await
            {
                seen.push(request);
                match replies.next().unwrap() {
                    Reply::Answer(status, headers, body) => {
                        answer(&mut stream, status, headers, body).await;
                    }
                    Reply::AnswerAndClose(body) => {
                        answer(&mut stream, 200, "", body).await;
                        break;
                    }
                    Reply::Close => break,
                }
            }
            connection += 1;
        }
        seen
    };
    (client.unwrap(), tokio::spawn(server))
}

async fn answer(stream: &mut BufReader<TcpStream>, status: u16, headers: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads one request and checks its signature with the server's own reader; `None`: the client hung up.
async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    assert_eq!(lines.remove(0), "POST / HTTP/1.1");
    let headers: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let find = |name: &str| headers.iter().find(|it| it.0 == name).map(|it| it.1);
    let length = find("content-length").map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let request = RawRequest {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        body: &body,
    };
    let params = request.params().unwrap();
    let presented = Presented::read(&request, &params).unwrap();
    presented.verify(&request, &params, "secret").unwrap();
    presented.check_time(now_ms()).unwrap();
    Some(Seen {
        connection,
        action: presented.action,
        body: String::from_utf8(body).unwrap(),
    })
}

const OK: &str = "{\"RequestId\":\"R\"}";
const BUSY: &str = "{\"Code\":\"Throttling.User\",\"Message\":\"Slower.\",\"RequestId\":\"R\"}";

#[tokio::test]
async fn calls_are_signed_and_share_one_connection() {
    let (client, server) = serve([Reply::Answer(200, "", OK); 3]).await;
    let value = client.call_value("ListUsers", &[]).await.unwrap();
    assert_eq!(value["RequestId"], "R");
    for _ in 0..2 {
        client.create_user("Ann O'Neill ü&=+").await.unwrap();
    }
    let seen = server.await.unwrap();
    assert!(seen.iter().all(|it| it.connection == 0));
    assert_eq!(seen[1].action, "CreateUser");
    assert_eq!(seen[1].body, "UserName=Ann%20O%27Neill%20%C3%BC%26%3D%2B");
}

#[tokio::test]
async fn a_throttled_read_is_repeated_and_a_write_is_not() {
    let busy = Reply::Answer(400, "x-acs-retry-after: 1\r\n", BUSY);
    let (client, server) = serve([busy, busy, Reply::Answer(200, "", OK), busy]).await;
    client.users().await.unwrap();
    let Err(error) = client.create_user("a").await else {
        panic!("a refusal was expected");
    };
    assert!(matches!(
        error,
        Error::Throttled {
            retry_after_ms: Some(1),
            ..
        }
    ));
    assert_eq!(server.await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_made_anew() {
    let replies = [Reply::AnswerAndClose(OK), Reply::Answer(200, "", OK)];
    let (client, server) = serve(replies).await;
    client.users().await.unwrap();
    client.users().await.unwrap();
    assert_eq!(server.await.unwrap()[1].connection, 1);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    let replies = [Reply::Answer(200, "", OK), Reply::Close];
    let (client, server) = serve(replies).await;
    client.users().await.unwrap();
    let error = client.create_user("a").await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    assert_eq!(server.await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_on_a_kept_connection_is_repeated() {
    let replies = [
        Reply::Answer(200, "", OK),
        Reply::Close,
        Reply::Answer(200, "", OK),
    ];
    let (client, server) = serve(replies).await;
    client.users().await.unwrap();
    client.users().await.unwrap();
    assert_eq!(server.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(Config {
        endpoint: format!("http://{address}").parse().unwrap(),
        access_key_id: String::new(),
        access_key_secret: String::new(),
        security_token: None,
        pin: None,
    });
    let error = client.unwrap().server_info().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn pages_are_walked_to_the_last() {
    const FULL: &str =
        r#"{"TaskManageResponseList":[{"TaskId":"a"},{"TaskId":"b"}],"PageInfo":{"TotalCount":3}}"#;
    const REST: &str = r#"{"TaskManageResponseList":[{"TaskId":"c"}],"PageInfo":{"TotalCount":3}}"#;
    let replies = [Reply::Answer(200, "", FULL), Reply::Answer(200, "", REST)];
    let (client, server) = serve(replies).await;
    let query = crate::TaskQuery::default();
    let mut pages = client.tasks(&query, 2);
    let tasks = pages.take(100).await.unwrap();
    let ids: Vec<&str> = tasks.iter().map(|it| it.task_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(
        (pages.total(), pages.next().await.unwrap()),
        (Some(3), None)
    );
    assert!(server.await.unwrap()[1].body.contains("CurrentPage=2"));
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_where_tls_is_expected_is_said_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        let greeting = stream.read(&mut [0; 4_096]).await.unwrap();
        assert_ne!(greeting, 0);
    });
    let client = Client::new(Config {
        endpoint: format!("https://{address}").parse().unwrap(),
        access_key_id: "id".to_owned(),
        access_key_secret: "secret".to_owned(),
        security_token: None,
        pin: Some(protocol::tls::Fingerprint::of(b"any")),
    });
    let error = client.unwrap().users().await.unwrap_err();
    let Error::Unreachable { source, .. } = error else {
        panic!("{error:?}");
    };
    let said = source.to_string();
    assert!(said.contains(&format!("http://{address}")), "{said}");
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_known_by_its_token_is_asked_again_until_it_is_answered() {
    let replies = [Reply::Close, Reply::Answer(200, "", OK), Reply::Close];
    let (client, server) = serve(replies).await;
    let new = crate::NewTask {
        task_type: model::TaskType::ClientDevOps,
        param: "{}".to_owned(),
        source: None,
    };
    client.create_task(&new).await.unwrap();
    let id = "0123456789ab01020304050600000000".parse().unwrap();
    let lost = client.rerun_task(id, &[], &[], &[]).await.unwrap_err();
    assert!(
        matches!(lost, Error::Interrupted { .. }),
        "it may have been done, though nobody is there any more: {lost:?}"
    );
    let seen = server.await.unwrap();
    assert_eq!(seen[0].body, seen[1].body, "the same token");
    assert!(seen[0].body.contains("clientToken"), "{}", seen[0].body);
    assert!(seen[2].body.contains("ClientToken="), "{}", seen[2].body);
}

#[tokio::test]
async fn what_is_no_answer_of_the_api_is_said_to_be_none() {
    let replies = [
        Reply::Answer(200, "", "<html>"),
        Reply::Answer(404, "", "<html>"),
    ];
    let (client, server) = serve(replies).await;
    for _ in 0..2 {
        let error = client.users().await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{error:?}");
    }
    drop(server);
}

#[tokio::test]
async fn a_bundle_is_downloaded_from_the_control_plane_alone_without_a_signature() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..3 {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(stream.read_line(&mut head).await.unwrap(), 0);
            }
            heads.push(head);
            answer(&mut stream, 200, "", "bundle").await;
        }
        heads
    });
    let client = Client::new(Config {
        endpoint: endpoint.parse().unwrap(),
        access_key_id: "id".to_owned(),
        access_key_secret: "secret".to_owned(),
        security_token: None,
        pin: None,
    });
    let client = client.unwrap();
    let authority = client.endpoint().authority();
    for url in [
        format!("{endpoint}/bundle/1?e=2"),
        "/bundle/1?e=2".to_owned(),
        "https://169.254.169.254/bundle/1?e=2".to_owned(),
    ] {
        let mut written = Vec::new();
        assert_eq!(client.download(&url, &mut written).await.unwrap(), 6);
        assert_eq!(written, b"bundle");
    }
    for head in server.await.unwrap() {
        assert!(head.starts_with("GET /bundle/1?e=2 HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains("authorization"), "{head}");
        assert!(head.contains(&format!("host: {authority}\r\n")), "{head}");
    }
    for url in ["ftp://a/b", "bundle", "https://127.0.0.1:1"] {
        let error = client.download(url, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{url}: {error:?}");
    }
}
