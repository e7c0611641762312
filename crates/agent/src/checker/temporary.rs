//! The checker's own directory: private, and gone at the end but for a bundle that was not sent.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};

use super::Error;

/// A private directory that goes away with this value.
pub(super) struct Temporary {
    path: PathBuf,
    keeps: bool,
}

impl Temporary {
    /// Makes one under the first of the host's directories for temporary files that takes it.
    pub(super) fn new() -> Result<Self, Error> {
        let usual = std::env::temp_dir();
        let others = ["/tmp", "/var/tmp", "/dev/shm", "/run"].map(PathBuf::from);
        let made = Self::under(&usual);
        others.iter().fold(made, |made, it| {
            made.or_else(|why| Self::under(it).map_err(|_| why))
        })
    }

    fn under(parent: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Temporary(parent.to_owned(), error);
        let mut name = [0; 8];
        let random = SystemRandom::new().fill(&mut name);
        random.map_err(|_| failed(io::Error::other("no random numbers")))?;
        let path = parent.join(format!("sickbay-check-{}", HEXLOWER.encode(&name)));
        // Fails if the name exists: nobody else's directory is ever used.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(failed)?;
        Ok(Self { path, keeps: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a file in the directory for the person; where it lies.
    pub(super) fn keep(&mut self, file: &Path) -> Option<PathBuf> {
        let kept = self.path.join(file.file_name()?);
        fs::rename(file, &kept).ok()?;
        self.keeps = true;
        Some(kept)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.keeps {
            fs::remove_dir_all(self.path.join("journal")).ok();
            fs::remove_dir_all(self.path.join("work")).ok();
        } else {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_is_private_and_goes_but_for_what_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = Temporary::new().unwrap();
        let path = temporary.path().to_owned();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(temporary);
        assert!(!path.exists());

        let mut temporary = Temporary::new().unwrap();
        let work = temporary.path().join("work");
        fs::create_dir(&work).unwrap();
        fs::write(work.join("b.tar.gz"), b"x").unwrap();
        let kept = temporary.keep(&work.join("b.tar.gz")).unwrap();
        drop(temporary);
        assert!(kept.exists() && !work.exists());
        fs::remove_dir_all(kept.parent().unwrap()).unwrap();
    }
}
