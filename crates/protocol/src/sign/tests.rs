//! Both signatures against each other's reader, and what is refused on the way.

use super::*;

const NOW: i64 = 1_795_486_571_000;

fn outgoing<'a>(params: &'a [(String, String)], token: Option<&'a str>) -> Outgoing<'a> {
    Outgoing {
        method: "POST",
        host: "127.0.0.1:8443",
        action: "DescribeOnceTask",
        version: "2018-12-03",
        params,
        access_key_id: "key",
        secret: "secret",
        security_token: token,
        date_ms: NOW,
        nonce: "n-1",
    }
}

fn pairs() -> Vec<(String, String)> {
    [
        ("TaskType", "CLIENT_PROBLEM_CHECK"),
        ("Param", "{\"a\": [1, 2]} ~*+/离&=%"),
        ("Empty", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Reads and verifies as a server would, and gives back what was read.
fn check(
    query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    secret: &str,
) -> Result<Presented, Fault> {
    let request = RawRequest {
        method: "POST",
        path: "/",
        query,
        headers,
        body,
    };
    let params = request.params()?;
    let presented = Presented::read(&request, &params)?;
    presented.verify(&request, &params, secret)?;
    Ok(presented)
}

fn headers_of(signed: &SignedV3) -> Vec<(&str, &str)> {
    signed
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn what_v3_signs_v3_accepts() {
    for token in [None, Some("to+k/en=")] {
        for body in [&b""[..], b"a=1&b=+"] {
            let pairs = pairs();
            let signed = sign_v3(&outgoing(&pairs, token), body);
            let presented = check(&signed.query, &headers_of(&signed), body, "secret").unwrap();
            assert_eq!(presented.action, "DescribeOnceTask");
            assert_eq!(presented.format, Format::Json);
            let security_token = token.map(str::to_owned);
            assert_eq!(
                presented.credential,
                Credential::Key {
                    id: "key".to_owned(),
                    security_token
                }
            );
            assert_eq!(presented.check_time(NOW), Ok(()));
            let fault = check(&signed.query, &headers_of(&signed), body, "Secret").unwrap_err();
            assert_eq!(fault.code, Code::SignatureDoesNotMatch);
            assert!(
                fault
                    .message
                    .contains("server StringToSign is [`ACS3-HMAC-SHA256\n"),
                "{}",
                fault.message
            );
        }
    }
}

#[test]
fn what_v1_signs_v1_accepts_in_query_and_form() {
    let pairs = pairs();
    let query = sign_v1(&outgoing(&pairs, Some("token")));
    let form = [(
        "Content-Type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    )];
    for (query, headers, body) in [
        (query.as_str(), &[][..], ""),
        ("", &form[..], query.as_str()),
    ] {
        let presented = check(query, headers, body.as_bytes(), "secret").unwrap();
        let security_token = Some("token".to_owned());
        assert_eq!(
            presented.credential,
            Credential::Key {
                id: "key".to_owned(),
                security_token
            }
        );
    }
}

#[test]
fn the_v1_mismatch_has_one_colon_before_the_string() {
    let pairs = pairs();
    let query = sign_v1(&outgoing(&pairs, None));
    let fault = check(&query, &[], b"", "other").unwrap_err();
    let parts: Vec<&str> = fault.message.split(':').collect();
    assert_eq!(parts.len(), 2, "{}", fault.message);
    assert!(
        parts[1].starts_with("POST&%2F&AccessKeyId%3Dkey%26Action%3D"),
        "{}",
        parts[1]
    );
}

#[test]
fn v3_refuses_what_does_not_cover_enough() {
    let signed = sign_v3(&outgoing(&[], Some("token")), b"");
    for name in [
        "host",
        "x-acs-action",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
        "x-acs-security-token",
    ] {
        let mut headers = signed.headers.clone();
        let authorization = headers.last_mut().unwrap();
        authorization.1 = authorization
            .1
            .replace(&format!("{name};"), "")
            .replace(&format!(";{name},"), ",");
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            check("", &headers, b"", "secret").unwrap_err().code,
            Code::IncompleteSignature,
            "{name}"
        );
    }
}

#[test]
fn v3_names_the_missing_or_repeated_header() {
    let signed = sign_v3(&outgoing(&[], None), b"");
    for name in [
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
    ] {
        let mut headers = headers_of(&signed);
        headers.push((name, "again"));
        let fault = check("", &headers, b"", "secret").unwrap_err();
        assert_eq!(
            (fault.code, fault.message.contains(name)),
            (Code::InvalidParameter, true),
            "{name}"
        );
        headers.retain(|(sent, _)| *sent != name);
        let fault = check("", &headers, b"", "secret").unwrap_err();
        assert_eq!(
            (fault.code, fault.message.contains(name)),
            (Code::MissingParameter, true),
            "{name}"
        );
    }
}

#[test]
fn malformed_credentials_are_incomplete_or_of_an_unknown_method() {
    for (header, code) in [
        (
            "ACS3-HMAC-MD5 Credential=k,SignedHeaders=host,Signature=00",
            Code::InvalidSignatureMethod,
        ),
        ("ACS3-HMAC-SHA256", Code::IncompleteSignature),
        (
            "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=host",
            Code::IncompleteSignature,
        ),
        (
            "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=00",
            Code::IncompleteSignature,
        ),
        (
            "ACS3-HMAC-SHA256 Credential=k,Credential=l,SignedHeaders=host,Signature=00",
            Code::IncompleteSignature,
        ),
    ] {
        assert_eq!(
            check("", &[("Authorization", header)], b"", "s")
                .unwrap_err()
                .code,
            code,
            "{header}"
        );
    }
    let method = check(
        "Signature=x&SignatureMethod=HMAC-SHA256&SignatureVersion=1.0",
        &[],
        b"",
        "s",
    )
    .unwrap_err();
    assert_eq!(method.code, Code::InvalidSignatureMethod);
}

#[test]
fn other_methods_than_get_and_post_are_refused() {
    let request = RawRequest {
        method: "PUT",
        path: "/",
        query: "",
        headers: &[],
        body: b"",
    };
    assert_eq!(
        Presented::read(&request, &Params::default())
            .unwrap_err()
            .code,
        Code::UnsupportedHttpMethod
    );
}

#[test]
fn a_parameter_given_twice_is_refused_after_its_signature_held() {
    let twice = [("A", "1"), ("A", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let signed = sign_v3(&outgoing(&twice, None), b"");
    assert_eq!(
        check(&signed.query, &headers_of(&signed), b"", "secret")
            .unwrap_err()
            .code,
        Code::InvalidParameter
    );
    assert_eq!(
        check(&signed.query, &headers_of(&signed), b"", "no")
            .unwrap_err()
            .code,
        Code::SignatureDoesNotMatch
    );
    let query = sign_v1(&outgoing(&twice, None));
    assert_eq!(
        check(&query, &[], b"", "secret").unwrap_err().code,
        Code::InvalidParameter
    );
}

#[test]
fn the_clock_window_is_fifteen_minutes_both_ways() {
    let query = sign_v1(&outgoing(&[], None));
    let presented = check(&query, &[], b"", "secret").unwrap();
    for now in [NOW - CLOCK_WINDOW_MS, NOW, NOW + CLOCK_WINDOW_MS] {
        assert_eq!(presented.check_time(now), Ok(()));
    }
    for now in [
        NOW - CLOCK_WINDOW_MS - 1,
        NOW + CLOCK_WINDOW_MS + 1,
        i64::MIN,
        i64::MAX,
    ] {
        assert_eq!(
            presented.check_time(now).unwrap_err().code,
            Code::InvalidTimeStampExpired
        );
    }
    let vague = Presented {
        timestamp: Some("yesterday".to_owned()),
        ..presented
    };
    assert_eq!(
        vague.check_time(NOW).unwrap_err().code,
        Code::InvalidTimeStampFormat
    );
}

#[test]
fn a_nonce_has_a_longest_length() {
    let longest = "n".repeat(NONCE_BYTES_MAX);
    let query = sign_v1(&Outgoing {
        nonce: &longest,
        ..outgoing(&[], None)
    });
    assert!(check(&query, &[], b"", "secret").is_ok());
    let longer = longest + "n";
    let query = sign_v1(&Outgoing {
        nonce: &longer,
        ..outgoing(&[], None)
    });
    assert_eq!(
        check(&query, &[], b"", "secret").unwrap_err().code,
        Code::InvalidParameter
    );
}

#[test]
fn without_a_signature_nothing_is_verified() {
    let read = |query: &str, headers: &[(&str, &str)]| {
        let request = RawRequest {
            method: "GET",
            path: "/",
            query,
            headers,
            body: b"",
        };
        let params = request.params()?;
        let presented = Presented::read(&request, &params)?;
        assert_eq!(
            presented.verify(&request, &params, "").unwrap_err().code,
            Code::IncompleteSignature
        );
        Ok::<_, Fault>((presented.credential, presented.format))
    };
    assert_eq!(
        read("Action=A&Version=1", &[]),
        Ok((Credential::Anonymous, Format::Json))
    );
    assert_eq!(
        read("Action=A&Version=1&Format=xml", &[]),
        Ok((Credential::Anonymous, Format::Xml))
    );
    assert_eq!(
        read(
            "Action=A&Version=1&BearerToken=t&SignatureType=BEARERTOKEN",
            &[]
        ),
        Ok((Credential::Bearer("t".to_owned()), Format::Xml))
    );
    assert_eq!(
        read(
            "Action=A&Version=1&BearerToken=t&Signature=x&Format=json",
            &[]
        ),
        Ok((Credential::Bearer("t".to_owned()), Format::Json))
    );
    let headers = [
        ("X-Acs-Action", "A"),
        ("X-Acs-Version", "1"),
        ("X-Acs-Bearer-Token", "t"),
    ];
    assert_eq!(
        read("", &headers),
        Ok((Credential::Bearer("t".to_owned()), Format::Json))
    );
    assert_eq!(read("Version=1", &[]), Err(Fault::missing("Action")));
    assert_eq!(
        read("Action=A&Version=1&AccessKeyId=k", &[]),
        Err(Fault::missing("Signature"))
    );
    assert_eq!(
        read("Action=A&Version=1&Format=YAML", &[])
            .unwrap_err()
            .code,
        Code::InvalidParameter
    );
}
