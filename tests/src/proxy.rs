//! A proxy that lets a test's hosts through to one server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Longest request that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 8 << 10;

/// Understands CONNECT alone, asks for a login, and whatever name is asked for leads to the same server.
#[derive(Debug)]
pub struct ConnectProxy {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Starts one on a free port, for the server at `authority`, for whoever knows `login` (`user:password`).
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start(authority: &str, login: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let login = data_encoding::BASE64.encode(login.as_bytes());
        let (authority, list) = (authority.to_owned(), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (authority, login) = (authority.clone(), login.clone());
                let list = Arc::clone(&list);
                tokio::spawn(async move { serve(stream, &authority, &login, &list).await });
            }
        });
        Self { address, seen }
    }

    /// The names that were let through since the last look.
    pub fn seen(&self) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *seen)
    }
}

async fn serve(
    mut stream: TcpStream,
    authority: &str,
    login: &str,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < REQUEST_BYTES_MAX {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head);
    let knows = head.lines().any(|it| {
        let (name, value) = it.split_once(": ").unwrap_or_default();
        name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {login}")
    });
    let Some(name) = head.strip_prefix("CONNECT ").filter(|_| knows) else {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                       Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(refusal.as_bytes()).await.ok();
    };
    let name = name.split(' ').next()?.to_owned();
    let mut server = TcpStream::connect(authority).await.ok()?;
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(name);
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .ok()?;
    copy_bidirectional(&mut stream, &mut server)
        .await
        .ok()
        .map(drop)
}
