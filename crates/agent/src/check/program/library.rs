//! Where the dynamic loader would find the libraries of a program (ld.so(8)). Rather finds too much: a
//! library is missing only if it lies in none of the places that any part of the program may name.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::elf::{Elf, Error};
use super::is_absent;

/// Files of one program that are looked at.
const FILES_MAX: usize = 256;
/// Largest cache of the loader that is read, in bytes.
const CACHE_BYTES_MAX: u64 = 16 << 20;
/// Searched by glibc and musl, and what distributions configure.
const USUAL_DIRS: [&str; 8] = [
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/lib32",
    "/usr/lib32",
];

/// A library that is in no place.
pub(super) struct Missing {
    pub(super) name: String,
    /// The file that needs it.
    pub(super) of: PathBuf,
}

/// The first library that the program, or one of its libraries, needs and that is nowhere.
pub(super) fn missing(path: &Path, program: &Elf, loader: &Path) -> Option<Missing> {
    // What is preloaded need not be found by its name.
    if !is_absent(Path::new("/etc/ld.so.preload")) {
        return None;
    }
    let mut search = Search::new(loader);
    search.add_paths(path, &program.search);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<(String, PathBuf)> = Vec::new();
    let needs = |elf: &Elf, of: &Path| -> Vec<(String, PathBuf)> {
        let names = elf.needed.iter().rev();
        names.map(|it| (it.clone(), of.to_owned())).collect()
    };
    open.extend(needs(program, path));
    while let Some((name, of)) = open.pop() {
        let is_loader = loader.file_name().is_some_and(|it| it == name.as_str());
        if is_loader || !seen.insert(name.clone()) {
            continue;
        }
        if seen.len() > FILES_MAX {
            return None;
        }
        match search.find(&name, program) {
            Place::Found(path, elf) => {
                search.add_paths(&path, &elf.search);
                open.extend(needs(&elf, &path));
            }
            Place::Unseen => {}
            Place::Nowhere => return Some(Missing { name, of }),
        }
    }
    None
}

enum Place {
    Found(PathBuf, Elf),
    /// Something is there that we may not read.
    Unseen,
    Nowhere,
}

struct Search {
    dirs: Vec<PathBuf>,
    /// Paths of the loader's cache.
    cached: Vec<String>,
}

impl Search {
    fn new(loader: &Path) -> Self {
        let mut dirs: Vec<PathBuf> = Vec::new();
        dirs.extend(loader.parent().map(Path::to_owned));
        for base in ["/lib", "/usr/lib", "/usr/local/lib"] {
            let triples = std::fs::read_dir(base).into_iter().flatten().flatten();
            let triples = triples.filter(|it| it.file_name().to_string_lossy().contains("-linux-"));
            dirs.extend(triples.map(|it| it.path()));
        }
        dirs.extend(USUAL_DIRS.iter().map(PathBuf::from));
        dirs.extend(configured());
        Self {
            dirs,
            cached: cached(),
        }
    }

    /// `$ORIGIN` is the directory of the file that has the path.
    fn add_paths(&mut self, file: &Path, paths: &[String]) {
        let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let origin = real.parent().unwrap_or(&real).display().to_string();
        for dir in paths.iter().flat_map(|it| it.split(':')) {
            let dir = dir
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin);
            for lib in ["lib", "lib64"] {
                let dir = dir.replace("${LIB}", lib).replace("$LIB", lib);
                self.dirs.push(PathBuf::from(dir));
            }
        }
        self.dirs.dedup();
    }

    fn find(&self, name: &str, program: &Elf) -> Place {
        let in_cache = self.cached.iter();
        let in_cache = in_cache.filter(|it| it.rsplit('/').next() == Some(name));
        let candidates = if name.contains('/') {
            vec![PathBuf::from(name)]
        } else {
            let in_dirs = self.dirs.iter().map(|it| it.join(name));
            in_cache.map(PathBuf::from).chain(in_dirs).collect()
        };
        let mut is_unseen = false;
        for path in candidates {
            match read(&path) {
                Ok(elf) if elf.is_64 == program.is_64 && elf.machine == program.machine => {
                    return Place::Found(path, elf);
                }
                Err(Error::Unreadable) if !is_absent(&path) => is_unseen = true,
                _ => {}
            }
        }
        if is_unseen {
            Place::Unseen
        } else {
            Place::Nowhere
        }
    }
}

fn read(path: &Path) -> Result<Elf, Error> {
    let file = File::open(path).map_err(|_| Error::Unreadable)?;
    Elf::read(&file)
}

/// Directories that `/etc/ld.so.conf` and its parts, or musl's path files, name.
fn configured() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/ld.so.conf")];
    for (dir, start) in [("/etc/ld.so.conf.d", ""), ("/etc", "ld-musl-")] {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let entries = entries.filter(|it| it.file_name().to_string_lossy().starts_with(start));
        files.extend(entries.map(|it| it.path()));
    }
    let texts = files
        .iter()
        .filter_map(|it| std::fs::read_to_string(it).ok());
    let dirs = texts.flat_map(|text| {
        let words = text.split(['\n', ':', ' ', '\t', ',']);
        let paths = words.filter(|it| it.starts_with('/') && !it.contains('*'));
        paths.map(PathBuf::from).collect::<Vec<PathBuf>>()
    });
    dirs.collect()
}

/// All paths in `/etc/ld.so.cache`: texts between zero bytes, whatever the format of the table.
fn cached() -> Vec<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = File::open("/etc/ld.so.cache")
        .and_then(|it| it.take(CACHE_BYTES_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    paths_of(&bytes)
}

fn paths_of(cache: &[u8]) -> Vec<String> {
    let texts = cache.split(|it| *it == 0);
    texts
        .filter(|it| it.starts_with(b"/"))
        .filter_map(|it| std::str::from_utf8(it).ok().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_nowhere_is_named_with_who_needs_it() {
        let path = Path::new("/bin/sh").canonicalize().unwrap();
        let mut elf = Elf::read(&File::open(&path).unwrap()).unwrap();
        let Some(loader) = elf.interpreter.clone() else {
            return;
        };
        assert!(missing(&path, &elf, &loader).is_none());
        elf.needed.push("libnosuch.so.9".to_owned());
        let missing = missing(&path, &elf, &loader).unwrap();
        assert_eq!(
            (missing.name.as_str(), missing.of),
            ("libnosuch.so.9", path)
        );
    }

    #[test]
    fn a_library_beside_its_program_is_found_by_origin() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libours.so.1");
        std::fs::copy("/proc/self/exe", &library).unwrap();
        let elf = Elf::read(&File::open(&library).unwrap()).unwrap();
        let mut search = Search::new(Path::new("/lib/ld.so"));
        assert!(matches!(search.find("libours.so.1", &elf), Place::Nowhere));
        search.add_paths(&dir.path().join("agent"), &["$ORIGIN".to_owned()]);
        assert!(matches!(
            search.find("libours.so.1", &elf),
            Place::Found(..)
        ));
    }

    #[test]
    fn the_loaders_cache_gives_its_paths() {
        let cache = b"glibc-ld.so.cache1.1\0\x05\0libz.so.1\0/lib/x/libz.so.1\0libc.so.6\0/lib/x/libc.so.6\0";
        assert_eq!(paths_of(cache), ["/lib/x/libz.so.1", "/lib/x/libc.so.6"]);
    }
}
