//! The console without a browser: who gets in, what they may, and what an attacker may not.

use model::TaskType::{ClientDevOps, ClientProblemCheck};
use protocol::api::access::KeyStatus;
use serde_json::json;
use tests::{Agent, ROOT_ID, ROOT_SECRET, Reply, Server};

/// A browser with its cookies, as far as the console needs one.
struct Browser<'a> {
    server: &'a Server,
    cookie: String,
}

impl<'a> Browser<'a> {
    const fn new(server: &'a Server) -> Self {
        Self {
            server,
            cookie: String::new(),
        }
    }

    async fn signed_in(server: &'a Server, id: &str, secret: &str) -> Self {
        let mut browser = Self::new(server);
        let reply = browser
            .post(
                "/console/sign-in",
                &[("key_id", id), ("secret", secret)],
                &[],
            )
            .await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let set = reply.header("set-cookie").unwrap();
        for word in ["HttpOnly", "SameSite=Lax", "Path=/console"] {
            assert!(set.contains(word), "{set}");
        }
        browser.cookie = set.split(';').next().unwrap().to_owned();
        browser
    }

    fn host(&self) -> &str {
        self.server.url.split_once("://").unwrap().1
    }

    async fn get(&self, path: &str) -> Reply {
        let headers = [("host", self.host()), ("cookie", &self.cookie)];
        Reply::to(self.host(), "GET", path, &headers, b"").await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Reply {
        let encode = protocol::sign::canonical::encode;
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", encode(value));
        let body: Vec<String> = fields.iter().map(pair).collect();
        let kind = "application/x-www-form-urlencoded";
        let mut headers = vec![
            ("host", self.host()),
            ("cookie", &self.cookie),
            ("content-type", kind),
        ];
        headers.extend(more);
        Reply::to(
            self.host(),
            "POST",
            path,
            &headers,
            body.join("&").as_bytes(),
        )
        .await
    }

    /// The word that forms of this session bring along.
    async fn form_token(&self) -> String {
        let page = self.get("/console/tasks/new").await.text();
        let (_, rest) = page.split_once(r#"name="form_token" value=""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_key() {
    let server = Server::start(&[]).await;
    let stranger = Browser::new(&server);
    for path in [
        "/console",
        "/console/tasks",
        "/console/hosts/x",
        "/console/causes",
    ] {
        let reply = stranger.get(path).await;
        assert_eq!(reply.status, 303, "{path}");
        let to = reply.header("location").unwrap();
        assert!(to.starts_with("/console/sign-in?to="), "{to}");
    }
    for (id, secret) in [(ROOT_ID, "wrong"), ("nobody", ROOT_SECRET), ("", "")] {
        let fields = [("key_id", id), ("secret", secret)];
        let reply = stranger.post("/console/sign-in", &fields, &[]).await;
        assert_eq!(reply.status, 403, "{id}");
        assert!(reply.header("set-cookie").is_none());
        assert!(reply.text().contains("secret is wrong"), "{}", reply.text());
    }
    let fields = [("key_id", ROOT_ID), ("secret", ROOT_SECRET)];
    let elsewhere = [("sec-fetch-site", "cross-site")];
    let forged = stranger.post("/console/sign-in", &fields, &elsewhere).await;
    assert_eq!(forged.status, 403, "another site signs nobody in");
}

#[tokio::test]
async fn every_page_opens_and_lets_nothing_in_from_elsewhere() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let task = server.create(ClientProblemCheck, json!({})).await;
    server.ended(&task).await;
    let leaf = task
        .parse::<model::TaskId>()
        .unwrap()
        .root()
        .leaf(1)
        .to_string();
    let browser = Browser::signed_in(&server, ROOT_ID, ROOT_SECRET).await;
    for path in [
        "/console".to_owned(),
        "/console/tasks".to_owned(),
        "/console/tasks/new".to_owned(),
        "/console/tasks/new?type=CLIENT_DEV_OPS&selector=status+%3D+online".to_owned(),
        "/console/tasks/new/targets?selector=os+%3D".to_owned(),
        format!("/console/tasks/{task}"),
        format!("/console/tasks/{task}?status=SUCCESS&page=1"),
        format!("/console/leaves/{leaf}"),
        "/console/hosts".to_owned(),
        "/console/hosts?q=not+a+selector".to_owned(),
        format!("/console/hosts/{}", agent.uuid),
        "/console/causes?q=disk".to_owned(),
        "/console/causes/2401".to_owned(),
        "/console/assets/console.css".to_owned(),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = reply.text();
        assert!(
            !text.contains("<script>") && !text.contains(" style="),
            "{path}"
        );
    }
    for path in [
        "/console/tasks/0",
        "/console/leaves/x",
        "/console/hosts/x",
        "/console/causes/1",
    ] {
        let reply = browser.get(path).await;
        assert!(
            (400..500).contains(&reply.status),
            "{path}: {}",
            reply.status
        );
    }
}

#[tokio::test]
async fn a_task_is_created_once_however_often_its_form_is_sent_and_only_from_our_pages() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let browser = Browser::signed_in(&server, ROOT_ID, ROOT_SECRET).await;
    let token = browser.form_token().await;
    let form = |token| {
        [
            ("form_token", token),
            ("once", "5d3c"),
            ("type", "CLIENT_DEV_OPS"),
            ("selector", "status = online"),
            ("command", "echo '<b>bold</b>'"),
        ]
    };
    let forged = browser.post("/console/tasks/new", &form("x"), &[]).await;
    assert_eq!(forged.status, 400, "{}", forged.text());
    let elsewhere = [("sec-fetch-site", "same-site")];
    let forged = browser
        .post("/console/tasks/new", &form(&token), &elsewhere)
        .await;
    assert_eq!(forged.status, 400, "{}", forged.text());
    let first = browser.post("/console/tasks/new", &form(&token), &[]).await;
    assert_eq!(first.status, 303, "{}", first.text());
    let place = first.header("location").unwrap().to_owned();
    let again = browser.post("/console/tasks/new", &form(&token), &[]).await;
    assert_eq!(again.header("location"), Some(place.as_str()), "one task");
    let id = place.rsplit('/').next().unwrap();
    server.ended(id).await;
    let page = browser.get(&place).await.text();
    assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;"), "{page}");
    assert!(!page.contains("<b>bold"), "what hosts say is no HTML");
    drop(agent);
}

#[tokio::test]
async fn a_check_of_one_host_that_is_refused_never_offers_all_hosts() {
    let server = Server::start(&[]).await;
    let agent = Agent::enrol(&server).await;
    let browser = Browser::signed_in(&server, ROOT_ID, ROOT_SECRET).await;
    let token = browser.form_token().await;
    let check = [
        ("form_token", token.as_str()),
        ("type", "CLIENT_PROBLEM_CHECK"),
        ("uuids", &agent.uuid),
        ("problem", "no-such-problem"),
    ];
    let refused = browser.post("/console/tasks/new", &check, &[]).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(
        !refused.text().contains("name=\"selector\""),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_user_sees_and_does_what_their_policies_allow() {
    let server = Server::start(&[]).await;
    let client = server.client();
    let _agent = Agent::enrol(&server).await;
    let task = server
        .create(ClientDevOps, json!({"command": "true"}))
        .await;
    client.create_user("ann").await.unwrap();
    let may = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": ["yundun-sas:Describe*"], "Resource": "*"}
    ]});
    client
        .put_policy("ann", "look", &may.to_string())
        .await
        .unwrap();
    let key = client.create_key("ann").await.unwrap();
    let ann = Browser::signed_in(&server, &key.access_key_id, &key.access_key_secret).await;
    assert_eq!(ann.get(&format!("/console/tasks/{task}")).await.status, 200);
    let token = ann.form_token().await;
    let cancel = format!("/console/tasks/{task}/cancel");
    let refused = ann.post(&cancel, &[("form_token", &token)], &[]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("You may not"), "{}", refused.text());
    client
        .update_key(&key.access_key_id, KeyStatus::Inactive)
        .await
        .unwrap();
    assert_eq!(
        ann.get("/console").await.status,
        303,
        "the session went with its key"
    );
}

#[tokio::test]
async fn who_signs_out_is_out_and_sessions_outlive_the_node() {
    let mut server = Server::start(&[]).await;
    let cookie = Browser::signed_in(&server, ROOT_ID, ROOT_SECRET)
        .await
        .cookie;
    server.kill9().await;
    server.restart().await;
    let browser = Browser {
        server: &server,
        cookie,
    };
    assert_eq!(browser.get("/console").await.status, 200);
    let token = browser.form_token().await;
    let out = browser
        .post("/console/sign-out", &[("form_token", &token)], &[])
        .await;
    assert_eq!(out.status, 303);
    assert_eq!(
        browser.get("/console").await.status,
        303,
        "the cookie is worth nothing now"
    );
}
