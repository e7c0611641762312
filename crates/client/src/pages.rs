//! Walking a list page by page.

use std::marker::PhantomData;

use protocol::api::PageInfo;
use protocol::api::host::{DescribeCloudCenterInstances, Instance};
use protocol::api::task::{DescribeOnceTask, DescribeOnceTaskLeafRecordPage, LeafRecord, Task};
use serde::de::DeserializeOwned;

use crate::{Client, Error};

/// An answer that is one page of a list.
pub trait Page: DeserializeOwned {
    /// What the list is of.
    type Item;

    /// The entries, and which page this is.
    fn into_parts(self) -> (Vec<Self::Item>, PageInfo);
}

impl Page for DescribeOnceTask {
    type Item = Task;

    fn into_parts(self) -> (Vec<Task>, PageInfo) {
        (self.task_manage_response_list, self.page_info)
    }
}

impl Page for DescribeOnceTaskLeafRecordPage {
    type Item = LeafRecord;

    fn into_parts(self) -> (Vec<LeafRecord>, PageInfo) {
        (self.once_tasks, self.page_info)
    }
}

impl Page for DescribeCloudCenterInstances {
    type Item = Instance;

    fn into_parts(self) -> (Vec<Instance>, PageInfo) {
        (self.instances, self.page_info)
    }
}

/// The pages of a list, from the first. What is added while they are walked may be missed or come twice.
pub struct Pages<'a, P> {
    client: &'a Client,
    action: &'static str,
    params: Vec<(&'static str, String)>,
    page_size: u32,
    /// The page that comes next; `None`: the last one was given.
    next: Option<u32>,
    total: Option<u64>,
    kind: PhantomData<fn() -> P>,
}

impl<'a, P: Page> Pages<'a, P> {
    pub(crate) const fn new(
        client: &'a Client,
        action: &'static str,
        params: Vec<(&'static str, String)>,
        page_size: u32,
    ) -> Self {
        Self {
            client,
            action,
            params,
            page_size,
            next: Some(1),
            total: None,
            kind: PhantomData,
        }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// See [`Client::call`]; the same page may be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<P::Item>>, Error> {
        let Some(page) = self.next else {
            return Ok(None);
        };
        let mut params = self.params.clone();
        params.push(("CurrentPage", page.to_string()));
        params.push(("PageSize", self.page_size.to_string()));
        let answer: P = self.client.call(self.action, &params).await?;
        let (items, info) = answer.into_parts();
        self.total = Some(info.total_count);
        let reached = u64::from(page) * u64::from(self.page_size);
        let is_last = items.is_empty() || reached >= info.total_count;
        self.next = if is_last { None } else { page.checked_add(1) };
        Ok(Some(items))
    }

    /// At most `limit` entries from here on.
    ///
    /// # Errors
    /// See [`Client::call`].
    pub async fn take(&mut self, limit: usize) -> Result<Vec<P::Item>, Error> {
        let mut all = Vec::new();
        while all.len() < limit
            && let Some(items) = self.next().await?
        {
            all.extend(items);
        }
        all.truncate(limit);
        Ok(all)
    }

    /// Entries in all, once a page has been read.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }
}
