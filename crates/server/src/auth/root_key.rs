//! The root key: given by the environment, or made on first start and written once to a file that
//! only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The account owner's access key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKey {
    /// Its id.
    #[serde(rename = "accessKeyId")]
    pub id: String,
    /// Its secret.
    #[serde(rename = "accessKeySecret")]
    pub secret: String,
}

impl RootKey {
    /// Reads the key from `file`, or makes one and writes it there (mode 0600).
    ///
    /// # Errors
    /// The file cannot be read or written, or is not such a file.
    pub fn open(file: &Path) -> io::Result<Self> {
        match fs::read(file) {
            Ok(json) => serde_json::from_slice(&json).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(file),
            Err(error) => Err(error),
        }
    }

    fn make(file: &Path) -> io::Result<Self> {
        let failed = |_| io::Error::other("the operating system gives no random bytes");
        let key = Self {
            id: format!("SBROOT{}", crate::random::code(14).map_err(failed)?),
            secret: crate::random::secret().map_err(failed)?,
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut to = options.open(file)?;
        to.write_all(&serde_json::to_vec_pretty(&key)?)?;
        to.sync_all()?;
        Ok(key)
    }
}
