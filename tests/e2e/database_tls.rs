//! TLS to PostgreSQL: whom a server trusts, and what it says of whom it does not.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tests::{Postgres, Server, binary, give, run};

/// An authority of a test's own.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Makes one, and writes its certificate.
    fn new(to: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = to.file_stem().unwrap().to_str().unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(to, certificate.pem()).unwrap();
        Self(Issuer::new(params, key))
    }

    /// Writes a certificate for this name, with its key, to `to` and its sibling `….key`.
    fn sign(&self, name: &str, to: &Path) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(to, certificate.pem()).unwrap();
        let file = to.with_extension("key");
        std::fs::write(&file, key.serialize_pem()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(file, mode).unwrap();
    }
}

/// A PostgreSQL server that takes encrypted connections only: with the password `secret` from `sickbay`, and with a certificate from
/// `carol`. Its own certificate is made for `db.example`.
async fn server() -> Postgres {
    let server = Postgres::new().await;
    let file = |name: &str| server.folder().join(name);
    let authority = Authority::new(&file("right.pem"));
    Authority::new(&file("wrong.pem"));
    authority.sign("db.example", &file("server.pem"));
    authority.sign("carol", &file("carol.pem"));
    for name in ["right.pem", "server.pem", "server.key"] {
        give(&file(name));
    }
    let rules = "local all all trust\n\
                 hostssl all carol 127.0.0.1/32 cert\n\
                 hostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    let path = |name| file(name).display().to_string();
    let [certificate, key, authority] = ["server.pem", "server.key", "right.pem"].map(path);
    let server = server
        .on_loopback()
        .with("ssl_cert_file", &certificate)
        .with("ssl_key_file", &key)
        .with("ssl_ca_file", &authority);
    std::fs::write(server.data().join("postgresql.auto.conf"), "ssl = on\n").unwrap();
    server.start().await;
    server
        .sql("CREATE USER carol SUPERUSER; ALTER USER sickbay PASSWORD 'secret'")
        .await;
    server.sql("CREATE DATABASE node").await;
    server
}

/// Whether the connections of nodes are encrypted.
const ENCRYPTED: &str = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sickbay'";

/// The URL of the database `node`, by TCP.
fn place(postgres: &Postgres, user: &str, host: &str, mode: &str) -> String {
    let port = postgres.port();
    format!("postgres://{user}@{host}.example:{port}/node?hostaddr=127.0.0.1&sslmode={mode}")
}

/// What a node says that does not come to that database.
async fn refused(store: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(binary("sickbay"));
    command
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .env("SICKBAY_STORE", store);
    let said = run(&mut command).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!said.err.contains("secret"), "{said:?}");
    said.err
}

#[tokio::test]
async fn only_a_server_of_a_trusted_authority_and_with_the_right_name_is_talked_to() {
    let postgres = server().await;
    for (host, mode, authority, expected) in [
        ("db", "verify-full", "wrong.pem", "sslrootcert=FILE"),
        ("db", "verify-ca", "wrong.pem", "sslrootcert=FILE"),
        ("db", "require", "wrong.pem", "sslrootcert=FILE"),
        ("db", "verify-full", "none.pem", "none.pem"),
        ("other", "verify-full", "right.pem", "not made for the name"),
        (
            "other",
            "verify-full",
            "server.pem",
            "not made for the name",
        ),
        ("db", "disable", "right.pem", "no encryption"),
    ] {
        let place = place(&postgres, "sickbay:secret", host, mode);
        let path = postgres.folder().join(authority);
        let said = refused(&format!("{place}&sslrootcert={}", path.display())).await;
        assert!(said.contains(expected), "{host} {mode} {authority}: {said}");
    }
    // Of this host's own authorities, none has made that certificate.
    let said = refused(&place(&postgres, "sickbay:secret", "db", "verify-full")).await;
    assert!(said.contains("sslrootcert=FILE"), "{said}");
}

#[tokio::test]
async fn a_node_works_over_every_way_that_is_encrypted() {
    let postgres = server().await;
    let file = |name: &str| postgres.folder().join(name).display().to_string();
    let [right, own] = ["right.pem", "server.pem"].map(|it| format!("&sslrootcert={}", file(it)));
    let key = [file("carol.pem"), file("carol.key")];
    let carol = format!("{right}&sslcert={}&sslkey={}", key[0], key[1]);
    // The password's proof is bound to the certificate.
    let bound = format!("{right}&channel_binding=require");
    for (user, host, mode, more) in [
        ("sickbay:secret", "db", "verify-full", bound.as_str()),
        ("sickbay:secret", "db", "verify-full", &own),
        ("sickbay:secret", "other", "verify-ca", &right),
        ("sickbay:secret", "other", "require", ""),
        ("sickbay:secret", "other", "prefer", ""),
        ("carol", "db", "verify-full", &carol),
    ] {
        postgres.sql("DROP DATABASE node WITH (FORCE)").await;
        postgres.sql("CREATE DATABASE node").await;
        let store = format!("{}{more}", place(&postgres, user, host, mode));
        let server = Server::start_on(&store, &[]).await;
        server.install_code().await;
        let said = server.sickbay(&["admin", "verify"]).await;
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
        let said = postgres.sql(ENCRYPTED).await;
        assert_eq!(said, "t\n", "{user} {host} {mode}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_told_from_one_that_does() {
    let postgres = server().await;
    postgres.crash().await;
    let settings = postgres.data().join("postgresql.auto.conf");
    std::fs::write(settings, "ssl = off\n").unwrap();
    postgres.start().await;
    let said = refused(&place(&postgres, "sickbay:secret", "db", "require")).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    let said = refused(&place(&postgres, "sickbay:secret", "db", "prefer")).await;
    assert!(said.contains("no encryption"), "{said}");
}
