//! Where the paths of a profile lead on this host: `{data}` and `*` in them.

use std::path::{Path, PathBuf};

use super::{Profile, value};

/// Directories in which everybody has files.
const SHARED_DIRS: [&str; 4] = ["/var/log", "/tmp", "/var/tmp", "/run"];
/// Most paths that one pattern stands for.
const PATHS_MAX: usize = 64;

/// Where the paths of a profile lead on this host.
pub(super) struct Places {
    /// Its data directories, those that exist first.
    pub(super) data: Vec<PathBuf>,
}

impl Places {
    pub(super) fn new(profile: &Profile, given: Option<&Path>) -> Self {
        let mut data: Vec<PathBuf> = match given {
            Some(dir) => vec![dir.to_owned()],
            None => {
                let named = profile.paths.data.iter();
                named
                    .flat_map(|it| expand(Path::new(it.as_str())))
                    .collect()
            }
        };
        data.sort_by_key(|it| !it.is_dir());
        Self { data }
    }

    /// All that a path stands for; one without `*` stands for itself, whether it exists or not.
    pub(super) fn of(&self, path: &value::Path) -> Vec<PathBuf> {
        match path.as_str().strip_prefix("{data}") {
            Some(rest) => match self.data.first() {
                Some(data) => expand(&data.join(rest.trim_start_matches('/'))),
                None => Vec::new(),
            },
            None => expand(Path::new(path.as_str())),
        }
    }

    pub(super) fn first(&self, path: &value::Path) -> Option<PathBuf> {
        self.of(path).into_iter().next()
    }

    pub(super) fn all(&self, paths: &[value::Path]) -> Vec<PathBuf> {
        paths.iter().flat_map(|it| self.of(it)).collect()
    }

    pub(super) fn present(&self, paths: &[value::Path]) -> Vec<PathBuf> {
        let mut all = self.all(paths);
        all.retain(|it| it.exists());
        all
    }

    /// Directories for these files that nobody else writes to.
    pub(super) fn log_dirs(&self, logs: &[value::Path]) -> Vec<PathBuf> {
        let all = self.all(logs);
        let dirs = all.iter().filter_map(|it| it.parent());
        let is_own = |it: &&Path| !SHARED_DIRS.iter().any(|shared| *it == Path::new(shared));
        let mut dirs: Vec<PathBuf> = dirs.filter(is_own).map(Path::to_owned).collect();
        dirs.dedup();
        dirs
    }
}

/// The paths that a path with `*` in its names stands for, sorted.
fn expand(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains('*') {
            found.iter_mut().for_each(|it| it.push(part));
            continue;
        }
        let inside = |dir: &PathBuf| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let names = entries.filter_map(|it| it.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|it| fits(&name, it)).collect();
            names.sort();
            names.into_iter().map(|it| dir.join(it)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(inside).take(PATHS_MAX).collect();
    }
    found
}

/// Whether a name is of the form, in which `*` stands for any text.
fn fits(form: &str, name: &str) -> bool {
    let mut parts = form.split('*');
    let Some(mut rest) = parts.next().and_then(|it| name.strip_prefix(it)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a-1.log", "a-2.log", "b.log", "a-3.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = expand(&dir.path().join("a-*.log"));
        assert_eq!(found, ["a-1.log", "a-2.log"].map(|it| dir.path().join(it)));
        assert_eq!(expand(Path::new("/x/y")), [PathBuf::from("/x/y")]);
        assert!(fits("*", "x") && fits("a*c*", "abcd") && !fits("a*c", "abcd"));
    }
}
