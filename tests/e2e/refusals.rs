//! What is wrong with a request is said in code, status and words that help.

use model::limits;
use protocol::sign::canonical;
use tests::{ROOT_ID, Reply, Request, Server};

const MINUTE_MS: i64 = 60_000;

/// Asserts that an answer is this refusal, in the shape that every client reads; returns its sentence.
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) -> String {
    let text = reply.text();
    assert_eq!(reply.status, status, "{code}: {text}");
    assert_eq!(
        reply.header("content-type"),
        Some("application/json;charset=utf-8"),
        "{text}"
    );
    let body = reply.json();
    assert_eq!(body["Code"], code, "{text}");
    let id = body["RequestId"].as_str().expect("a RequestId");
    assert_eq!(
        reply.header("x-acs-request-id"),
        Some(id),
        "the same id in header and body"
    );
    let is_uuid = id.len() == 36
        && id
            .bytes()
            .all(|it| it == b'-' || it.is_ascii_digit() || it.is_ascii_uppercase());
    assert!(is_uuid, "{id}");
    assert!(
        body["HostId"].is_string() && body["Recommend"].is_string(),
        "{text}"
    );
    body["Message"].as_str().expect("a Message").to_owned()
}

/// Sends a query as it is.
async fn get(server: &Server, query: &str) -> Reply {
    let headers = [("host", server.authority())];
    Reply::to(
        server.authority(),
        "GET",
        &format!("/?{query}"),
        &headers,
        b"",
    )
    .await
}

fn list(server: &Server) -> Request {
    server.request("DescribeOnceTask", &[("TaskType", "CLIENT_DEV_OPS")])
}

#[tokio::test]
async fn a_request_that_proves_nothing_is_refused() {
    let server = Server::start(&[]).await;
    assert_eq!(list(&server).send().await.status, 200);
    assert_eq!(list(&server).send_v1().await.status, 200);

    let unsigned = get(
        &server,
        "Action=DescribeOnceTask&Version=2018-12-03&TaskType=CLIENT_DEV_OPS",
    )
    .await;
    assert!(refused(&unsigned, 400, "MissingParameter").contains("AccessKeyId"));
    refused(
        &get(&server, "Version=2018-12-03").await,
        400,
        "MissingParameter",
    );

    let request = Request {
        secret: "not the secret at all".to_owned(),
        ..list(&server)
    };
    let message = refused(&request.send().await, 400, "SignatureDoesNotMatch");
    assert!(
        message.contains("server StringToSign is [`ACS3-HMAC-SHA256\n"),
        "{message}"
    );
    let request = Request {
        secret: "not the secret at all".to_owned(),
        ..list(&server)
    };
    let message = refused(&request.send_v1().await, 400, "SignatureDoesNotMatch");
    // The vendor's own client takes what stands between the first colon and the next.
    let parts: Vec<&str> = message.split(':').collect();
    assert_eq!(parts.len(), 2, "{message}");
    assert!(parts[1].starts_with("POST&%2F&AccessKeyId%3D"), "{message}");

    let altered = list(&server)
        .query_v1()
        .replace("CLIENT_DEV_OPS", "ASSETS_COLLECTION");
    let reply = Reply::to(
        server.authority(),
        "POST",
        &format!("/?{altered}"),
        &[("host", server.authority())],
        b"",
    )
    .await;
    refused(&reply, 400, "SignatureDoesNotMatch");

    let request = Request {
        key_id: "nobodysKey".to_owned(),
        ..list(&server)
    };
    refused(&request.send().await, 404, "InvalidAccessKeyId.NotFound");
    let client = server.client();
    client.create_user("ann").await.unwrap();
    let key = client.create_key("ann").await.unwrap();
    client
        .update_key(
            &key.access_key_id,
            protocol::api::access::KeyStatus::Inactive,
        )
        .await
        .unwrap();
    let request = Request {
        key_id: key.access_key_id,
        secret: key.access_key_secret,
        ..list(&server)
    };
    refused(&request.send().await, 400, "InvalidAccessKeyId.Inactive");

    let reply = list(&server)
        .send_with(&[("authorization", "ACS3-HMAC-SHA256 Credential=x")])
        .await;
    refused(&reply, 400, "IncompleteSignature");
    let query = format!(
        "Action=DescribeOnceTask&Version=2018-12-03&AccessKeyId={ROOT_ID}&Signature=x&SignatureMethod=HMAC-MD5\
         &SignatureVersion=1.0&Timestamp=2026-01-01T00%3A00%3A00Z&SignatureNonce=1&Format=JSON"
    );
    refused(&get(&server, &query).await, 400, "InvalidSignatureMethod");
    refused(
        &get(&server, &query.replace("MD5", "SHA1")).await,
        400,
        "InvalidTimeStamp.Expired",
    );
    let query = query
        .replace("MD5", "SHA1")
        .replace("2026-01-01T00%3A00%3A00Z", "yesterday");
    refused(&get(&server, &query).await, 400, "InvalidTimeStamp.Format");
}

#[tokio::test]
async fn a_request_is_good_once_and_for_a_quarter_of_an_hour() {
    let server = Server::start(&[]).await;
    for minutes in [-14, 14] {
        let request = list(&server);
        let request = Request {
            date_ms: request.date_ms + minutes * MINUTE_MS,
            ..request
        };
        assert_eq!(request.send().await.status, 200, "{minutes} minutes");
    }
    for minutes in [-16, 16] {
        let request = list(&server);
        let request = Request {
            date_ms: request.date_ms + minutes * MINUTE_MS,
            ..request
        };
        refused(&request.send().await, 400, "InvalidTimeStamp.Expired");
    }
    let request = list(&server);
    assert_eq!(request.send().await.status, 200);
    refused(&request.send().await, 400, "SignatureNonceUsed");
    refused(&request.send_v1().await, 400, "SignatureNonceUsed");

    // Nobody can use up somebody else's nonce.
    let request = list(&server);
    let forged = Request {
        secret: "guessed, and wrongly so".to_owned(),
        ..request.clone()
    };
    refused(&forged.send().await, 400, "SignatureDoesNotMatch");
    assert_eq!(request.send().await.status, 200);
}

#[tokio::test]
async fn what_is_not_served_is_said_plainly() {
    let server = Server::start(&[]).await;
    refused(
        &server.request("StartTheWar", &[]).send().await,
        404,
        "InvalidAction.NotFound",
    );
    refused(
        &server.request("describeOnceTask", &[]).send().await,
        404,
        "InvalidAction.NotFound",
    );
    let request = Request {
        version: "2014-05-26".to_owned(),
        ..list(&server)
    };
    refused(&request.send().await, 400, "InvalidVersion");
    for method in ["PUT", "DELETE"] {
        let request = Request {
            method: method.to_owned(),
            ..list(&server)
        };
        refused(&request.send().await, 403, "UnsupportedHTTPMethod");
    }
    let headers = [("host", server.authority())];
    let reply = Reply::to(server.authority(), "GET", "/api/v2/tasks", &headers, b"").await;
    assert!(refused(&reply, 404, "InvalidAction.NotFound").contains("/api/v2/tasks"));
    // An order of checks that gives nothing away: who may not ask learns nothing of the parameters.
    let request = Request {
        key_id: "nobodysKey".to_owned(),
        ..server.request("StartTheWar", &[])
    };
    refused(&request.send().await, 404, "InvalidAccessKeyId.NotFound");
}

#[tokio::test]
async fn a_request_may_be_as_large_as_the_limit_and_no_larger() {
    let server = Server::start(&[]).await;
    let host = server.authority();
    // What is padded is a parameter that nobody reads.
    let action = "DescribeClientProblemType";
    for (size, fits) in [
        (limits::REQUEST_BODY_BYTES_MAX, true),
        (limits::REQUEST_BODY_BYTES_MAX + 1, false),
    ] {
        let padding = "x".repeat(size - "Padding=".len());
        let reply = server
            .request(action, &[("Padding", &padding)])
            .send()
            .await;
        if fits {
            assert_eq!(reply.status, 200, "{}", reply.text());
        } else {
            assert!(refused(&reply, 413, "RequestEntityTooLarge").contains("4194304"));
        }
    }
    for (count, fits) in [
        (limits::REQUEST_PARAMETERS_MAX, true),
        (limits::REQUEST_PARAMETERS_MAX + 1, false),
    ] {
        let names: Vec<String> = (0..count).map(|it| format!("P{it}")).collect();
        let params: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), "1")).collect();
        let reply = server.request(action, &params).send().await;
        if fits {
            assert_eq!(reply.status, 200, "{}", reply.text());
        } else {
            assert!(refused(&reply, 400, "InvalidParameter").contains("at most 1000"));
        }
    }
    // Far past the limit: what has come with the last read may be a little more.
    let long = "x".repeat(4 * limits::REQUEST_HEAD_BYTES_MAX);
    let reply = Reply::to(host, "GET", "/", &[("host", host), ("x-long", &long)], b"").await;
    assert_eq!(reply.status, 431);
    let many: Vec<(String, &str)> = (0..=limits::REQUEST_HEADERS_MAX)
        .map(|it| (format!("x-{it}"), "1"))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    assert_eq!(Reply::to(host, "GET", "/", &many, b"").await.status, 431);
    let reply = Reply::to(host, "G E T", "/", &[("host", host)], b"").await;
    assert_eq!(reply.status, 400);
    // None of it kept the server from working.
    assert_eq!(list(&server).send().await.status, 200);
}

#[tokio::test]
async fn strangers_do_not_fill_the_memory_with_bodies() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(&[]).await;
    let host = server.authority();
    let form = "content-type: application/x-www-form-urlencoded";
    let begin = async |more: &str, sent: usize| {
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\n{form}\r\n{more}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who was refused meanwhile has closed.
        stream.write_all(&vec![b'x'; sent]).await.ok();
        stream
    };
    async fn answer(mut stream: tokio::net::TcpStream) -> String {
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        String::from_utf8_lossy(&head).into_owned()
    }
    // What can be told from the head is told before the body has come.
    let long = format!("content-length: {}", limits::REQUEST_BODY_BYTES_MAX + 1);
    assert_eq!(answer(begin(&long, 0).await).await, "HTTP/1.1 413");
    let length = limits::REQUEST_BODY_BYTES_MAX;
    let nobody = "authorization: ACS3-HMAC-SHA256 Credential=nobody,SignedHeaders=host,Signature=0";
    let nobody = format!("content-length: {length}\r\n{nobody}");
    assert_eq!(answer(begin(&nobody, 0).await).await, "HTTP/1.1 404");
    // Bodies that stop just before their end, as many as are taken in, and one more.
    let most = limits::BLIND_BODIES_BYTES_MAX / length;
    let announced = format!("content-length: {length}");
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..=most {
        held.spawn(answer(begin(&announced, length - 1).await));
    }
    assert_eq!(held.join_next().await.unwrap().unwrap(), "HTTP/1.1 400");
    assert_eq!(held.len(), most, "the others wait for the last byte");
    // Callers are answered meanwhile.
    assert_eq!(list(&server).send().await.status, 200);
}

#[tokio::test]
async fn a_caller_who_wants_xml_gets_xml() {
    let server = Server::start(&[]).await;
    let query = |format: &str| {
        let pairs = [
            ("Action", "DescribeOnceTask"),
            ("Version", "2018-12-03"),
            ("AccessKeyId", "nobodysKey"),
            ("Signature", "x"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", "1"),
            ("Format", format),
            ("Timestamp", "2020-01-01T00:00:00Z"),
            ("TaskType", "CLIENT_DEV_OPS"),
        ];
        canonical::query(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    // V1 without Format means XML.
    for format in ["XML", "xml", ""] {
        let reply = get(&server, &query(format)).await;
        let text = reply.text();
        assert_eq!(reply.status, 400, "{text}");
        assert_eq!(reply.header("content-type"), Some("text/xml;charset=utf-8"));
        assert!(
            text.starts_with("<?xml") && text.contains("<Error>") && text.ends_with("</Error>"),
            "{text}"
        );
        let id = reply.header("x-acs-request-id").unwrap();
        assert!(
            text.contains(&format!("<RequestId>{id}</RequestId>")),
            "{text}"
        );
        assert!(
            text.contains("<Code>InvalidTimeStamp.Expired</Code>"),
            "{text}"
        );
    }
    refused(
        &get(&server, &query("json")).await,
        400,
        "InvalidTimeStamp.Expired",
    );
    let reply = server
        .request(
            "DescribeOnceTask",
            &[("TaskType", "CLIENT_DEV_OPS"), ("Format", "XML")],
        )
        .send()
        .await;
    let text = reply.text();
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/xml;charset=utf-8"))
    );
    assert!(
        text.contains("<DescribeOnceTaskResponse>") && text.contains("<TotalCount>0</TotalCount>"),
        "{text}"
    );
}

#[tokio::test]
async fn a_request_is_good_once_even_if_the_server_starts_anew() {
    let mut server = Server::start(&[]).await;
    let request = server.request("CreateUser", &[("UserName", "ann")]);
    assert_eq!(request.send().await.status, 200);
    server.client().delete_user("ann").await.unwrap();
    server.kill9().await;
    server.restart().await;
    let again = request.send().await;
    assert_ne!(
        again.status,
        200,
        "what was undone is done again: {}",
        again.text()
    );
    assert!(server.client().users().await.unwrap().users.is_empty());
}
