//! The ceiling of `api`: an HTTP server that does nothing but answer, set up like the node's own.

use std::io::Read as _;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::any;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower_service::Service as _;

/// Serves what comes on stdin until stdin's owner ends this process.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let mut answer = Vec::new();
    std::io::stdin()
        .read_to_end(&mut answer)
        .context("reading the answer")?;
    let answer = axum::body::Bytes::from(answer);
    let router: Router = Router::new().route("/", any(move || async move { answer }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(&format!("listening on http://{}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            router.clone().call(request.map(Body::new))
        });
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the line that the parent process waits for"
)]
fn announce(line: &str) {
    println!("{line}");
}
