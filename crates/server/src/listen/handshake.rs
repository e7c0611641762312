//! TLS handshakes, few at a time.
//!
//! Owns the turns of the part of a handshake that costs: agents have theirs and everybody else has
//! theirs, so that a fleet that comes back at once delays itself and not the people who look at it.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use model::limits;
use protocol::tls::AGENT_PROTOCOL;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The handshakes of a node.
pub(super) struct Handshakes {
    agents: Turns,
    others: Turns,
}

impl Handshakes {
    pub(super) fn new(agents: Arc<ServerConfig>, others: Arc<ServerConfig>) -> Self {
        let turns = available_parallelism().map_or(1, |it| it.get().div_ceil(2));
        Self {
            agents: Turns::new(agents, turns, limits::HANDSHAKES_WAITING_MAX),
            others: Turns::new(others, turns, limits::HANDSHAKES_WAITING_MAX),
        }
    }

    /// Makes a handshake. One that has not said its first word yet waits for nobody and holds nothing.
    ///
    /// # Errors
    /// The other end breaks off or does not speak TLS, or too many wait already.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let mut named = start.client_hello().alpn().into_iter().flatten();
        let turns = match named.any(|it| it == AGENT_PROTOCOL) {
            true => &self.agents,
            false => &self.others,
        };
        drop(named);
        let accepting = {
            let _turn = turns.take().await?;
            // Whatever else is ready goes first.
            tokio::task::yield_now().await;
            // This agrees on the keys and signs; what follows is cheap, and waits for the other end.
            start.into_stream(Arc::clone(&turns.config))
        };
        accepting.await
    }
}

/// So many at once, and so many that wait for it; and how TLS is spoken then.
struct Turns {
    config: Arc<ServerConfig>,
    turns: Semaphore,
    places: Semaphore,
}

impl Turns {
    fn new(config: Arc<ServerConfig>, turns: usize, waiting_max: usize) -> Self {
        Self {
            config,
            turns: Semaphore::new(turns),
            places: Semaphore::new(turns + waiting_max),
        }
    }

    async fn take(&self) -> io::Result<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let full = |_| io::Error::other("too many handshakes wait already");
        let place = self.places.try_acquire().map_err(full)?;
        let turn = self.turns.acquire().await.map_err(io::Error::other)?;
        Ok((turn, place))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use protocol::tls::{Fingerprint, agent_config, client_config};
    use rustls::ClientConfig;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::TlsConnector;

    use super::*;

    fn node() -> (Handshakes, Fingerprint) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let pin = Fingerprint::of(&certificate);
        let private = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], private)
            .unwrap();
        let config = Arc::new(config);
        (Handshakes::new(Arc::clone(&config), config), pin)
    }

    async fn agreed(node: &Handshakes, client: Arc<ClientConfig>) -> bool {
        let (near, far) = tokio::io::duplex(16 << 10);
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(client).connect(name, far);
        let (accepted, connected) = tokio::join!(node.accept(near), connecting);
        accepted.is_ok() && connected.is_ok()
    }

    #[tokio::test]
    async fn agents_that_wait_do_not_delay_others() {
        let (mut node, pin) = node();
        node.agents = Turns::new(node.agents.config, 0, 2);
        let agent = agent_config(Some(pin)).unwrap();
        let mut waiting = Box::pin(agreed(&node, agent));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(agreed(&node, client_config(Some(pin)).unwrap()).await);
        assert!(waiting.as_mut().now_or_never().is_none());
        node.agents.turns.add_permits(1);
        assert!(waiting.await);
    }

    #[tokio::test]
    async fn who_says_nothing_holds_no_turn() {
        let (mut node, pin) = node();
        node.others = Turns::new(node.others.config, 1, 0);
        let (near, _silent) = tokio::io::duplex(16);
        let mut silent = Box::pin(node.accept(near));
        assert!(silent.as_mut().now_or_never().is_none());
        assert!(agreed(&node, client_config(Some(pin)).unwrap()).await);
    }

    #[tokio::test]
    async fn too_many_are_turned_away() {
        let turns = Turns::new(node().0.others.config, 1, 1);
        let first = turns.take().await.unwrap();
        let mut second = Box::pin(turns.take());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.take().await.is_err());
        drop(first);
        drop(second.await.unwrap());
        assert!(turns.take().await.is_ok());
    }
}
