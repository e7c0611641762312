//! Requests of the vendor's own clients: each is accepted as it came, and refused after any change
//! of one byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: a capture that cannot be read is a failure"
)]

use std::fs;
use std::path::Path;

use protocol::error::Fault;
use protocol::params::Params;
use protocol::sign::{Credential, Format, Presented, RawRequest};
use protocol::stamp;
use serde_json::Value;

/// One captured request.
#[derive(Clone)]
struct Capture {
    file: String,
    signature: String,
    operation: String,
    captured_ms: i64,
    access_key_id: String,
    secret: String,
    token: Option<String>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Capture {
    fn parse(file: String, json: &Value) -> Self {
        let text = |name: &str| {
            json[name]
                .as_str()
                .unwrap_or_else(|| panic!("{file} lacks {name}"))
                .to_owned()
        };
        let headers = json["headers"].as_array().unwrap().iter();
        Self {
            signature: text("signature"),
            operation: text("operation"),
            captured_ms: stamp::parse(&text("captured_at")).unwrap(),
            access_key_id: text("access_key_id"),
            secret: text("access_key_secret"),
            token: json["security_token"]
                .as_str()
                .or_else(|| json["bearer_token"].as_str())
                .map(str::to_owned),
            method: text("method"),
            target: text("target"),
            headers: headers
                .map(|pair| {
                    (
                        pair[0].as_str().unwrap().to_owned(),
                        pair[1].as_str().unwrap().to_owned(),
                    )
                })
                .collect(),
            body: text("body"),
            file,
        }
    }

    fn is_v3(&self) -> bool {
        self.signature == "V3"
    }

    /// Runs `then` on the request as a server would see it.
    fn with<T>(&self, then: impl FnOnce(&RawRequest<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        then(&RawRequest {
            method: &self.method,
            path,
            query,
            headers: &headers,
            body: self.body.as_bytes(),
        })
    }

    fn read(&self) -> Result<Presented, Fault> {
        self.with(|request| Presented::read(request, &request.params()?))
    }

    fn accepted(&self) -> Result<Presented, Fault> {
        self.with(|request| {
            let params = request.params()?;
            let presented = Presented::read(request, &params)?;
            presented.verify(request, &params, &self.secret)?;
            Ok(presented)
        })
    }

    /// What the target and body say, whatever their spelling.
    fn said(&self) -> Result<Params, Fault> {
        self.with(|request| request.params())
    }
}

fn captures() -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 27);
    let parse = |path: &std::path::PathBuf| {
        let json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        Capture::parse(
            path.file_name().unwrap().to_string_lossy().into_owned(),
            &json,
        )
    };
    files.iter().map(parse).collect()
}

fn signed() -> Vec<Capture> {
    captures()
        .into_iter()
        .filter(|capture| capture.signature != "BEARERTOKEN")
        .collect()
}

/// Every text that differs from `text` in the byte at `position`, among characters with a meaning
/// and some without.
fn changed(text: &str, position: usize) -> impl Iterator<Item = String> {
    let old = text.as_bytes()[position];
    let case = (old.is_ascii_alphabetic()).then_some(old ^ 0x20);
    let others = [b'x', b'7', b'&', b'=', b'%', b'+', b'.'];
    others
        .into_iter()
        .chain(case)
        .filter(move |new| *new != old)
        .filter_map(move |new| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[position] = new;
            String::from_utf8(bytes).ok()
        })
}

#[test]
fn each_capture_is_accepted_with_its_own_key_at_its_own_time() {
    for capture in signed() {
        let file = &capture.file;
        let presented = capture
            .accepted()
            .unwrap_or_else(|fault| panic!("{file}: {fault:?}"));
        // One is filed under a shorter name than it has.
        assert!(presented.action.ends_with(&capture.operation), "{file}");
        assert_eq!(presented.version, "2018-12-03", "{file}");
        assert_eq!(presented.check_time(capture.captured_ms), Ok(()), "{file}");
        assert_eq!(presented.format, Format::Json, "{file}");
        assert!(
            presented.nonce.is_some_and(|nonce| nonce.len() >= 32),
            "{file}"
        );
        let credential = Credential::Key {
            id: capture.access_key_id.clone(),
            security_token: capture.token.clone(),
        };
        assert_eq!(presented.credential, credential, "{file}");
        let stranger = Capture {
            secret: capture.secret.clone() + "x",
            ..capture.clone()
        };
        assert!(stranger.accepted().is_err(), "{file}");
    }
}

#[test]
fn the_bearer_capture_is_recognised() {
    let bearer: Vec<Capture> = captures()
        .into_iter()
        .filter(|capture| capture.signature == "BEARERTOKEN")
        .collect();
    assert_eq!(bearer.len(), 1);
    for capture in bearer {
        let presented = capture.read().unwrap();
        assert_eq!(
            Some(presented.credential),
            capture.token.clone().map(Credential::Bearer)
        );
        assert_eq!(
            (presented.action, presented.format),
            (capture.operation.clone(), Format::Json)
        );
        assert!(capture.accepted().is_err(), "nothing was signed");
    }
}

#[test]
fn any_change_of_the_query_is_refused() {
    for capture in signed() {
        let said = capture.said().unwrap();
        let start = capture
            .target
            .find('?')
            .map_or(capture.target.len(), |mark| mark + 1);
        for position in start..capture.target.len() {
            for target in changed(&capture.target, position) {
                let tampered = Capture {
                    target,
                    ..capture.clone()
                };
                let same = tampered.said().is_ok_and(|other| other == said);
                assert_eq!(
                    tampered.accepted().is_ok(),
                    same,
                    "{}: {}",
                    capture.file,
                    tampered.target
                );
            }
        }
    }
}

#[test]
fn any_change_of_the_body_is_refused() {
    for capture in signed() {
        let said = capture.said().unwrap();
        for position in 0..capture.body.len() {
            for body in changed(&capture.body, position) {
                let tampered = Capture {
                    body,
                    ..capture.clone()
                };
                // V3 signs the bytes, V1 what they say.
                let same = !capture.is_v3() && tampered.said().is_ok_and(|other| other == said);
                assert_eq!(
                    tampered.accepted().is_ok(),
                    same,
                    "{}: {}",
                    capture.file,
                    tampered.body
                );
            }
        }
    }
}

#[test]
fn any_change_of_a_signed_header_or_of_the_signature_is_refused() {
    for capture in signed().into_iter().filter(Capture::is_v3) {
        let find = |wanted: &str| {
            capture
                .headers
                .iter()
                .position(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .unwrap()
        };
        let authorization = find("authorization");
        let list = capture.headers[authorization]
            .1
            .split("SignedHeaders=")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        for index in list.split(';').map(find).chain([authorization]) {
            let (name, value) = &capture.headers[index];
            for position in 0..value.len() {
                for value in changed(value, position) {
                    let mut tampered = capture.clone();
                    tampered.headers[index].1.clone_from(&value);
                    // The key's id is not signed: it picks the secret. Another id is another
                    // caller.
                    let id = Credential::Key {
                        id: capture.access_key_id.clone(),
                        security_token: capture.token.clone(),
                    };
                    let accepted = tampered
                        .accepted()
                        .is_ok_and(|presented| presented.credential == id);
                    assert!(!accepted, "{}: {name}: {value}", capture.file);
                }
            }
        }
    }
}

#[test]
fn another_method_is_refused() {
    for capture in signed() {
        let method = if capture.method == "GET" {
            "POST"
        } else {
            "GET"
        };
        let tampered = Capture {
            method: method.to_owned(),
            ..capture.clone()
        };
        assert!(tampered.accepted().is_err(), "{}", capture.file);
    }
}
