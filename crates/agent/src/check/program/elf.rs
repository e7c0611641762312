//! What an ELF file asks of the loader: elf(5), read with bounds. Little-endian files only, as all
//! platforms that we run on are.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Pairs of a machine and another whose programs it may run too: x86-64 and i386, AArch64 and ARM.
pub(super) const COMPATIBLE: [(u16, u16); 2] = [(62, 3), (183, 40)];
/// Program headers that are read.
const HEADERS_MAX: u64 = 128;
/// Largest dynamic section and table of strings that are read, in bytes.
const TABLE_BYTES_MAX: u64 = 8 << 20;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// Why a file cannot be read as ELF.
#[derive(Debug)]
pub(super) enum Error {
    /// It is something else.
    NoElf,
    /// It is ELF, and less than its headers say.
    Cut,
    /// It cannot be read.
    Unreadable,
}

/// What one file asks of the loader.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) is_64: bool,
    pub(super) machine: u16,
    /// The dynamic loader; `None`: it is static, or a library.
    pub(super) interpreter: Option<PathBuf>,
    /// Names of the libraries that it needs.
    pub(super) needed: Vec<String>,
    /// `DT_RPATH` and `DT_RUNPATH`, unexpanded.
    pub(super) search: Vec<String>,
}

/// A program header.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf {
    pub(super) fn read(file: &File) -> Result<Self, Error> {
        let length = file.metadata().map_err(|_| Error::Unreadable)?.len();
        let mut ident = [0; 20];
        match file.read_exact_at(&mut ident, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Error::NoElf),
            other => other.map_err(|_| Error::Unreadable)?,
        }
        let is_64 = match ident {
            [0x7f, b'E', b'L', b'F', 2, 1, ..] => true,
            [0x7f, b'E', b'L', b'F', 1, 1, ..] => false,
            _ => return Err(Error::NoElf),
        };
        let head = bytes(file, 0, if is_64 { 64 } else { 52 })?;
        let field = |at_64, at_32, size_64| {
            let (at, size) = if is_64 { (at_64, size_64) } else { (at_32, 4) };
            number(&head, at, size).ok_or(Error::Cut)
        };
        let offset = field(32, 28, 8)?;
        let half =
            |at_64, at_32| number(&head, if is_64 { at_64 } else { at_32 }, 2).ok_or(Error::Cut);
        let (entry, count) = (half(54, 42)?, half(56, 44)?);
        let mut elf = Self {
            is_64,
            machine: u16::from_le_bytes([ident[18], ident[19]]),
            ..Self::default()
        };
        let table = bytes(file, offset, entry.saturating_mul(count.min(HEADERS_MAX)))?;
        let step = usize::try_from(entry).unwrap_or(0).max(1);
        let segments: Vec<Segment> = table
            .chunks_exact(step)
            .filter_map(|it| segment(it, is_64))
            .collect();
        let ends = segments.iter().filter(|it| it.kind == PT_LOAD);
        if ends.map(|it| it.offset.saturating_add(it.size)).max() > Some(length) {
            return Err(Error::Cut);
        }
        if let Some(it) = segments.iter().find(|it| it.kind == PT_INTERP) {
            let path = bytes(file, it.offset, it.size)?;
            let path = path.split(|it| *it == 0).next().unwrap_or_default();
            elf.interpreter = Some(std::ffi::OsString::from_vec(path.to_vec()).into());
        }
        if let Some(it) = segments.iter().find(|it| it.kind == PT_DYNAMIC) {
            elf.read_dynamic(file, it, &segments)?;
        }
        Ok(elf)
    }

    fn read_dynamic(
        &mut self,
        file: &File,
        dynamic: &Segment,
        segments: &[Segment],
    ) -> Result<(), Error> {
        let word = if self.is_64 { 8 } else { 4 };
        let table = bytes(file, dynamic.offset, dynamic.size)?;
        let rows: Vec<(u64, u64)> = table
            .chunks_exact(word * 2)
            .filter_map(|it| Some((number(it, 0, word)?, number(it, word, word)?)))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        let value = |tag| rows.iter().find(|it| it.0 == tag).map(|it| it.1);
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
            return Ok(());
        };
        let holder = segments.iter().find(|it| {
            it.kind == PT_LOAD
                && (it.address..it.address.saturating_add(it.size)).contains(&address)
        });
        let Some(holder) = holder else {
            return Err(Error::Cut);
        };
        let offset = holder.offset.saturating_add(address - holder.address);
        let strings = bytes(file, offset, size)?;
        let text = |at: u64| {
            let rest = strings.get(usize::try_from(at).ok()?..)?;
            let word = rest.split(|it| *it == 0).next()?;
            std::str::from_utf8(word).ok().map(str::to_owned)
        };
        for (tag, at) in rows {
            match tag {
                DT_NEEDED => self.needed.extend(text(at)),
                DT_RPATH | DT_RUNPATH => self.search.extend(text(at)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn segment(bytes: &[u8], is_64: bool) -> Option<Segment> {
    let word = if is_64 { 8 } else { 4 };
    let (offset, address, size) = if is_64 { (8, 16, 32) } else { (4, 8, 16) };
    Some(Segment {
        kind: number(bytes, 0, 4)?,
        offset: number(bytes, offset, word)?,
        address: number(bytes, address, word)?,
        size: number(bytes, size, word)?,
    })
}

fn bytes(file: &File, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
    let size = usize::try_from(size.min(TABLE_BYTES_MAX)).unwrap_or(0);
    let mut bytes = vec![0; size];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Cut),
        Err(_) => Err(Error::Unreadable),
    }
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(size)?)?;
    Some(
        part.iter()
            .rev()
            .fold(0, |sum, it| sum << 8 | u64::from(*it)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_needs_is_read() {
        let elf = Elf::read(&File::open("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.is_64);
        if elf.interpreter.is_some() {
            assert!(
                elf.needed.iter().any(|it| it.starts_with("libc")),
                "{elf:?}"
            );
        }
    }

    #[test]
    fn files_that_are_not_elf_or_are_cut_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Elf::read(&File::open(&path).unwrap())
        };
        assert!(matches!(read(b"#!/bin/sh\n"), Err(Error::NoElf)));
        assert!(matches!(read(b"\x7fELF\x02\x01"), Err(Error::NoElf)));
        let mut head = [0_u8; 20];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert!(matches!(read(&head), Err(Error::Cut)));
        // Sizes near the end of the range, in every field.
        let own = std::fs::read("/proc/self/exe").unwrap();
        for at in 16..2_048 {
            let mut odd = own[..8_192].to_vec();
            odd[at..at + 8].fill(0xff);
            drop(read(&odd));
        }
    }

    #[test]
    fn a_broken_program_is_survived() {
        let mut sample = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        sample.extend(0_u64.to_le_bytes());
        sample.extend(64_u64.to_le_bytes());
        sample.extend([0; 12]);
        sample.extend([64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
        for kind in [3_u32, 2] {
            sample.extend(kind.to_le_bytes());
            sample.extend(4_u32.to_le_bytes());
            for number in [176_u64, 0, 0, 32, 32, 8] {
                sample.extend(number.to_le_bytes());
            }
        }
        sample.extend([1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0].repeat(2));
        let path = tempfile::NamedTempFile::new().unwrap();
        crate::fuzz::bytes("programs", &[&sample], |it| {
            std::fs::write(path.path(), it).unwrap();
            drop(Elf::read(&File::open(path.path()).unwrap()));
        });
    }
}
