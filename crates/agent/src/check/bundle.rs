//! The log bundle: logs, configuration and evidence in one `tar.gz`, without secrets.
//!
//! Text only; the agent's identity and key are never read. Every file is cut to its end, redacted,
//! and listed with size and digest in `manifest.json`, the last entry, next to what was left out and
//! why. Written straight to disk.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use model::limits::BUNDLE_BYTES_MAX;
use protocol::answer::{BundleInfo, CheckReport};
use ring::digest::{Context as Digest, SHA256, digest};
use serde::Serialize;

use super::subject::Subject;
use super::{Context, command, kernel, procfs, reading, redact, tail};

/// Most text of all files together: what is not compressible still fits, with the frames around it.
const TEXT_BYTES_MAX: u64 = BUNDLE_BYTES_MAX - (8 << 20);
/// Most of one file in standard mode, in bytes.
const FILE_BYTES_STANDARD: u64 = 256 << 10;
/// Most of one file in deep mode, in bytes.
const FILE_BYTES_DEEP: u64 = 4 << 20;
/// Processes of one agent of which the kernel is asked.
const PROCESSES_MAX: usize = 8;
/// Entries of the data directory that are listed.
const LISTED_MAX: usize = 1_000;
/// Small files that tell how the host is doing.
const EVIDENCE: [&str; 16] = [
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/stat",
    "/proc/mounts",
    "/proc/self/mountinfo",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/sys/fs/file-nr",
    "/proc/sys/kernel/pid_max",
    "/proc/net/route",
    "/proc/version",
    "/etc/os-release",
    "/etc/resolv.conf",
    "/etc/hosts",
];

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file cannot be written.
    #[error("the log bundle `{0}` cannot be written")]
    Write(PathBuf, #[source] io::Error),
    /// The thread that wrote it broke.
    #[error("the log bundle was not finished")]
    Broken(#[source] tokio::task::JoinError),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    format: u8,
    subject: String,
    problem_type: String,
    mode: u8,
    made: String,
    agent_version: &'static str,
    files: Vec<Entry>,
    left_out: Vec<LeftOut>,
}

/// One file of the bundle.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    bytes: u64,
    sha256: String,
    /// Secrets that were taken out.
    redacted: usize,
    /// Whether only its end is here.
    cut: bool,
}

#[derive(Serialize)]
struct LeftOut {
    name: String,
    why: String,
}

/// What goes into a bundle.
enum Source {
    File(PathBuf),
    Text(String, String),
    Absent(String, String),
}

/// Makes the bundle of these subjects in `work_dir`.
pub(super) async fn make(
    host: &Context,
    subjects: Vec<Arc<Context>>,
    report: &CheckReport,
    work_dir: &Path,
) -> Result<(PathBuf, BundleInfo), Error> {
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    let mut sources = vec![Source::Text("report.json".to_owned(), json)];
    let journals = subjects
        .iter()
        .map(|it| journals(it, folder(it, subjects.len())));
    sources.extend(
        futures_util::future::join_all(journals)
            .await
            .into_iter()
            .flatten(),
    );
    let mut manifest = Manifest {
        format: 1,
        subject: report.subject.clone(),
        problem_type: report.problem_type.clone(),
        mode: report.mode,
        made: protocol::stamp::format(host.now_ms),
        agent_version: env!("CARGO_PKG_VERSION"),
        files: Vec::new(),
        left_out: Vec::new(),
    };
    let path = work_dir.join(file_name(host.now_ms));
    let deep = host.deep;
    let writing = move || {
        let count = subjects.len();
        sources.extend(
            subjects
                .iter()
                .flat_map(|it| local(&it.subject, &folder(it, count))),
        );
        sources.extend(of_host(deep));
        let sources = without_repeats(sources);
        let bytes_max = if deep {
            FILE_BYTES_DEEP
        } else {
            FILE_BYTES_STANDARD
        };
        let written = write(&path, sources, &mut manifest, bytes_max);
        match written {
            Ok(info) => Ok((path, info)),
            Err(error) => {
                // Half a bundle helps nobody, and the disk may be full.
                std::fs::remove_file(&path).ok();
                Err(Error::Write(path, error))
            }
        }
    };
    tokio::task::spawn_blocking(writing)
        .await
        .map_err(Error::Broken)?
}

fn file_name(now_ms: i64) -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("bundle-{now_ms}-{}-{number}.tar.gz", std::process::id())
}

/// What stands before the names of a subject's parts: where there are several, its name.
fn folder(context: &Context, count: usize) -> String {
    if count > 1 {
        format!("{}/", context.subject.name)
    } else {
        String::new()
    }
}

/// What systemd and its journal say of the unit.
async fn journals(context: &Context, folder: String) -> Vec<Source> {
    let absent = |why: &str| {
        vec![Source::Absent(
            format!("{folder}unit/journal.txt"),
            why.to_owned(),
        )]
    };
    if !command::systemd_runs() {
        return absent("systemd does not run this host");
    }
    if context.subject.unit.is_empty() {
        return absent("the agent has no unit");
    }
    let unit = context.subject.unit.as_str();
    let lines = if context.deep { "5000" } else { "500" };
    let journal = [
        "-u",
        unit,
        "-n",
        lines,
        "--no-pager",
        "--utc",
        "-o",
        "short-iso",
    ];
    let limit_ms = if context.deep { 15_000 } else { 2_000 };
    let (show, cat) = (["show", "--no-pager", unit], ["cat", "--no-pager", unit]);
    let (journal, status, definition) = tokio::join!(
        command::output("journalctl", &journal, limit_ms),
        command::output("systemctl", &show, limit_ms),
        command::output("systemctl", &cat, limit_ms),
    );
    let named = [
        ("journal", journal),
        ("properties", status),
        ("definition", definition),
    ];
    named
        .into_iter()
        .map(|(name, output)| {
            let name = format!("{folder}unit/{name}.txt");
            match output {
                Ok(text) => Source::Text(name, text),
                Err(why) => Source::Absent(name, why),
            }
        })
        .collect()
}

/// The subject's own files, and what the kernel says of its processes. Private files stay where they
/// are, whatever else names them.
fn local(subject: &Subject, folder: &str) -> Vec<Source> {
    let configs = subject.configs.iter().map(|it| &it.path);
    let own = subject.log_files.iter().chain(configs).filter(|path| {
        !subject
            .private_files
            .iter()
            .any(|(private, _)| private == *path)
    });
    let mut sources: Vec<Source> = own.cloned().map(Source::File).collect();
    for pid in procfs::agents(subject).into_iter().take(PROCESSES_MAX) {
        let files = ["status", "limits", "cgroup", "stat"];
        sources.extend(files.map(|it| Source::File(format!("/proc/{pid}/{it}").into())));
    }
    let name = format!("{folder}data/listing.txt");
    sources.extend(subject.data_dirs.first().map(|it| listing(name, it)));
    sources
}

/// Files that tell how the host is doing.
fn of_host(deep: bool) -> Vec<Source> {
    let evidence = EVIDENCE.iter().map(|it| Source::File(PathBuf::from(it)));
    let mut sources: Vec<Source> = evidence.collect();
    sources.push(Source::Text(
        "host/processes.txt".to_owned(),
        process_list(),
    ));
    if deep {
        let name = "host/kernel.txt".to_owned();
        sources.push(match kernel::read() {
            Ok(lines) => {
                let lines = lines
                    .iter()
                    .map(|it| format!("[{}] {}\n", it.seconds, it.text));
                Source::Text(name, lines.collect())
            }
            Err(why) => Source::Absent(name, why),
        });
    }
    sources
}

/// Two agents may share a file.
fn without_repeats(sources: Vec<Source>) -> Vec<Source> {
    let mut seen = BTreeSet::new();
    let is_new = |it: &Source| match it {
        Source::File(path) => seen.insert(path.clone()),
        Source::Text(..) | Source::Absent(..) => true,
    };
    sources.into_iter().filter(is_new).collect()
}

/// Names and numbers only: command lines are not needed to see which process is large.
fn process_list() -> String {
    let all = procfs::processes();
    let line = |it: &procfs::Process| format!("{} {} {} {}\n", it.pid, it.state, it.ticks, it.name);
    let lines: String = all.iter().map(line).collect();
    let largest = procfs::largest(10).join("\n");
    format!("{largest}\n\nprocess state cpu_ticks name\n{lines}")
}

/// Modes, owners and sizes in the data directory.
fn listing(name: String, dir: &Path) -> Source {
    let rows = |dir: &File| -> io::Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(dir)?.flatten();
        let rows = entries.take(LISTED_MAX).filter_map(|entry| {
            let file_name = entry.file_name().to_str().ok()?;
            let of_itself = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let it = rustix::fs::statat(dir, file_name, of_itself).ok()?;
            let (mode, uid, size) = (it.st_mode, it.st_uid, it.st_size);
            let is_entry = !matches!(file_name, "." | "..");
            is_entry.then(|| format!("{mode:06o} {uid} {size} {file_name}\n"))
        });
        Ok(rows.collect())
    };
    match reading::directory(dir).and_then(|it| rows(&it)) {
        Ok(mut lines) => {
            lines.sort();
            Source::Text(name, lines.concat())
        }
        Err(error) => Source::Absent(name, error.to_string()),
    }
}

fn write(
    path: &Path,
    sources: Vec<Source>,
    manifest: &mut Manifest,
    bytes_max: u64,
) -> io::Result<BundleInfo> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let measured = Measured {
        file,
        bytes: 0,
        digest: Digest::new(&SHA256),
    };
    let mut archive = tar::Builder::new(GzEncoder::new(measured, Compression::default()));
    let mut total = 0;
    for source in sources {
        let (name, text, cut) = match read(source, bytes_max) {
            Ok(read) => read,
            Err(left_out) => {
                manifest.left_out.push(left_out);
                continue;
            }
        };
        let (text, redacted) = redact::redact(&text);
        let bytes = length(text.as_bytes());
        if total + bytes > TEXT_BYTES_MAX {
            let why = "the bundle is full".to_owned();
            manifest.left_out.push(LeftOut { name, why });
            continue;
        }
        total += bytes;
        append(&mut archive, &name, text.as_bytes())?;
        let sha256 = data_encoding::HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref());
        manifest.files.push(Entry {
            name,
            bytes,
            sha256,
            redacted,
            cut,
        });
    }
    let json = serde_json::to_vec_pretty(manifest)?;
    append(&mut archive, "manifest.json", &json)?;
    let mut measured = archive.into_inner()?.finish()?;
    measured.flush()?;
    Ok(BundleInfo {
        bytes: measured.bytes,
        sha256: data_encoding::HEXLOWER.encode(measured.digest.finish().as_ref()),
    })
}

/// Name, text and whether it was cut.
fn read(source: Source, bytes_max: u64) -> Result<(String, String, bool), LeftOut> {
    match source {
        Source::Absent(name, why) => Err(LeftOut { name, why }),
        Source::File(path) => {
            let name = format!("files{}", path.display());
            match tail::read(&path, bytes_max) {
                Ok((text, cut)) => Ok((name, text, cut)),
                Err(error) => Err(LeftOut {
                    name,
                    why: error.to_string(),
                }),
            }
        }
        Source::Text(name, text) => {
            let max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
            let start = text.len().saturating_sub(max);
            let start = (start..=text.len())
                .find(|it| text.is_char_boundary(*it))
                .unwrap_or(0);
            let kept = text.get(start..).unwrap_or_default();
            // The report is needed whole; it has a limit of its own.
            if start == 0 || name == "report.json" {
                Ok((name, text, false))
            } else {
                let whole = kept.split_once('\n').map_or(kept, |it| it.1);
                Ok((name, whole.to_owned(), true))
            }
        }
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(length(bytes));
    header.set_mode(0o600);
    archive.append_data(&mut header, name, bytes)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Counts and digests what is written to a file.
struct Measured {
    file: File,
    bytes: u64,
    digest: Digest,
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.file.write(bytes)?;
        self.digest.update(bytes.get(..size).unwrap_or_default());
        self.bytes += length(bytes.get(..size).unwrap_or_default());
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
