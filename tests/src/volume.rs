//! A small file system of a test's own, which can be full or read-only.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says what cannot be tested here, past the capture of output: nobody is to take one way for the other.
pub(crate) fn say_aloud(line: &str) {
    let told = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    told.expect("standard error");
}

/// Mounted until this goes away.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    /// What it lies on; none: memory.
    image: Option<PathBuf>,
}

impl Volume {
    /// One in memory, mounted at the new directory `path`. None where nothing may be mounted: then it is said aloud what the test does
    /// `instead`.
    ///
    /// # Panics
    /// The directory cannot be made.
    #[must_use]
    pub fn in_memory(path: &Path, instead: &str) -> Option<Self> {
        std::fs::create_dir(path).expect("a directory");
        let volume = Self {
            path: path.to_owned(),
            image: None,
        };
        volume.mounted(instead)
    }

    /// Likewise, one on an image beside `path`, as on a disk: it is read-only once that has failed.
    ///
    /// # Panics
    /// The image cannot be made.
    #[must_use]
    pub fn on_image(path: &Path, instead: &str) -> Option<Self> {
        std::fs::create_dir(path).expect("a directory");
        let image = path.with_extension("image");
        let file = File::create(&image).and_then(|it| it.set_len(128 << 20));
        file.expect("an image");
        run(
            "mkfs.ext4",
            [OsStr::new("-q"), "-F".as_ref(), image.as_ref()],
        )
        .expect("a file system");
        let volume = Self {
            path: path.to_owned(),
            image: Some(image),
        };
        volume.mounted(instead)
    }

    fn mounted(self, instead: &str) -> Option<Self> {
        match self.mount() {
            Ok(()) => Some(self),
            Err(said) => {
                say_aloud(&format!("nothing can be mounted here: {instead} ({said})"));
                None
            }
        }
    }

    fn mount(&self) -> Result<(), String> {
        let (kind, options, what) = match &self.image {
            None => ("tmpfs", "size=16m,mode=700", Path::new("tmpfs")),
            Some(image) => ("ext4", "loop,errors=remount-ro", image.as_path()),
        };
        let args = ["-t", kind, "-o", options].map(OsStr::new);
        run(
            "mount",
            args.into_iter()
                .chain([what.as_os_str(), self.path.as_os_str()]),
        )
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Uses up its space.
    ///
    /// # Panics
    /// Nothing can be written.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        let block = [b'x'; 4096];
        while file.write_all(&block).is_ok() {}
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// It was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("what fills it");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// Mounts it `ro` or `rw`.
    ///
    /// # Errors
    /// What mount(8) says, such as that somebody has files open there for writing.
    pub fn remount(&self, how: &str) -> Result<(), String> {
        let options = format!("remount,{how}");
        let args = ["-o", &options].map(OsStr::new);
        run("mount", args.into_iter().chain([self.path.as_os_str()]))
    }

    /// Its disk fails: the kernel makes it read-only, whoever is at work on it, until it is mounted anew.
    ///
    /// # Panics
    /// It is in memory.
    pub fn fail(&self) {
        assert!(self.image.is_some(), "it has no disk");
        self.remount("abort").expect("a file system with a journal");
    }

    /// Mounts it anew, as after a repair; false while somebody is at work on it.
    ///
    /// # Panics
    /// It cannot be mounted any more.
    #[must_use]
    pub fn repair(&self) -> bool {
        if run("umount", [&self.path]).is_err() {
            return false;
        }
        self.mount().expect("a file system");
        true
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: who worked on it may not be gone yet.
        run("umount", [OsStr::new("-l"), self.path.as_os_str()]).ok();
    }
}

fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<(), String> {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
