//! Decisions and refusals of whole policy documents.

use super::*;

const ONCE: &[&str] = &["yundun-sas", "yundun-aegis"];

fn allow(members: &str) -> Policy {
    statement("Allow", members)
}

fn statement(effect: &str, members: &str) -> Policy {
    Policy::parse(&format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"{effect}",{members}}}]}}"#
    ))
    .unwrap()
}

fn decide(policies: &[Policy], operation: &str) -> Decision {
    let context = BTreeMap::from([("acs:SourceIp".to_owned(), "10.1.2.3".to_owned())]);
    evaluate(
        policies,
        &AccessRequest {
            services: ONCE,
            operation,
            account_id: "42",
            context: &context,
        },
    )
}

/// The members of one Allow statement, and whether it allows `DescribeOnceTask` from 10.1.2.3.
const ONE_STATEMENT: &[(&str, bool)] = &[
    (r#""Action":"*","Resource":"*""#, true),
    (r#""Action":"*:*","Resource":"*""#, true),
    (
        r#""Action":"yundun-sas:DescribeOnceTask","Resource":"*""#,
        true,
    ),
    (
        r#""Action":"Yundun-SAS:describeoncetask","Resource":"*""#,
        true,
    ),
    (
        r#""Action":"yundun-aegis:Describe*","Resource":["*"]"#,
        true,
    ),
    (
        r#""Action":"yundun-*:Describe????Task","Resource":"*""#,
        true,
    ),
    (
        r#""Action":["sickbay:*","yundun-sas:DescribeOnce*"],"Resource":"*""#,
        true,
    ),
    (r#""Action":"sickbay:*","Resource":"*""#, false),
    (
        r#""Action":"yundun-sas:DescribeOnce","Resource":"*""#,
        false,
    ),
    (
        r#""NotAction":"yundun-sas:CancelOnceTask","Resource":"*""#,
        true,
    ),
    (
        r#""NotAction":"yundun-sas:Describe*","Resource":"*""#,
        false,
    ),
    (
        r#""NotAction":"yundun-aegis:Describe*","Resource":"*""#,
        false,
    ),
    (r#""Action":"*","Resource":"acs:yundun-sas:*:42:*""#, true),
    (r#""Action":"*","Resource":"acs:*:*:*:*""#, true),
    (r#""Action":"*","Resource":"acs:yundun-sas:*:43:*""#, false),
    (r#""Action":"*","Resource":"acs:ecs:*:*:*""#, false),
    (
        r#""Action":"*","Resource":"acs:yundun-sas:cn-hangzhou:42:*""#,
        false,
    ),
    (r#""Action":"*","Resource":"*","Condition":{}"#, true),
    (
        r#""Action":"*","Resource":"*","Condition":{"IpAddress":{"ACS:sourceip":"10.0.0.0/8"}}"#,
        true,
    ),
    (
        r#""Action":"*","Resource":"*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"Bool":{"acs:MFAPresent":true}}"#,
        false,
    ),
    (
        r#""Action":"*","Resource":"*","Condition":{"StringLike":{"acs:SourceIp":"10.*","acs:Absent":"*"}}"#,
        false,
    ),
];

#[test]
fn one_allow_statement() {
    for (members, is_allowed) in ONE_STATEMENT {
        let decision = if *is_allowed {
            Decision::Allowed
        } else {
            Decision::DeniedImplicitly
        };
        assert_eq!(
            decide(&[allow(members)], "DescribeOnceTask"),
            decision,
            "{members}"
        );
    }
}

#[test]
fn an_explicit_deny_wins_in_any_order_and_under_either_code() {
    let everything = allow(r#""Action":"*","Resource":"*""#);
    for code in ONCE {
        let deny = statement(
            "Deny",
            &format!(r#""Action":"{code}:Cancel*","Resource":"*""#),
        );
        for (policies, policy) in [
            ([everything.clone(), deny.clone()], 1),
            ([deny.clone(), everything.clone()], 0),
        ] {
            assert_eq!(
                decide(&policies, "CancelOnceTask"),
                Decision::DeniedExplicitly {
                    policy,
                    statement: 0
                }
            );
            assert_eq!(decide(&policies, "DescribeOnceTask"), Decision::Allowed);
        }
    }
    let two = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","NotAction":"yundun-sas:Describe*","Resource":"*"}]}"#;
    let two = [Policy::parse(two).unwrap()];
    assert_eq!(
        decide(&two, "CancelOnceTask"),
        Decision::DeniedExplicitly {
            policy: 0,
            statement: 1
        }
    );
    assert_eq!(decide(&two, "DescribeOnceTask"), Decision::Allowed);
}

#[test]
fn nothing_is_allowed_by_nothing() {
    assert_eq!(decide(&[], "DescribeOnceTask"), Decision::DeniedImplicitly);
    let deny = statement(
        "Deny",
        r#""NotAction":"yundun-sas:DescribeOnceTask","Resource":"*""#,
    );
    assert_eq!(
        decide(&[deny], "DescribeOnceTask"),
        Decision::DeniedImplicitly
    );
}

#[test]
fn a_faulty_document_is_refused_with_the_place() {
    for (document, what) in [
        ("[]", "must be a JSON object"),
        (r#"{"Statement":[]}"#, "Version is missing"),
        (
            r#"{"Version":1,"Statement":[]}"#,
            "Version must be \"1\", was 1",
        ),
        (
            r#"{"Version":"2012-10-17","Statement":[]}"#,
            "Version must be \"1\"",
        ),
        (r#"{"Version":"1"}"#, "Statement is missing"),
        (r#"{"Version":"1","Statement":[]}"#, "at least one"),
        (
            r#"{"Version":"1","Statement":{"Effect":"Allow"}}"#,
            "must be a list",
        ),
        (
            r#"{"Version":"1","Statement":[],"Id":"x"}"#,
            "unknown member \"Id\"",
        ),
    ] {
        let error = Policy::parse(document).unwrap_err().to_string();
        assert!(error.contains(what), "{document}: {error}");
    }
}

#[test]
fn a_faulty_statement_is_refused_with_its_number() {
    for (members, what) in [
        (r#""Action":"*","Resource":"*""#, "Effect is missing"),
        (
            r#""Effect":"allow","Action":"*","Resource":"*""#,
            "Effect must be \"Allow\" or \"Deny\", was \"allow\"",
        ),
        (
            r#""Effect":"Deny","Resource":"*""#,
            "Action or NotAction is missing",
        ),
        (
            r#""Effect":"Deny","Action":"*","NotAction":"*","Resource":"*""#,
            "both Action and NotAction",
        ),
        (
            r#""Effect":"Deny","Action":[],"Resource":"*""#,
            "Action is an empty list",
        ),
        (
            r#""Effect":"Deny","Action":7,"Resource":"*""#,
            "Action must hold non-empty texts, was 7",
        ),
        (
            r#""Effect":"Deny","Action":"CancelOnceTask","Resource":"*""#,
            "\"CancelOnceTask\" is not an action",
        ),
        (r#""Effect":"Deny","Action":"*""#, "Resource is missing"),
        (
            r#""Effect":"Deny","Action":"*","Resource":"acs:yundun-sas""#,
            "Resource \"acs:yundun-sas\" is neither",
        ),
        (
            r#""Effect":"Deny","Action":"*","NotResource":"*""#,
            "unknown member \"NotResource\"",
        ),
        (
            r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"Like":{"k":"v"}}"#,
            "Condition Like of k: unknown operator",
        ),
    ] {
        let good = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
        let document = format!(r#"{{"Version":"1","Statement":[{good},{{{members}}}]}}"#);
        let error = Policy::parse(&document).unwrap_err().to_string();
        assert!(
            error.starts_with("statement 2: ") && error.contains(what),
            "{members}: {error}"
        );
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let document = r#"{"Version":"1","Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let error = Policy::parse(document).unwrap_err().to_string();
    assert!(
        error.contains("\"Effect\" stands twice in one object at line 1 column"),
        "{error}"
    );
}

#[test]
fn length_is_limited() {
    let document =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let padded = |bytes: usize| document.to_owned() + &" ".repeat(bytes - document.len());
    let limit = model::limits::POLICY_BYTES_MAX;
    assert!(Policy::parse(&padded(limit)).is_ok());
    assert!(
        matches!(Policy::parse(&padded(limit + 1)), Err(PolicyError::TooLong { bytes }) if bytes == limit + 1)
    );
}
