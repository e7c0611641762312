//! Install codes.

use model::{Labels, limits};
use protocol::api::Done;
use protocol::api::install_code::{AddInstallCode, DescribeInstallCodes, InstallCode};
use protocol::api::label;
use protocol::error::Fault;

use super::Call;
use crate::service::Error;
use crate::service::install_code::{KnownCode, NewCode};

/// `AddInstallCode`.
pub(super) async fn add(call: &Call<'_>) -> Result<AddInstallCode, Error> {
    let os = call.params.get("Os").unwrap_or("linux");
    if !matches!(os, "linux" | "windows") {
        return Err(Fault::invalid("Os", "is `linux` or `windows`").into());
    }
    let uses = i64::from(limits::INSTALL_CODE_USES_DEFAULT);
    let uses_max = call.params.integer_in("MaxUses", 1..=1_000_000, uses)?;
    let labels = match call.params.get("Labels") {
        None => Labels::default(),
        Some(text) => {
            // Otherwise who may make codes could have hosts of any label.
            call.may_label()?;
            label::read_labels(text)?
        }
    };
    let vendor = call.short_text("VendorName")?;
    let new = NewCode {
        expires_ms: call.params.integer("ExpiredDate")?,
        uses_max: u32::try_from(uses_max).unwrap_or(limits::INSTALL_CODE_USES_DEFAULT),
        group_id: call.params.integer("GroupId")?.unwrap_or_default(),
        labels,
        only_image: call.params.boolean("OnlyImage")?.unwrap_or_default(),
        os,
        vendor: if vendor.is_empty() { "ALIYUN" } else { vendor },
        proxy_cluster: call.short_text("ProxyCluster")?,
    };
    let code = call.app.install_codes.add(call.caller, new).await?;
    Ok(AddInstallCode { captcha_code: code })
}

/// `DeleteInstallCode`.
pub(super) async fn delete(call: &Call<'_>) -> Result<Done, Error> {
    let code = call.params.required("CaptchaCode")?;
    call.app.install_codes.delete(call.caller, code).await?;
    Ok(Done {})
}

/// `DescribeInstallCodes`.
pub(super) async fn list(call: &Call<'_>) -> Result<DescribeInstallCodes, Error> {
    let codes = call.app.install_codes.list().await?;
    let row = |KnownCode { code, stored: it }| InstallCode {
        captcha_code: code,
        expired_date: it.expires_at.0,
        group_id: Some(it.group_id),
        group_name: Some(it.group),
        labels: label::members(&it.labels),
        only_image: it.only_image,
        os: it.os,
        private_link_endpoint_id: None,
        proxy_cluster: Some(it.proxy_cluster).filter(|text| !text.is_empty()),
        vendor_name: it.vendor,
    };
    Ok(DescribeInstallCodes {
        install_codes: codes.into_iter().map(row).collect(),
    })
}
