//! A control plane of a test's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use client::{Client, Config, NewInstallCode, NewTask, TaskQuery};
use model::{TaskId, TaskType};
use protocol::api::task::{HostDetail, Task, read_details};
use protocol::tls::Fingerprint;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::disk::Disk;
use crate::http::Request;
use crate::program::{Program, Said, binary, run};
use crate::wait::until;

/// Id of the root access key of every server here.
pub const ROOT_ID: &str = "testRootAccessKeyId";
/// Its secret.
pub const ROOT_SECRET: &str = "testRootAccessKeySecret";

/// A running `sickbay server` and a client with its root key.
#[derive(Debug)]
pub struct Server {
    program: Program,
    /// Its address, such as `http://127.0.0.1:41234`.
    pub url: String,
    /// Its own certificate's fingerprint, with `--tls`.
    pub pin: Option<String>,
    setup: Setup,
}

/// How a server is started, the first time and again.
#[derive(Debug)]
struct Setup {
    flags: Vec<String>,
    data: PathBuf,
    /// The URL of its database; none: a file in its data directory.
    store: Option<String>,
    /// What its files lie on, if it is to fail.
    disk: Option<Disk>,
    folder: TempDir,
}

impl Server {
    /// Starts a server on a free port, with a data directory of its own.
    pub async fn start(flags: &[&str]) -> Self {
        Self::start_with(Setup::new(flags)).await
    }

    /// Starts a server that listens there.
    pub async fn start_at(listen: SocketAddr, flags: &[&str]) -> Self {
        Self::start_there(Setup::new(flags), &listen.to_string()).await
    }

    /// Starts a server on a free port, with this data directory inside `folder`. It ignores SIGXFSZ, so that a file size limit is
    /// an error to it and not its end.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_in(folder: TempDir, data: PathBuf, flags: &[&str]) -> Self {
        Self::start_with(Setup {
            data,
            folder,
            ..Setup::new(flags)
        })
        .await
    }

    /// Starts a server whose database is on a PostgreSQL server.
    pub async fn start_on(store: &str, flags: &[&str]) -> Self {
        let mut setup = Setup::new(flags);
        setup.store = Some(store.to_owned());
        Self::start_with(setup).await
    }

    /// Starts a server on a disk that fails when it is told to.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_on_faulty_disk(flags: &[&str]) -> Self {
        let mut setup = Setup::new(flags);
        setup.disk = Some(Disk::new(setup.folder.path(), &setup.data));
        Self::start_with(setup).await
    }

    async fn start_with(setup: Setup) -> Self {
        Self::start_there(setup, "127.0.0.1:0").await
    }

    async fn start_there(setup: Setup, listen: &str) -> Self {
        let launched = setup.launch(listen).await;
        let (program, url, pin) =
            launched.unwrap_or_else(|log| panic!("the server did not start:\n{log}"));
        Self {
            program,
            url,
            pin,
            setup,
        }
    }

    /// The disk of [`Server::start_on_faulty_disk`].
    ///
    /// # Panics
    /// It was started in another way.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        self.setup.disk.as_ref().expect("a faulty disk")
    }

    /// Starts it again on its data directory and port, after it was killed or ended.
    pub async fn restart(&mut self) {
        let (_, listen) = self.url.split_once("://").expect("a scheme");
        let (program, url, pin) = until("the server starts again", async || {
            // Somebody's outgoing connection may have taken the port for a moment.
            self.setup.launch(listen).await.ok()
        })
        .await;
        assert_eq!(
            (&url, &pin),
            (&self.url, &self.pin),
            "address and certificate stay"
        );
        self.program = program;
    }

    /// Lets it have its database elsewhere, from the next start on.
    pub fn move_to(&mut self, store: &str) {
        self.setup.store = Some(store.to_owned());
    }

    /// Kills it without warning.
    pub async fn kill9(&mut self) {
        self.program.kill9().await;
    }

    /// Asks it to stop, and waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.program.signal(Signal::TERM);
        self.program.ended().await
    }

    /// The program.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    /// The test's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.setup.folder.path()
    }

    /// Its host and port.
    ///
    /// # Panics
    /// Never: every address has a scheme.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.split_once("://").expect("a scheme").1
    }

    /// A client with the root key.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_as(ROOT_ID, ROOT_SECRET, None)
    }

    /// A client with any key.
    ///
    /// # Panics
    /// No TLS can be set up.
    #[must_use]
    pub fn client_as(&self, id: &str, secret: &str, token: Option<&str>) -> Client {
        let pin = self
            .pin
            .as_deref()
            .map(|it| Fingerprint::parse(it).expect("a fingerprint"));
        let config = Config {
            endpoint: self.url.parse().expect("an address"),
            access_key_id: id.to_owned(),
            access_key_secret: secret.to_owned(),
            security_token: token.map(str::to_owned),
            pin,
        };
        Client::new(config).expect("a client")
    }

    /// A hand-made request to it.
    #[must_use]
    pub fn request(&self, action: &str, params: &[(&str, &str)]) -> Request {
        Request::new(self.authority(), action, params)
    }

    /// A new install code.
    ///
    /// # Panics
    /// It was refused.
    pub async fn install_code(&self) -> String {
        let made = self
            .client()
            .create_install_code(&NewInstallCode::default())
            .await;
        made.expect("an install code").captcha_code
    }

    /// Creates a task and returns its root's id.
    ///
    /// # Panics
    /// It was refused.
    pub async fn create(&self, task_type: TaskType, param: Value) -> String {
        let task = NewTask {
            task_type,
            param: param.to_string(),
            source: Some("test".to_owned()),
        };
        self.client()
            .create_task(&task)
            .await
            .expect("a task")
            .task_id
    }

    /// A root or leaf as it stands.
    ///
    /// # Panics
    /// There is none.
    pub async fn task(&self, id: &str) -> Task {
        let id: TaskId = id.parse().expect("a task id");
        self.client()
            .task(id)
            .await
            .expect("an answer")
            .expect("a task")
    }

    /// All roots of a type, newest first.
    ///
    /// # Panics
    /// It was refused.
    pub async fn tasks(&self, task_type: TaskType) -> Vec<Task> {
        let query = TaskQuery {
            task_type: Some(task_type),
            ..TaskQuery::default()
        };
        let client = self.client();
        let mut pages = client.tasks(&query, 100);
        pages.take(usize::MAX).await.expect("the tasks")
    }

    /// Waits until a root or leaf stands so.
    pub async fn until_task(&self, id: &str, what: &str, is: impl Fn(&Task) -> bool) -> Task {
        until(what, async || Some(self.task(id).await).filter(&is)).await
    }

    /// Waits until a root or leaf has ended.
    pub async fn ended(&self, id: &str) -> Task {
        self.until_task(id, "the task ends", |it| it.task_status > 1)
            .await
    }

    /// Every leaf of a root with what its host said, by number.
    ///
    /// # Panics
    /// It was refused, or a leaf has not one host's detail.
    pub async fn leaves(&self, root: &str) -> Vec<(Task, HostDetail)> {
        let client = self.client();
        let leaves = client
            .leaves(
                root,
                &client::LeafFilter::default(),
                model::limits::PAGE_SIZE_MAX,
            )
            .take(usize::MAX)
            .await
            .expect("the leaves");
        let both = leaves.into_iter().map(|leaf| {
            let mut details = read_details(&leaf.detail_data).expect("DetailData that is JSON");
            assert_eq!(details.len(), 1, "a leaf has one host");
            let detail = details.pop().expect("one host's detail");
            (leaf, detail)
        });
        both.collect()
    }

    /// The only leaf of a root, in full.
    ///
    /// # Panics
    /// There are more, or none.
    pub async fn leaf(&self, root: &str) -> (Task, HostDetail) {
        let mut leaves = self.leaves(root).await;
        assert_eq!(leaves.len(), 1, "the root has one leaf");
        let id = leaves.pop().expect("one leaf").0.task_id;
        // Only a leaf that is asked for by its own id comes with everything.
        let leaf = self.task(&id).await;
        let detail = read_details(&leaf.detail_data)
            .expect("DetailData that is JSON")
            .pop();
        (leaf, detail.expect("one host's detail"))
    }

    /// Runs `sickbay` with this server and the root key in its environment.
    pub async fn sickbay(&self, args: &[&str]) -> Said {
        run(&mut self.command(args)).await
    }

    /// Starts `sickbay` in the background; all that it says goes into the file `log`.
    #[must_use]
    pub fn start_sickbay(&self, args: &[&str], log: &Path) -> Program {
        Program::start::<&str>(&mut self.command(args), log, false, [])
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("sickbay"));
        command
            .args(args)
            .env("SICKBAY_ENDPOINT", &self.url)
            .env("SICKBAY_ACCESS_KEY_ID", ROOT_ID)
            .env("SICKBAY_ACCESS_KEY_SECRET", ROOT_SECRET)
            .env("SICKBAY_PIN", self.pin.as_deref().unwrap_or_default())
            .env(
                "SICKBAY_STORE",
                self.setup.store.as_deref().unwrap_or_default(),
            );
        command
    }
}

impl Setup {
    fn new(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            flags: flags.iter().map(|it| (*it).to_owned()).collect(),
            data: folder.path().join("server"),
            store: None,
            disk: None,
            folder,
        }
    }

    /// Starts the program; its log if it does not come to listen.
    async fn launch(&self, listen: &str) -> Result<(Program, String, Option<String>), String> {
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(binary("sickbay"))
            .arg("server")
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", listen])
            .env("SICKBAY_LOG", "debug")
            .env("SICKBAY_ROOT_ACCESS_KEY_ID", ROOT_ID)
            .env("SICKBAY_ROOT_ACCESS_KEY_SECRET", ROOT_SECRET)
            .env("SICKBAY_STORE", self.store.as_deref().unwrap_or_default())
            .envs(self.disk.iter().flat_map(Disk::environment));
        let log = self.folder.path().join("server.log");
        let mut program = Program::start(&mut command, &log, true, &self.flags);
        let lines = program.lines_until("root access key").await;
        let find = |start: &str| {
            lines
                .iter()
                .find_map(|it| it.strip_prefix(start))
                .map(str::to_owned)
        };
        match find("listening on ") {
            Some(url) => Ok((program, url, find("certificate fingerprint "))),
            None => Err(program.log()),
        }
    }
}
