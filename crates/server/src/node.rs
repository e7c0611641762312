//! One control-plane process: opens what it needs, runs, stops cleanly.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Services};
use crate::auth::{Auth, RootKey, Sealer};
use crate::body::Bodies;
use crate::certificate::{Certificate, CertificateSource};
use crate::clock::{Clock, SteadyClock};
use crate::database::{self, Database};
use crate::engine::{Engine, Signer};
use crate::gateway::{Gateway, agent_door, plain};
use crate::listen::Tls;
use crate::retention::{Keeper, Retention};
use crate::service::access::Access;
use crate::service::audit::Audit;
use crate::service::host::Hosts;
use crate::service::install_code::InstallCodes;
use crate::service::property::Properties;
use crate::service::target::Resolver;
use crate::service::task::Tasks;
use crate::service::{Bundles, Checker, Listings, Verification};
use crate::{api, console, download, listen};

/// The key file's name in the data directory.
pub(crate) const SECRET_KEY: &str = "secret.key";

/// How a node is to be set up.
#[derive(Clone)]
pub struct Options {
    /// Where the keys, the log bundles and, unless it is elsewhere, the store are kept.
    pub data: PathBuf,
    /// Where the store is.
    pub database: Database,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS; `None`: plain HTTP.
    pub certificate: Option<CertificateSource>,
    /// The root key; `None`: from the data directory, made on first start.
    pub root_key: Option<RootKey>,
    /// The address that agents and operators are to use, such as `https://sickbay.example`.
    pub public_url: Option<String>,
    /// The program that is handed out as the stand-alone checker.
    pub checker: PathBuf,
    /// Root tasks that may be unfinished at the same time.
    pub roots_running_max: usize,
    /// Which root tasks are kept.
    pub retention: Retention,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the data directory.
    #[error("{what} `{path}` cannot be used", path = path.display())]
    File {
        /// What it is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The store does not open.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The store, while it is set up.
    #[error("the store does not answer")]
    Store(#[from] store::Error),
    /// Another node uses the data directory.
    #[error("`{path}` is in use by another node", path = .0.display())]
    InUse(PathBuf),
    /// The key that opens what is stored is gone.
    #[error(
        "`{path}` is missing, and without it nothing that is sealed in the database opens: put back the one \
         that goes with it, or restore a backup", path = .0.display()
    )]
    KeyMissing(PathBuf),
    /// A stored key does not open.
    #[error(
        "the stored signing key does not open: does `secret.key` belong to this data directory?"
    )]
    Key,
}

/// A node that is ready to run.
pub struct Node {
    /// What its entrances share.
    pub(crate) app: App,
    router: Router,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    root_key: RootKey,
    fingerprint: Option<String>,
    retention: Retention,
    _lock: std::fs::File,
}

impl Node {
    /// Opens the store and binds the address.
    ///
    /// # Errors
    /// What is missing, damaged or in use.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let data = &options.data;
        let lock = prepare(data)?;
        let file = |what, name: &str| {
            let path = data.join(name);
            move |source| Error::File { what, path, source }
        };
        let root_key = match options.root_key.clone() {
            Some(key) => key,
            None => RootKey::open(&data.join("root-key.json"))
                .map_err(file("the root key", "root-key.json"))?,
        };
        let (folder, database) = (data.clone(), options.database.clone());
        let opened = tokio::task::spawn_blocking(move || database::open(&database, &folder)).await;
        let store = opened.map_err(|error| store::Error::Unavailable(Box::new(error)))??;
        let sealer = Arc::new(sealer(data, store.as_ref()).await?);
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::default());
        let certificate = options
            .certificate
            .as_ref()
            .map(|source| Certificate::open(source, data, &sealer, &clock))
            .transpose()
            .map_err(file("the certificate", "tls"))?;
        warn_of_readers(data);
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| Error::Listen(options.listen, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::Listen(options.listen, error))?;
        let fingerprint = certificate
            .as_ref()
            .and_then(|it| it.fingerprint)
            .map(|it| it.to_string());
        let app = build(
            &options,
            store,
            sealer,
            clock,
            root_key.clone(),
            fingerprint.clone(),
        )
        .await?;
        Ok(Self {
            router: router(app.clone()),
            tls: certificate.map(|it| Tls {
                agents: it.agents,
                others: it.others,
                in_the_open: in_the_open(app.clone()),
            }),
            app,
            listener,
            address,
            root_key,
            fingerprint,
            retention: options.retention,
            _lock: lock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The root key.
    #[must_use]
    pub const fn root_key(&self) -> &RootKey {
        &self.root_key
    }

    /// The fingerprint of its own certificate, to be pinned.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Runs until `shutdown`, then drains: no new work, running requests end, sessions are told,
    /// what was reported is committed.
    pub async fn run(self, shutdown: CancellationToken) {
        let app = self.app;
        let tasks = TaskTracker::new();
        let engine = Arc::clone(&app.engine);
        let until = shutdown.clone();
        tasks.spawn(async move { engine.run(until).await });
        let keeper = Keeper {
            store: Arc::clone(&app.store),
            clock: Arc::clone(&app.clock),
            bundles: Arc::clone(&app.bundles),
            retention: self.retention,
        };
        let until = shutdown.clone();
        tasks.spawn(async move { keeper.run(until).await });
        let (app_of_audit, until) = (app.clone(), shutdown.clone());
        tasks.spawn(async move { app_of_audit.audit.run(until).await });
        let close_sessions = app.gateway.shutdown.clone();
        let until = shutdown.clone();
        tasks.spawn(async move {
            until.cancelled().await;
            close_sessions.cancel();
        });
        let serving = listen::serve(self.listener, self.tls, self.router, shutdown.clone());
        tokio::pin!(serving);
        tokio::select! {
            () = serving.as_mut() => {}
            () = shutdown.cancelled() => {
                if tokio::time::timeout(DRAIN, serving).await.is_err() {
                    tracing::warn!("some connections did not end in time");
                }
            }
        }
        app.gateway.tasks.close();
        tasks.close();
        if tokio::time::timeout(DRAIN, app.gateway.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some sessions did not end in time");
        }
        tasks.wait().await;
        app.audit.flush().await;
        app.store.close().await;
    }
}

/// Time for what runs to end when the node stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Makes the data directory, unless it is there, and takes it until the returned file is dropped.
pub(crate) fn prepare(data: &Path) -> Result<std::fs::File, Error> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
    let wrong = |source| Error::File {
        what: "the data directory",
        path: data.to_owned(),
        source,
    };
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(wrong)?;
    let mode = std::fs::metadata(data).map_err(wrong)?.permissions().mode();
    if mode & 0o022 != 0 {
        let text = "others than its owner may write to it: chmod go-w";
        return Err(wrong(std::io::Error::other(text)));
    }
    builder.create(data.join("bundles")).map_err(wrong)?;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(false).mode(0o600);
    let lock = options.open(data.join("lock")).map_err(wrong)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(data.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

/// Says which secrets others than their owner may read.
fn warn_of_readers(data: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for name in [database::FILE, SECRET_KEY, "root-key.json", "tls/key.pem"] {
        let path = data.join(name);
        let mode = path.metadata().map_or(0, |it| it.permissions().mode());
        if mode & 0o077 != 0 {
            let path = path.display();
            tracing::warn!(%path, "others than its owner may read a secret: chmod go-rwx");
        }
    }
}

async fn build(
    options: &Options,
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    root_key: RootKey,
    fingerprint: Option<String>,
) -> Result<App, Error> {
    let order_key = order_key(store.as_ref(), &sealer).await?;
    let signer = Arc::new(Signer::new(order_key, sealer.derive("manual command")));
    let engine = Arc::new(Engine::new(
        Arc::clone(&store),
        Arc::clone(&clock),
        Arc::clone(&signer),
    ));
    let bundles = Arc::new(Bundles::new(
        options.data.join("bundles"),
        sealer.derive("bundle address"),
    ));
    let checker = Arc::new(Checker::new(options.checker.clone(), fingerprint.clone()));
    let resolver = Arc::new(Resolver {
        store: Arc::clone(&store),
        engine: Arc::clone(&engine),
    });
    Ok(App::new(Services {
        auth: Auth::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&sealer),
            root_key,
        ),
        access: Access {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            sealer: Arc::clone(&sealer),
        },
        audit: Audit::new(Arc::clone(&store), Arc::clone(&clock)),
        tasks: Tasks {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            engine: Arc::clone(&engine),
            signer: Arc::clone(&signer),
            bundles: Arc::clone(&bundles),
            checker: Arc::clone(&checker),
            resolver: Arc::clone(&resolver),
            running_max: options.roots_running_max,
            creating: tokio::sync::Mutex::new(()),
        },
        hosts: Hosts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            engine: Arc::clone(&engine),
            resolver: Arc::clone(&resolver),
            listings: Listings::default(),
        },
        install_codes: InstallCodes {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            sealer: Arc::clone(&sealer),
        },
        properties: Properties::new(Arc::clone(&store)),
        verification: Verification::new(Arc::clone(&store)),
        gateway: Gateway::default(),
        readiness: download::Readiness::default(),
        bodies: Bodies::default(),
        kept: api::Kept::default(),
        resolver,
        public_url: options.public_url.clone(),
        only_loopback: options.listen.ip().is_loopback(),
        store,
        clock,
        engine,
        signer,
        bundles,
        checker,
        fingerprint,
    }))
}

/// The name of the key that signs orders, the first that a node seals.
const ORDER_KEY: &str = "order-key";

async fn sealer(data: &Path, store: &dyn Store) -> Result<Sealer, Error> {
    let path = data.join(SECRET_KEY);
    let is_sealed = store.setting_get(ORDER_KEY).await?.is_some();
    match Sealer::open(&path, is_sealed) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_sealed => {
            Err(Error::KeyMissing(path))
        }
        opened => opened.map_err(|source| Error::File {
            what: "the key file",
            path,
            source,
        }),
    }
}

async fn order_key(store: &dyn Store, sealer: &Sealer) -> Result<Ed25519KeyPair, Error> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Error::Key)?;
    let sealed = sealer
        .seal(ORDER_KEY, made.as_ref())
        .map_err(|_| Error::Key)?;
    let stored = store.setting_put_new(ORDER_KEY, sealed).await?;
    let key = sealer
        .open_sealed(ORDER_KEY, &stored)
        .map_err(|_| Error::Key)?;
    Ed25519KeyPair::from_pkcs8(&key).map_err(|_| Error::Key)
}

/// What needs no TLS where it is spoken: the checker, which is no secret and is compared with a digest
/// that came another way. There are hosts whose tools speak no TLS that is taken here.
fn in_the_open(app: App) -> Router {
    let elsewhere = || async {
        plain(
            StatusCode::BAD_REQUEST,
            "TLS is spoken here: use https://\n",
        )
    };
    Router::new()
        .route("/checker/sickbay-agent", get(download::checker))
        .fallback(elsewhere)
        .with_state(app)
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", any(api::front_door))
        .route("/agent", get(agent_door))
        .route("/bundle/{file}", get(download::bundle))
        .route("/checker/sickbay-agent", get(download::checker))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(download::ready))
        .merge(console::router())
        .fallback(api::not_found)
        .with_state(app)
}
