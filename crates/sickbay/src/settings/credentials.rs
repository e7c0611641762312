//! An access key, and the file that it may be kept in: `root-key.json` of a node is one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::exit::Usage;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// As whom the control plane is called. Members may be spelled as in `root-key.json` or as the API spells them.
#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credentials {
    /// Id of the access key.
    #[serde(rename = "accessKeyId", alias = "AccessKeyId")]
    pub(super) id: String,
    /// Its secret.
    #[serde(rename = "accessKeySecret", alias = "AccessKeySecret")]
    pub(super) secret: String,
    /// The token of a temporary key.
    #[serde(alias = "SecurityToken")]
    pub(super) security_token: Option<String>,
}

impl Credentials {
    /// Reads a file that its owner alone can read.
    ///
    /// # Errors
    /// It cannot be read, others can read it too, or it is of another form.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_private(path).with_context(|| {
            Usage(format!(
                "the credentials file `{}` cannot be used",
                path.display()
            ))
        })
    }

    fn read_private(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        // Of the file that is open: another one could take its name meanwhile.
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            anyhow::bail!("others can read it, its mode is {mode:03o}: make it 600");
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        // serde_json's own words may quote the secret.
        let read = serde_json::from_str(&text).ok();
        read.filter(|it: &Self| !it.id.is_empty() && !it.secret.is_empty())
            .context(r#"it is not {"accessKeyId": "…", "accessKeySecret": "…"}"#)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A file of this process's own that is removed in the end.
    struct Kept(PathBuf);

    impl Kept {
        fn new(name: &str, mode: u32, text: &str) -> Self {
            let name = format!("sickbay-credentials-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            drop(std::fs::remove_file(&path));
            let mut options = File::options();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_permissions(PermissionsExt::from_mode(mode))
                .unwrap();
            Self(path)
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.0));
        }
    }

    const KEY: &str = r#"{"accessKeyId": "id", "accessKeySecret": "hunter2"}"#;

    #[test]
    fn a_key_is_read_with_or_without_a_token() {
        let kept = Kept::new("plain", 0o600, KEY);
        let key = Credentials::read(&kept.0).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(
            (key.id.as_str(), key.secret.as_str(), key.security_token),
            ("id", "hunter2", None)
        );
        let token = KEY.replace('}', r#", "securityToken": "t"}"#);
        let kept = Kept::new("token", 0o400, &token);
        let key = Credentials::read(&kept.0).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(key.security_token.as_deref(), Some("t"));
        let of_the_api = token
            .replace("access", "Access")
            .replace("security", "Security");
        let kept = Kept::new("api", 0o600, &of_the_api);
        let key = Credentials::read(&kept.0).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("id", "hunter2"));
        assert_eq!(key.security_token.as_deref(), Some("t"));
    }

    #[test]
    fn a_file_that_others_can_read_or_of_another_form_is_refused_without_its_secret() {
        let malformed = r#"["hunter2"]"#;
        for (name, mode, text, word) in [
            ("group", 0o640, KEY, "make it 600"),
            ("all", 0o604, KEY, "make it 600"),
            ("form", 0o600, malformed, "accessKeySecret"),
            ("empty", 0o600, "", "accessKeySecret"),
        ] {
            let kept = Kept::new(name, mode, text);
            let Err(error) = Credentials::read(&kept.0) else {
                panic!("{name}: a refusal was expected");
            };
            let said = format!("{error:#}");
            assert!(said.contains(word) && !said.contains("hunter2"), "{said}");
            assert!(error.is::<Usage>(), "{error:?}");
        }
        assert!(Credentials::read(Path::new("/nonexistent/key")).is_err());
    }
}
