//! What the API says when it refuses: codes, their HTTP status, their sentences, and the error
//! body.
//!
//! Owns every code that may cross the wire. Never holds the cause of an internal fault: that
//! belongs into the log, not into an answer. Made by the front door and by the readers in this
//! crate, read again by the client.

use serde::Serialize;
use serde_json::{Value, json};

/// Declares the codes in one table, so that a code cannot lack a spelling, a status or a sentence.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal, $status:literal, $sentence:literal;)+) => {
        /// An error code of the API. Append-only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn wire(self) -> &'static str {
                match self { $(Self::$name => $wire,)+ }
            }

            /// The HTTP status an answer with this code has.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The sentence to say when there is nothing more exact.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

codes! {
    /// A mandatory parameter is absent or empty.
    MissingParameter = "MissingParameter", 400, "A mandatory input parameter is not supplied.";
    /// A parameter has a value that cannot be used.
    InvalidParameter = "InvalidParameter", 400, "A specified parameter is not valid.";
    /// What some host operations say instead of `InvalidParameter`.
    IllegalParam = "IllegalParam", 400, "Illegal param";
    /// `ListUnfinishedOnceTask` without the target that its task type needs.
    Minus101 = "-101", 400, "The Target is mandatory for this task type.";
    /// No operation of that name.
    InvalidActionNotFound = "InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method.";
    /// A version of the API that is not served.
    InvalidVersion = "InvalidVersion", 400, "Specified parameter Version is not valid.";
    /// The signature is not the one we calculate.
    SignatureDoesNotMatch = "SignatureDoesNotMatch", 400, "Specified signature does not match our calculation.";
    /// The credentials are not well formed, or leave out what must be signed.
    IncompleteSignature = "IncompleteSignature", 400, "The request signature does not conform to Aliyun standards.";
    /// The nonce was used before by this key.
    SignatureNonceUsed = "SignatureNonceUsed", 400, "Specified signature nonce was used already.";
    /// The request was made too long ago, or in the future.
    InvalidTimeStampExpired = "InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.";
    /// The timestamp is not `yyyy-MM-ddTHH:mm:ssZ`.
    InvalidTimeStampFormat = "InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted.";
    /// A signature algorithm that is not served.
    InvalidSignatureMethod = "InvalidSignatureMethod", 400, "Specified signature method is not valid.";
    /// No such access key.
    InvalidAccessKeyIdNotFound = "InvalidAccessKeyId.NotFound", 404, "Specified access key is not found.";
    /// The access key is switched off.
    InvalidAccessKeyIdInactive = "InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled.";
    /// A temporary key came without its token.
    MissingSecurityToken = "MissingSecurityToken", 400, "SecurityToken is mandatory for this action.";
    /// The token's time is over.
    InvalidSecurityTokenExpired = "InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired.";
    /// Not a token of ours.
    InvalidSecurityTokenMalformed = "InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed.";
    /// The token belongs to another key.
    InvalidSecurityTokenMismatch = "InvalidSecurityToken.MismatchWithAccessKey", 400, "Specified SecurityToken mismatch with the AccessKey.";
    /// The caller's policies do not allow the operation.
    NoPermission = "NoPermission", 403, "caller has no permission";
    /// What other products say instead of `NoPermission`.
    ForbiddenRam = "Forbidden.RAM", 403, "User not authorized to operate on the specified resource, or this API doesn't support RAM.";
    /// Too many requests at all.
    Throttling = "Throttling", 400, "Request was denied due to request throttling.";
    /// Too many requests of this caller.
    ThrottlingUser = "Throttling.User", 400, "Request was denied due to user flow control.";
    /// Too many requests of this operation.
    ThrottlingApi = "Throttling.Api", 400, "Request was denied due to api flow control.";
    /// Neither GET nor POST.
    UnsupportedHttpMethod = "UnsupportedHTTPMethod", 403, "This http method is not supported.";
    /// What the gateway says of its own faults.
    InternalError = "InternalError", 500, "The request processing has failed due to some unknown error, exception or failure.";
    /// Not now; nothing was done.
    ServiceUnavailable = "ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server.";
    /// A fault of ours; the log has the cause under the request id.
    ServerError = "ServerError", 500, "ServerError";
    /// A named task, user, install code or host does not exist.
    EntityNotExist = "EntityNotExist", 404, "The specified entity does not exist.";
    /// The name is taken.
    EntityAlreadyExists = "EntityAlreadyExists", 409, "The specified entity already exists.";
    /// A `clientToken` (`ClientToken` of `RerunOnceTask`) came again with another request.
    IdempotentParameterMismatch = "IdempotentParameterMismatch", 400, "The clientToken was used before with other parameters: nothing was created.";
    /// As many tasks run as may run at once.
    TaskLimitExceeded = "TaskLimitExceeded", 400, "The maximum number of running tasks is reached.";
    /// The request is larger than the limit.
    RequestEntityTooLarge = "RequestEntityTooLarge", 413, "The request is too large.";
    /// The request's body did not arrive in time. Nothing was done.
    RequestTimeout = "RequestTimeout", 408, "The request body did not arrive in time: nothing was done.";
    /// Nothing more can be stored until someone makes room.
    StorageFull = "StorageFull", 503, "The storage is full.";
}

impl Code {
    /// The code with this spelling, if we know it.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.wire() == text)
    }

    /// Whether nothing was done and the same request may succeed a moment later without anybody's
    /// help.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Throttling
            | Self::ThrottlingUser
            | Self::ThrottlingApi
            | Self::ServiceUnavailable => true,
            // InternalError and ServerError may strike after the work was done.
            Self::InternalError
            | Self::ServerError
            | Self::MissingParameter
            | Self::InvalidParameter
            | Self::IllegalParam
            | Self::Minus101
            | Self::InvalidActionNotFound
            | Self::InvalidVersion
            | Self::SignatureDoesNotMatch
            | Self::IncompleteSignature
            | Self::SignatureNonceUsed
            | Self::InvalidTimeStampExpired
            | Self::InvalidTimeStampFormat
            | Self::InvalidSignatureMethod
            | Self::InvalidAccessKeyIdNotFound
            | Self::InvalidAccessKeyIdInactive
            | Self::MissingSecurityToken
            | Self::InvalidSecurityTokenExpired
            | Self::InvalidSecurityTokenMalformed
            | Self::InvalidSecurityTokenMismatch
            | Self::NoPermission
            | Self::ForbiddenRam
            | Self::UnsupportedHttpMethod
            | Self::EntityNotExist
            | Self::EntityAlreadyExists
            | Self::IdempotentParameterMismatch
            | Self::TaskLimitExceeded
            | Self::RequestEntityTooLarge
            | Self::RequestTimeout
            | Self::StorageFull => false,
        }
    }
}

/// A refusal, as the caller will read it. Holds nothing that the caller may not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people.
    pub message: String,
    /// Who lacked which permission; only with [`Code::NoPermission`].
    pub access_denied: Option<Box<AccessDenied>>,
}

impl Fault {
    /// A refusal in a sentence of its own.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            access_denied: None,
        }
    }

    /// The mandatory parameter `name` is absent or empty.
    #[must_use]
    pub fn missing(name: &str) -> Self {
        Self::new(
            Code::MissingParameter,
            format!(
                "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
            ),
        )
    }

    /// The parameter `name` is unusable; `help` says why, with the parameter as its subject: `must
    /// be 1 to 100, was 0`.
    #[must_use]
    pub fn invalid(name: &str, help: &str) -> Self {
        Self::new(
            Code::InvalidParameter,
            format!("The specified parameter \"{name}\" is not valid. {name} {help}."),
        )
    }

    /// No `kind` (`task`, `user`, …) is called `id`.
    #[must_use]
    pub fn not_exist(kind: &str, id: &str) -> Self {
        Self::new(
            Code::EntityNotExist,
            format!("The {kind} \"{id}\" does not exist."),
        )
    }

    /// A `kind` (`user`, `group`, …) called `id` is there already.
    #[must_use]
    pub fn already_exists(kind: &str, id: &str) -> Self {
        Self::new(
            Code::EntityAlreadyExists,
            format!("The {kind} \"{id}\" already exists."),
        )
    }

    /// The caller's policies do not allow it.
    #[must_use]
    pub fn denied(detail: AccessDenied) -> Self {
        Self {
            access_denied: Some(Box::new(detail)),
            ..Code::NoPermission.into()
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self::new(code, code.sentence())
    }
}

/// The `AccessDeniedDetail` of a refusal for lack of permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AccessDenied {
    /// What was asked, as policies spell it: `yundun-sas:DescribeOnceTask`.
    pub auth_action: String,
    /// The user's name, or `role:session` of a temporary key.
    pub auth_principal_display_name: String,
    /// The account that owns the principal.
    pub auth_principal_owner_id: String,
    /// What kind of principal asked.
    pub auth_principal_type: PrincipalType,
    /// Whether a statement forbade it, or none allowed it.
    pub no_permission_type: DenialType,
    /// The kind of policy that decided, e.g. `AccountLevelIdentityBasedPolicy`.
    pub policy_type: String,
    /// Opaque text for the operator's diagnosis.
    pub encoded_diagnostic_message: String,
}

/// Who a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PrincipalType {
    /// A user with a lasting key.
    SubUser,
    /// The bearer of a temporary token.
    AssumedRoleUser,
}

/// Why a policy decision was "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum DenialType {
    /// No statement allowed it.
    ImplicitDeny,
    /// A Deny statement matched.
    ExplicitDeny,
}

/// The error body: `request_id` as in the header `x-acs-request-id`, `host` as the client asked for
/// it.
#[must_use]
pub fn error_body(fault: &Fault, request_id: &str, host: &str) -> Value {
    let code = fault.code.wire();
    let mut body = json!({
        "RequestId": request_id,
        "HostId": host,
        "Code": code,
        "Message": fault.message,
        "Recommend": format!("https://api.aliyun.com/troubleshoot?q={code}&product=Sas&requestId={request_id}"),
    });
    if let (Some(detail), Some(members)) = (&fault.access_denied, body.as_object_mut()) {
        members.insert("AccessDeniedDetail".to_owned(), json!(detail));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_have_a_sentence_and_an_error_status() {
        for code in Code::ALL {
            assert_eq!(Code::from_wire(code.wire()), Some(*code));
            assert!((400..600).contains(&code.http_status()), "{code:?}");
            assert!(!code.sentence().is_empty(), "{code:?}");
        }
        assert_eq!(Code::from_wire("OK"), None);
    }

    #[test]
    fn messages_follow_the_documented_templates() {
        assert_eq!(
            Fault::missing("TaskType").message,
            "The input parameter \"TaskType\" that is mandatory for processing this request is not supplied."
        );
        assert_eq!(
            Fault::invalid("PageSize", "must be 1 to 100, was 0").message,
            "The specified parameter \"PageSize\" is not valid. PageSize must be 1 to 100, was 0."
        );
    }

    #[test]
    fn a_denial_says_who_lacked_what() {
        let fault = Fault::denied(AccessDenied {
            auth_action: "yundun-sas:DescribeOnceTask".to_owned(),
            auth_principal_display_name: "ann".to_owned(),
            auth_principal_owner_id: "1".to_owned(),
            auth_principal_type: PrincipalType::SubUser,
            no_permission_type: DenialType::ImplicitDeny,
            policy_type: "AccountLevelIdentityBasedPolicy".to_owned(),
            encoded_diagnostic_message: String::new(),
        });
        let body = error_body(&fault, "ID", "127.0.0.1:1");
        assert_eq!(body["Code"], "NoPermission");
        assert_eq!(body["Message"], "caller has no permission");
        assert_eq!(body["HostId"], "127.0.0.1:1");
        assert_eq!(body["AccessDeniedDetail"]["AuthPrincipalType"], "SubUser");
        assert_eq!(
            body["AccessDeniedDetail"]["NoPermissionType"],
            "ImplicitDeny"
        );
        let plain = error_body(&Code::ServerError.into(), "ID", "h");
        assert_eq!(plain.get("AccessDeniedDetail"), None);
    }
}
