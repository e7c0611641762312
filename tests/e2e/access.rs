//! Users, policies and tokens: who may do what.

use protocol::api::access::CreateAccessKey;
use serde_json::{Value, json};
use tests::{Reply, Request, Server};

use crate::refusals::refused;

const ROOTS: (&str, &[(&str, &str)]) = ("DescribeOnceTask", &[("TaskType", "CLIENT_DEV_OPS")]);
const PROBLEMS: (&str, &[(&str, &str)]) = ("DescribeClientProblemType", &[]);

fn policy(statements: &Value) -> String {
    json!({"Version": "1", "Statement": statements}).to_string()
}

fn allow(action: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": "*"})
}

fn deny(action: &str) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": "*"})
}

/// A user with one key and these statements.
async fn user(server: &Server, name: &str, statements: &Value) -> CreateAccessKey {
    let client = server.client();
    client.create_user(name).await.unwrap();
    client
        .put_policy(name, "p", &policy(statements))
        .await
        .unwrap();
    client.create_key(name).await.unwrap()
}

async fn call(
    server: &Server,
    key: &CreateAccessKey,
    (action, params): (&str, &[(&str, &str)]),
) -> Reply {
    let request = server.request(action, params);
    let (key_id, secret) = (key.access_key_id.clone(), key.access_key_secret.clone());
    Request {
        key_id,
        secret,
        ..request
    }
    .send()
    .await
}

#[tokio::test]
async fn a_user_may_what_a_policy_allows_and_nothing_else() {
    let server = Server::start(&[]).await;
    let client = server.client();
    client.create_user("ann").await.unwrap();
    let ann = client.create_key("ann").await.unwrap();
    let reply = call(&server, &ann, ROOTS).await;
    assert_eq!(
        refused(&reply, 403, "NoPermission"),
        "caller has no permission"
    );
    let detail = reply.json()["AccessDeniedDetail"].clone();
    for (member, expected) in [
        ("AuthAction", "yundun-sas:DescribeOnceTask"),
        ("AuthPrincipalDisplayName", "ann"),
        ("AuthPrincipalType", "SubUser"),
        ("NoPermissionType", "ImplicitDeny"),
        ("PolicyType", "AccountLevelIdentityBasedPolicy"),
    ] {
        assert_eq!(detail[member], expected, "{detail}");
    }
    // Permission comes before parameters: who may not ask is not told how.
    refused(
        &call(&server, &ann, ("DescribeOnceTask", &[("PageSize", "0")])).await,
        403,
        "NoPermission",
    );
    refused(
        &call(&server, &ann, ("CreateUser", &[("UserName", "eve")])).await,
        403,
        "NoPermission",
    );

    client
        .put_policy(
            "ann",
            "read",
            &policy(&json!([allow("yundun-sas:Describe*")])),
        )
        .await
        .unwrap();
    assert_eq!(call(&server, &ann, ROOTS).await.status, 200);
    refused(
        &call(&server, &ann, ("CancelOnceTask", &[("TaskId", "x")])).await,
        403,
        "NoPermission",
    );

    client
        .put_policy(
            "ann",
            "not",
            &policy(&json!([deny("yundun-sas:DescribeOnceTask")])),
        )
        .await
        .unwrap();
    let reply = call(&server, &ann, ROOTS).await;
    refused(&reply, 403, "NoPermission");
    assert_eq!(
        reply.json()["AccessDeniedDetail"]["NoPermissionType"],
        "ExplicitDeny"
    );
    assert_eq!(call(&server, &ann, PROBLEMS).await.status, 200);

    client.delete_policy("ann", "not").await.unwrap();
    assert_eq!(call(&server, &ann, ROOTS).await.status, 200);
    client.delete_key(&ann.access_key_id).await.unwrap();
    refused(
        &call(&server, &ann, ROOTS).await,
        404,
        "InvalidAccessKeyId.NotFound",
    );
}

#[tokio::test]
async fn both_service_codes_and_all_conditions_count() {
    let server = Server::start(&[]).await;
    let with = |mut statement: Value, condition: Value| {
        statement["Condition"] = condition;
        statement
    };
    let from = |range: &str| json!({"IpAddress": {"acs:SourceIp": range}});
    let everything = || allow("*");
    let cases = [
        (json!([allow("yundun-sas:DescribeOnceTask")]), 200),
        (json!([allow("yundun-aegis:DescribeOnceTask")]), 200),
        (
            json!([everything(), deny("yundun-aegis:DescribeOnceTask")]),
            403,
        ),
        (
            json!([everything(), deny("yundun-sas:DescribeOnceTask")]),
            403,
        ),
        (json!([allow("sickbay:*")]), 403),
        (
            json!([{"Effect": "Allow", "NotAction": "yundun-sas:GenerateOnceTask", "Resource": "*"}]),
            200,
        ),
        (
            json!([{"Effect": "Allow", "NotAction": "yundun-sas:DescribeOnceTask", "Resource": "*"}]),
            403,
        ),
        (json!([with(everything(), from("127.0.0.0/8"))]), 200),
        (json!([with(everything(), from("10.0.0.0/8"))]), 403),
        (
            json!([everything(), with(deny("*"), from("127.0.0.1"))]),
            403,
        ),
        (
            json!([with(
                everything(),
                json!({"Bool": {"acs:SecureTransport": "true"}})
            )]),
            403,
        ),
        (
            json!([with(
                everything(),
                json!({"DateLessThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}})
            )]),
            403,
        ),
        (
            json!([with(
                everything(),
                json!({"DateGreaterThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}})
            )]),
            200,
        ),
        (
            json!([with(
                everything(),
                json!({"StringEquals": {"acs:Unheard": "x"}})
            )]),
            403,
        ),
    ];
    for (number, (statements, status)) in cases.into_iter().enumerate() {
        let key = user(&server, &format!("user{number}"), &statements).await;
        let reply = call(&server, &key, ROOTS).await;
        assert_eq!(reply.status, status, "{statements}: {}", reply.text());
    }
    let ours = user(&server, "admin", &json!([allow("sickbay:GetServerInfo")])).await;
    assert_eq!(
        call(&server, &ours, ("GetServerInfo", &[])).await.status,
        200
    );
    for document in ["{}", "{\"Version\":\"2\",\"Statement\":[]}", "not JSON"] {
        let params = [
            ("UserName", "admin"),
            ("PolicyName", "p"),
            ("PolicyDocument", document),
        ];
        let message = refused(
            &server.request("PutUserPolicy", &params).send().await,
            400,
            "InvalidParameter",
        );
        assert!(message.contains("PolicyDocument"), "{message}");
    }
}

#[tokio::test]
async fn a_temporary_key_may_less_than_its_maker_and_needs_its_token() {
    let server = Server::start(&[]).await;
    let statements = json!([allow("yundun-sas:Describe*"), allow("sickbay:CreateToken")]);
    let maker = user(&server, "maker", &statements).await;
    let client = server.client_as(&maker.access_key_id, &maker.access_key_secret, None);
    let narrow = policy(&json!([
        allow("yundun-sas:DescribeOnceTask"),
        allow("yundun-sas:GenerateOnceTask")
    ]));
    let made = client
        .create_token(Some(900), Some(&narrow), false)
        .await
        .unwrap();
    let (id, secret, token) = (
        made.access_key_id.unwrap(),
        made.access_key_secret.unwrap(),
        made.security_token.unwrap(),
    );
    assert!(made.expiration_ms > tests::now_ms() && made.bearer_token.is_none());
    let request = |(action, params): (&str, &[(&str, &str)]), token: Option<&str>| Request {
        key_id: id.clone(),
        secret: secret.clone(),
        token: token.map(str::to_owned),
        ..server.request(action, params)
    };
    assert_eq!(request(ROOTS, Some(&token)).send().await.status, 200);
    assert_eq!(request(ROOTS, Some(&token)).send_v1().await.status, 200);
    let denied = request(PROBLEMS, Some(&token)).send().await;
    refused(&denied, 403, "NoPermission");
    assert_eq!(
        denied.json()["AccessDeniedDetail"]["AuthPrincipalType"],
        "AssumedRoleUser"
    );
    // The token's own policy cannot give what its maker has not got.
    refused(
        &request(("GenerateOnceTask", &[]), Some(&token))
            .send()
            .await,
        403,
        "NoPermission",
    );
    refused(
        &request(ROOTS, None).send().await,
        400,
        "MissingSecurityToken",
    );
    refused(
        &request(ROOTS, Some("nonsense")).send().await,
        400,
        "InvalidSecurityToken.Malformed",
    );
    let other = client
        .create_token(Some(900), None, false)
        .await
        .unwrap()
        .security_token
        .unwrap();
    refused(
        &request(ROOTS, Some(&other)).send().await,
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
    );
    let lasting = Request {
        key_id: maker.access_key_id.clone(),
        secret: maker.access_key_secret.clone(),
        token: Some(token.clone()),
        ..server.request(ROOTS.0, ROOTS.1)
    };
    refused(
        &lasting.send().await,
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
    );
    let nested = server
        .client_as(&id, &secret, Some(&token))
        .create_token(None, None, false)
        .await;
    assert_eq!(
        nested.err().unwrap().refusal().unwrap().code,
        "NoPermission"
    );

    // What the maker loses, the token loses.
    server
        .client()
        .put_policy("maker", "p", &policy(&json!([allow("sickbay:*")])))
        .await
        .unwrap();
    refused(
        &request(ROOTS, Some(&token)).send().await,
        403,
        "NoPermission",
    );
    server.client().delete_user("maker").await.unwrap();
    assert_eq!(request(ROOTS, Some(&token)).send().await.status, 404);
}

#[tokio::test]
async fn a_bearer_token_needs_no_signature() {
    let server = Server::start(&[]).await;
    let narrow = policy(&json!([allow("yundun-sas:DescribeOnceTask")]));
    let made = server
        .client()
        .create_token(None, Some(&narrow), true)
        .await
        .unwrap();
    let token = made.bearer_token.unwrap();
    assert!(
        made.access_key_id.is_none()
            && made.access_key_secret.is_none()
            && made.security_token.is_none()
    );
    let host = server.authority();
    let ask = async |action: &str, token: &str| {
        let target = format!(
            "/?Action={action}&Version=2018-12-03&SignatureType=BEARERTOKEN&TaskType=CLIENT_DEV_OPS"
        );
        Reply::to(
            host,
            "GET",
            &target,
            &[("host", host), ("x-acs-bearer-token", token)],
            b"",
        )
        .await
    };
    let reply = ask("DescribeOnceTask", &token).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    refused(
        &ask("DescribeClientProblemType", &token).await,
        403,
        "NoPermission",
    );
    refused(
        &ask("DescribeOnceTask", "nonsense").await,
        400,
        "InvalidSecurityToken.Malformed",
    );
}

#[tokio::test]
async fn labels_are_for_those_who_may_set_them() {
    let server = Server::start(&[]).await;
    let statements = json!([allow("yundun-sas:*")]);
    let ann = user(&server, "ann", &statements).await;
    let labels = ("Labels", r#"{"env":"prod"}"#);
    let set: (&str, &[(&str, &str)]) = ("SetHostLabels", &[("Selector", "os exists"), labels]);
    let code: (&str, &[(&str, &str)]) = ("AddInstallCode", &[labels]);
    for what in [set, code] {
        refused(&call(&server, &ann, what).await, 403, "NoPermission");
    }
    let statements = json!([allow("yundun-sas:*"), allow("sickbay:SetHostLabels")]);
    let bob = user(&server, "bob", &statements).await;
    for what in [set, code] {
        let reply = call(&server, &bob, what).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}
