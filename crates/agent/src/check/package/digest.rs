//! Digests of files, as package managers keep them. They tell damage, not attacks: both are broken.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// What a package manager keeps of a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    /// dpkg: MD5, in hexadecimal digits.
    Md5,
    /// apk: SHA-1, in base 64.
    Sha1,
}

/// The digest of a file, and whether it begins with `#!`.
pub(super) fn digest_of(path: &Path, sum: Sum) -> std::io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let mut digest = Running::of(sum);
    let mut buffer = vec![0; 64 << 10];
    let mut is_first = true;
    let mut is_script = false;
    loop {
        let size = file.read(&mut buffer)?;
        let part = buffer.get(..size).unwrap_or_default();
        if part.is_empty() {
            return Ok((digest.text(), is_script));
        }
        is_script |= is_first && part.starts_with(b"#!");
        is_first = false;
        digest.update(part);
    }
}

/// A digest that is being made.
enum Running {
    Md5(Md5),
    Sha1(Context),
}

impl Running {
    fn of(sum: Sum) -> Self {
        match sum {
            Sum::Md5 => Self::Md5(Md5::new()),
            Sum::Sha1 => Self::Sha1(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
        }
    }

    fn update(&mut self, part: &[u8]) {
        match self {
            Self::Md5(digest) => digest.update(part),
            Self::Sha1(digest) => digest.update(part),
        }
    }

    /// As the package manager writes it.
    fn text(self) -> String {
        match self {
            Self::Md5(digest) => HEXLOWER.encode(&digest.finalize()),
            Self::Sha1(digest) => BASE64.encode(digest.finish().as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_as_the_package_managers_write_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let digest = |sum| digest_of(file.path(), sum).unwrap().0;
        // RFC 1321, A.5; FIPS 180-1, appendix A.
        assert_eq!(digest(Sum::Md5), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(digest(Sum::Sha1), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }
}
