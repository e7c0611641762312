//! Software that no package manager of the system needs to know: libraries of Python and Node.js, and Java
//! archives, with where they lie.
//!
//! Walks through the folders where such things are installed, by names alone but for `package.json`. Follows no
//! links, and stops at a number of entries.

use std::path::{Path, PathBuf};

use protocol::answer::Package;
use serde_json::Value;

use super::{Unread, read};

const SUBJECT: &str = "packages: libraries";
const ROOTS: [&str; 9] = [
    "/opt",
    "/srv",
    "/usr/lib/node_modules",
    "/usr/lib/python3",
    "/usr/local/lib",
    "/usr/share/java",
    "/usr/share/nodejs",
    "/usr/share/python-wheels",
    "/var/www",
];
/// Entries of folders that are looked at in all, and how deep below a root.
const ENTRIES_MAX: usize = 50_000;
const DEPTH_MAX: usize = 10;
/// Libraries that are kept.
const LIBRARIES_MAX: usize = 2_000;
const MANIFEST_BYTES_MAX: u64 = 64 << 10;
const FIELD_BYTES_MAX: usize = 256;

/// The libraries of this host.
pub(super) fn collect(unread: &mut Unread) -> Vec<Package> {
    let mut roots: Vec<PathBuf> = ROOTS.iter().map(PathBuf::from).collect();
    // Where a distribution keeps those of one version: /usr/lib/python3.11, /usr/lib64/python3.9.
    for place in ["/usr/lib", "/usr/lib64"] {
        let folders = read::folder(Path::new(place)).unwrap_or_default();
        let is_python = |it: &PathBuf| read::file_name(it).starts_with("python3.");
        roots.extend(folders.into_iter().filter(is_python));
    }
    let mut walk = Walk::default();
    for root in roots {
        walk.look(&root, 0);
    }
    if walk.is_cut() {
        unread.lacks(&format!(
            "{SUBJECT}: the search ended after {} entries of folders and {} libraries",
            walk.entries,
            walk.found.len()
        ));
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    entries: usize,
    found: Vec<Package>,
}

impl Walk {
    fn is_cut(&self) -> bool {
        self.entries >= ENTRIES_MAX || self.found.len() >= LIBRARIES_MAX
    }

    fn look(&mut self, folder: &Path, depth: usize) {
        // A root that is a link shows what another root shows.
        let is_folder = |it: &Path| it.symlink_metadata().is_ok_and(|it| it.is_dir());
        if depth > DEPTH_MAX || !is_folder(folder) {
            return;
        }
        // What may not be read or is gone has nothing that could run.
        for path in read::folder(folder).unwrap_or_default() {
            if self.is_cut() {
                return;
            }
            self.entries += 1;
            let library = library(&path);
            let is_leaf = library.as_ref().is_some_and(|it| it.manager != "npm");
            self.found.extend(library);
            if !is_leaf {
                self.look(&path, depth + 1);
            }
        }
    }
}

/// What a path is by its name, if it is a library.
fn library(path: &Path) -> Option<Package> {
    let name = read::file_name(path);
    if let Some(stem) = name
        .strip_suffix(".dist-info")
        .or_else(|| name.strip_suffix(".egg-info"))
    {
        let (name, version) = stem.split_once('-').unwrap_or((stem, ""));
        // Eggs say for which Python they are.
        let version = version.split("-py").next().unwrap_or_default();
        return Some(package("pip", name, version, path));
    }
    if let Some(stem) = name.strip_suffix(".jar") {
        let is_version = |rest: &str| rest.starts_with(|it: char| it.is_ascii_digit());
        let mut splits = stem
            .match_indices('-')
            .filter_map(|(at, _)| stem.split_at_checked(at));
        let split = splits.find(|(_, rest)| is_version(rest.trim_start_matches('-')));
        let (name, version) = split.unwrap_or((stem, ""));
        return Some(package("jar", name, version.trim_start_matches('-'), path));
    }
    let parent = path.parent()?;
    let holder = read::file_name(parent);
    let is_scoped = holder.starts_with('@') && parent.parent().is_some_and(is_node_modules);
    if is_scoped || is_node_modules(parent) && !name.starts_with(['.', '@']) {
        return node_module(path);
    }
    None
}

fn is_node_modules(folder: &Path) -> bool {
    matches!(read::file_name(folder).as_str(), "node_modules" | "nodejs")
}

fn node_module(folder: &Path) -> Option<Package> {
    let manifest = read::text_up_to(&folder.join("package.json"), MANIFEST_BYTES_MAX).ok()?;
    let manifest: Value = serde_json::from_str(&manifest).ok()?;
    let field = |key: &str| manifest.get(key).and_then(Value::as_str);
    Some(package(
        "npm",
        field("name")?,
        field("version").unwrap_or_default(),
        folder,
    ))
}

fn package(manager: &str, name: &str, version: &str, path: &Path) -> Package {
    Package {
        name: read::clip(name, FIELD_BYTES_MAX),
        version: read::clip(version, FIELD_BYTES_MAX),
        architecture: String::new(),
        manager: manager.to_owned(),
        installed_ms: None,
        path: read::clip(&path.to_string_lossy(), FIELD_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_by_where_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let file = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file(
            "venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA",
            "",
        );
        file("old/six-1.16.0-py3.9.egg-info/PKG-INFO", "");
        file(
            "app/node_modules/left-pad/package.json",
            r#"{"name":"left-pad","version":"1.3.0"}"#,
        );
        file(
            "app/node_modules/@scope/it/node_modules/deep/package.json",
            r#"{"name":"deep","version":"2.0.0"}"#,
        );
        file(
            "app/node_modules/@scope/it/package.json",
            r#"{"name":"@scope/it","version":"0.1.0"}"#,
        );
        file("app/node_modules/broken/package.json", "{");
        file("java/log4j-core-2.17.1.jar", "");
        file("java/tools.jar", "");
        std::os::unix::fs::symlink(root, root.join("again")).unwrap();
        let mut walk = Walk::default();
        walk.look(root, 0);
        let shown = walk.found.iter();
        let mut shown: Vec<String> = shown
            .map(|it| format!("{} {} {}", it.manager, it.name, it.version))
            .collect();
        shown.sort();
        let expected = [
            "jar log4j-core 2.17.1",
            "jar tools ",
            "npm @scope/it 0.1.0",
            "npm deep 2.0.0",
            "npm left-pad 1.3.0",
            "pip requests 2.31.0",
            "pip six 1.16.0",
        ];
        assert_eq!(shown, expected);
        let jar = walk.found.iter().find(|it| it.name == "tools").unwrap();
        assert_eq!(Path::new(&jar.path), root.join("java/tools.jar"));
        assert!(!walk.is_cut());
    }
}
