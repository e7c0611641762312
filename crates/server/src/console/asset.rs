//! The console's files: style, scripts and the icon. They are in the program; nothing comes from elsewhere.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Name, content type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    (
        "console.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/console.css"),
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/console.js"),
    ),
    (
        "htmx.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/htmx.min.js"),
    ),
    (
        "hx-sse.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/hx-sse.min.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("assets/icon.svg"),
    ),
];

/// Where a file is fetched: under the version of the program, so that it can be kept for ever.
pub(super) fn address(name: &str) -> String {
    format!("/console/assets/{name}?v={}", env!("CARGO_PKG_VERSION"))
}

/// One of the files.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(it, ..)| *it == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = Response::new(Body::from(*content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let keep = HeaderValue::from_static("public, max-age=3600");
    headers.insert(header::CACHE_CONTROL, keep);
    response
}
