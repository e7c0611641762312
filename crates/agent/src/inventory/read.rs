//! Bounded reading of files that others may have put there.
//!
//! Never blocks on a pipe, never reads without an end, never fails on text that is not UTF-8.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

/// Part of a file that is read, in bytes. The database of dpkg is the largest that we know.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Read at first, in bytes: more than nearly every file in /proc has.
const READ_BYTES: usize = 4 << 10;
/// Entries of a folder that are read.
const FOLDER_ENTRIES_MAX: usize = 10_000;

/// The first 16 MiB of a file; bytes that are not UTF-8 are replaced by U+FFFD.
///
/// # Errors
/// As opening and reading.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    text_up_to(path, FILE_BYTES_MAX)
}

/// The beginning of a file.
///
/// # Errors
/// As opening and reading.
pub(crate) fn text_up_to(path: &Path, bytes_max: u64) -> io::Result<String> {
    let file = open_file(path)?;
    // A file in /proc says no length; into an empty buffer it would be read in many small pieces.
    let mut bytes = Vec::with_capacity(READ_BYTES);
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A file to be read, which waits for nobody.
///
/// # Errors
/// As opening.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, opening a named pipe would wait for a writer for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// The entries of a folder, sorted.
///
/// # Errors
/// As reading the folder.
pub(super) fn folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(path)?
        .take(FOLDER_ENTRIES_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// At most `bytes_max` bytes of a text, with `…` where it was cut.
pub(super) fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub('…'.len_utf8());
    let end = text.floor_char_boundary(room);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The value of the first line `key<separator>value`, trimmed.
pub(super) fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim_end() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_keeps_the_limit_and_whole_characters() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdefg", 6), "abc…");
        for bytes_max in 3..12 {
            assert!(clip("äöüäöüäöü", bytes_max).len() <= bytes_max);
        }
    }

    #[test]
    fn a_value_is_found_by_its_whole_key() {
        let text = "model name\t: Xeon\nmodel : 207\n";
        assert_eq!(value(text, "model", ':'), Some("207"));
        assert_eq!(value(text, "name", ':'), None);
    }
}
