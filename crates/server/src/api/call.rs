//! One authorised call, and what handlers read from it.

use model::{HostUuid, Selector, TaskType, limits};
use protocol::api::PageInfo;
use protocol::api::param::read_uuids;
use protocol::error::Fault;
use protocol::params::Params;
use store::{Page, PageRequest, Window};

use super::{CLOUD, OURS};
use crate::app::{App, Peer};
use crate::auth::{Caller, Circumstances};
use crate::service::Error;
use crate::service::task::Viewer;

/// Parameters of every request, which no answer depends on.
const COMMON: [&str; 13] = [
    "AccessKeyId",
    "Action",
    "BearerToken",
    "Format",
    "RegionId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Whether a parameter is of every request and not of an operation.
pub(super) fn is_common(name: &str) -> bool {
    COMMON.contains(&name)
}

/// An authorised call.
pub(crate) struct Call<'a> {
    /// The services.
    pub(crate) app: &'a App,
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// What was sent.
    pub(crate) params: &'a Params,
    /// The address under which the caller sees this control plane, if it can be told.
    pub(crate) base: Option<&'a str>,
    /// Service and address of the caller, for further questions of permission.
    pub(crate) peer: Peer,
    /// The request's nonce.
    pub(crate) nonce: &'a str,
}

impl<'a> Call<'a> {
    /// Whether the caller may create tasks of this type.
    pub(crate) fn may_create(&self, task_type: TaskType) -> Result<(), Error> {
        self.may(CLOUD, "GenerateOnceTask", Some(task_type.wire()))
    }

    /// Whether the caller may say what labels hosts have.
    pub(crate) fn may_label(&self) -> Result<(), Error> {
        self.may(OURS, "SetHostLabels", None)
    }

    fn may(
        &self,
        services: &[&str],
        operation: &str,
        task_type: Option<&str>,
    ) -> Result<(), Error> {
        let circumstances = Circumstances {
            source: self.peer.address,
            secure: self.peer.secure,
            task_type,
        };
        let auth = &self.app.auth;
        auth.authorise(self.caller, services, operation, circumstances)
    }

    /// Who looks at tasks of this type, and from where.
    pub(crate) fn viewer(&self, task_type: TaskType) -> Viewer {
        Viewer {
            base: self.base.map(str::to_owned),
            base_for_hosts: self.app.base_for_hosts(self.base),
            may_create: self.may_create(task_type).is_ok(),
        }
    }

    /// All that the answer depends on but what is stored: the operation, its own parameters, the
    /// address under which the caller sees this control plane, and what they may be shown.
    pub(crate) fn question(&self, operation: &str) -> String {
        let mut question = format!("{operation}\0{}", self.base.unwrap_or_default());
        for task_type in TaskType::ALL {
            question.push(if self.may_create(task_type).is_ok() {
                '1'
            } else {
                '0'
            });
        }
        for (name, value) in self.params.pairs() {
            if !is_common(name) {
                question.push('\0');
                question.push_str(name);
                question.push('=');
                question.push_str(value);
            }
        }
        question
    }

    /// The page asked for, of `size_default` rows if that is not said.
    pub(crate) fn page(&self, size_default: u32, size_max: u32) -> Result<PageRequest, Error> {
        let number = self
            .params
            .integer_in("CurrentPage", 1..=i64::from(u32::MAX), 1)?;
        let size =
            self.params
                .integer_in("PageSize", 1..=i64::from(size_max), i64::from(size_default))?;
        Ok(PageRequest {
            number: u64::try_from(number).unwrap_or(1),
            size: u32::try_from(size).unwrap_or(size_default),
        })
    }

    /// The selector given, if one is.
    pub(crate) fn selector(&self) -> Result<Option<Selector>, Error> {
        let text = self.params.get("Selector");
        let read = text.map(Selector::parse).transpose();
        read.map_err(|error| Fault::invalid("Selector", &format!("cannot be read: {error}")).into())
    }

    /// The hosts named by `Uuids`, with commas or as `Uuids.N`.
    pub(crate) fn uuids(&self) -> Result<Vec<HostUuid>, Error> {
        let value = match self.params.get("Uuids") {
            Some(text) => text.into(),
            None => self.params.list("Uuids").into(),
        };
        Ok(read_uuids("Uuids", value)?)
    }

    /// The window asked for, in ms since 1970.
    pub(crate) fn window(&self, start: &str, end: &str) -> Result<Window, Error> {
        let read = |name| Ok::<_, Fault>(self.params.integer(name)?.map(model::UnixMillis));
        let window = Window {
            start: read(start)?,
            end: read(end)?,
        };
        if let (Some(from), Some(to)) = (window.start, window.end)
            && from > to
        {
            let help = format!("is later than {end}: the window is reversed");
            return Err(Fault::invalid(start, &help).into());
        }
        Ok(window)
    }

    /// A short text that is stored.
    pub(crate) fn short_text(&self, name: &str) -> Result<&'a str, Error> {
        let text = self.params.get(name).unwrap_or_default();
        if text.len() > limits::SHORT_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            let help = format!(
                "is at most {} bytes without control characters",
                limits::SHORT_TEXT_BYTES_MAX
            );
            return Err(Fault::invalid(name, &help).into());
        }
        Ok(text)
    }

    /// The task type asked for; `Ok(None)` for a documented type that Sickbay does not carry out.
    pub(crate) fn task_type(&self, text: &str) -> Result<Option<TaskType>, Error> {
        match text.parse() {
            Ok(found) => Ok(Some(found)),
            Err(_) if TaskType::FOREIGN.contains(&text) => Ok(None),
            Err(error) => Err(Fault::invalid("TaskType", &format!("is not known: {error}")).into()),
        }
    }
}

/// The paging part of an answer.
pub(crate) fn page_info<T>(request: PageRequest, page: &Page<T>) -> PageInfo {
    PageInfo {
        count: u32::try_from(page.rows.len()).unwrap_or(u32::MAX),
        current_page: u32::try_from(request.number).unwrap_or(u32::MAX),
        page_size: request.size,
        total_count: page.total,
    }
}
