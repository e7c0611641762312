use super::*;

mod innocent;
mod leaks;

fn check(text: &str, expected: &str) {
    let (redacted, count) = redact(text);
    assert_eq!(redacted, expected);
    assert_eq!(count, expected.matches(REDACTED).count(), "{text}");
    assert_eq!(redact(&redacted), (redacted.clone(), 0), "again");
}

#[test]
fn named_values_go_in_every_format() {
    for (text, expected) in [
        (
            "level=info password=hunter2 user=bob",
            "level=info password=[redacted] user=bob",
        ),
        (
            "DB_PASSWORD='two words' NEXT=1",
            "DB_PASSWORD='[redacted]' NEXT=1",
        ),
        (
            r#"{"user":"bob","apiKey":"k\"1","n":2}"#,
            r#"{"user":"bob","apiKey":"[redacted]","n":2}"#,
        ),
        (
            r#"msg="{\"token\":\"abc\",\"n\":1}""#,
            r#"msg="{\"token\":\"[redacted]\",\"n\":1}""#,
        ),
        (
            "db:\n  password: my secret phrase\n  port: 3306\n",
            "db:\n  password: [redacted]\n  port: 3306\n",
        ),
        (
            "client_secret: \"a b\" # note",
            "client_secret: \"[redacted]\" # note",
        ),
        (
            "[section]\nsecret = abc123\nname = x",
            "[section]\nsecret = [redacted]\nname = x",
        ),
        (
            "{'access_key_secret' => 'abc'}",
            "{'access_key_secret' => '[redacted]'}",
        ),
        (
            "<password>abc</password>",
            "<password>[redacted]</password>",
        ),
        (
            "login ok, token: abc, next",
            "login ok, token: [redacted], next",
        ),
        (
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCY",
            "AWS_SECRET_ACCESS_KEY=[redacted]",
        ),
        (
            "SICKBAY_ROOT_ACCESS_KEY_SECRET=abc",
            "SICKBAY_ROOT_ACCESS_KEY_SECRET=[redacted]",
        ),
        (
            "Server=db;User Id=sa;Password=p@ss,1;Encrypt=yes",
            "Server=db;User Id=sa;Password=[redacted];Encrypt=yes",
        ),
        (
            "passwörd=x password=gehéim!",
            "passwörd=x password=[redacted]",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn headers_and_addresses_go() {
    for (text, expected) in [
        (
            "Authorization: Bearer abc.def-123\r\nAccept: */*",
            "Authorization: Bearer [redacted]\r\nAccept: */*",
        ),
        (
            "> authorization: Basic dXNlcjpwYXNz",
            "> authorization: Basic [redacted]",
        ),
        (
            "curl -H \"Authorization: Bearer abc\" https://a/b",
            "curl -H \"Authorization: Bearer [redacted]\" https://a/b",
        ),
        (
            "Cookie: session=1; theme=dark\nHost: a",
            "Cookie: [redacted]\nHost: a",
        ),
        ("X-Auth-Token: 12345", "X-Auth-Token: [redacted]"),
        ("sent Bearer abcDEF123456789", "sent Bearer [redacted]"),
        (
            "proxy http://bob:s3cret@proxy:3128/",
            "proxy http://bob:[redacted]@proxy:3128/",
        ),
        (
            "postgres://app:p@ss@db:5432/main",
            "postgres://app:[redacted]@db:5432/main",
        ),
        (
            "https://0123456789abcdef0123456789abcdef@github.example/x",
            "https://[redacted]@github.example/x",
        ),
        (
            "GET /b?id=7&token=abc&sig=def&n=1 200",
            "GET /b?id=7&token=[redacted]&sig=[redacted]&n=1 200",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn known_shapes_go_without_a_name() {
    for (text, expected) in [
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used"),
        ("id=ASIAIOSFODNN7EXAMPLE,", "id=[redacted],"),
        (
            "AccessKeyId LTAI5tABCDEFGHIJKLMNOP",
            "AccessKeyId [redacted]",
        ),
        (
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "jwt [redacted]",
        ),
        (
            "push with ghp_0123456789abcdefghij0123456789abcdef",
            "push with [redacted]",
        ),
        ("hook xoxb-123456789012-abcdef", "hook [redacted]"),
        (
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\nBQYDK2Vw\n-----END PRIVATE KEY-----\nafter",
            "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----\nafter",
        ),
        (
            r#"{"pem":"x\n-----BEGIN EC PRIVATE KEY-----\nMC4C\n-----END EC PRIVATE KEY-----\n"}"#,
            r#"{"pem":"x\n-----BEGIN EC PRIVATE KEY-----[redacted]-----END EC PRIVATE KEY-----\n"}"#,
        ),
        (
            "private_key=-----BEGIN PRIVATE KEY-----\nMC4C",
            "private_key=-----BEGIN PRIVATE KEY-----[redacted]",
        ),
        (
            "MC4CAQAw\nBQYDK2Vw\n-----END PRIVATE KEY-----\n",
            "[redacted]-----END PRIVATE KEY-----\n",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn arguments_of_commands_go() {
    for (text, expected) in [
        (
            "app --password x --verbose",
            "app --password [redacted] --verbose",
        ),
        ("app --token=x -v", "app --token=[redacted] -v"),
        (
            "mysql -u root -phunter2 main",
            "mysql -u root -p[redacted] main",
        ),
        (
            "sshpass -p 'a b' ssh host -p 22",
            "sshpass -p '[redacted]' ssh host -p 22",
        ),
        (
            "docker login -u bob -p x ; mkdir -p /srv",
            "docker login -u bob -p [redacted] ; mkdir -p /srv",
        ),
        ("curl -u bob:pw https://a", "curl -u [redacted] https://a"),
        (
            "sickbay-agent enrol --server https://a --install-code ABCD-1234",
            "sickbay-agent enrol --server https://a --install-code [redacted]",
        ),
        (
            "./checker check -b eyJtb2RlIjoxLCJqc3J2X2RvbWFpbiI6W10sImlzc3VlIjoib2Zm+/==",
            "./checker check -b [redacted]",
        ),
        (
            "args: [\"--password\", \"x\"]",
            "args: [\"--password\", \"[redacted]\"]",
        ),
        (
            "app\0--password\0x\0--verbose\0",
            "app\0--password\0[redacted]\0--verbose\0",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn innocent_text_stays() {
    for text in [
        "",
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "password authentication failed for user \"x\"",
        "mkdir -p /var/lib/sickbay-agent && ps -p 1 && nc -p 80",
        "PWD=/root OLDPWD=/ HOME=/root",
        "tokens: 42, token_count=7 tokenizer=fast",
        "password: null\nsecret: ${SECRET}\ntoken: file:/run/token\nkey: ***",
        "https://sickbay.example:8443/healthz and git@github.example:a/b.git",
        "INFO agent::token: refreshed; see model::secret::Store",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "------------------------------------------------",
        "Basic authentication and Bearer tokens are supported",
        "thread 'main' panicked at src/main.rs:4:5: index out of bounds",
        "2026-03-02T11:59:00Z  INFO connected latency_ms=12 host=inet-eae04867-002f-423d-af00-c72cd629b248",
        "größe=7 日本語: 値",
    ] {
        assert_eq!(redact(text), (text.to_owned(), 0));
    }
}

#[test]
fn any_sequence_of_fragments_is_read_to_its_end() {
    let fragments = [
        "password",
        "-p",
        "=",
        ": ",
        "\"",
        "\\\"",
        "\\",
        "'",
        "\n",
        " ",
        "\0",
        "<",
        ">",
        "://",
        "@",
        "a:b",
        "ä",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Bearer ",
        "Cookie",
        "sshpass ",
        "eyJ",
        REDACTED,
    ];
    for first in fragments {
        for second in fragments {
            for third in fragments {
                let text = format!("{first}{second}{third}{first}");
                let (redacted, count) = redact(&text);
                assert!(count > 0 || redacted == text, "{text}");
            }
        }
    }
}

#[test]
fn broken_text_is_survived() {
    let samples = [
        "token=abcdef password: \"x y\" https://user:secret@host/x?key=1\n",
        "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----\n",
        "mysql -pSECRET --password=x Authorization: Bearer abc.def.ghi\n",
    ];
    crate::fuzz::text("secrets", &samples, |it| drop(redact(it)));
}
