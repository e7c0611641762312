use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::check::tests::own;

fn unpack(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = flate2::read::GzDecoder::new(File::open(path).unwrap());
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

#[tokio::test]
async fn the_manifest_lists_what_is_in_the_bundle_and_no_secret_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("agent.log");
    std::fs::write(&log, "INFO start\nINFO token=abcdef\n".repeat(20_000)).unwrap();
    std::fs::write(dir.path().join("identity.json"), "never").unwrap();
    let mut subject = own(dir.path(), None);
    subject.log_files = vec![log.clone(), dir.path().join("missing.log")];
    let context = Arc::new(Context {
        subject,
        detected: Arc::default(),
        running: Arc::default(),
        problem: "crash".into(),
        deep: false,
        clock_offset_ms: None,
        now_ms: 1_795_486_571_000,
    });
    let (path, info) = make(
        &context,
        vec![Arc::clone(&context)],
        &CheckReport::default(),
        dir.path(),
    )
    .await
    .unwrap();

    let packed = std::fs::read(&path).unwrap();
    assert_eq!(
        info,
        BundleInfo {
            bytes: packed.len() as u64,
            sha256: sha256(&packed)
        }
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let mut files = unpack(&path);
    let manifest: serde_json::Value =
        serde_json::from_slice(&files.remove("manifest.json").unwrap()).unwrap();
    assert_eq!(manifest["made"], "2026-11-24T02:16:11Z");
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len(), files.len());
    for entry in listed {
        let bytes = &files[entry["name"].as_str().unwrap()];
        assert_eq!(entry["bytes"], bytes.len(), "{entry}");
        assert_eq!(entry["sha256"], sha256(bytes), "{entry}");
    }

    let name = format!("files{}", log.display());
    let text = String::from_utf8(files[&name].clone()).unwrap();
    assert!(
        text.starts_with("INFO ") && text.contains("token=[redacted]") && !text.contains("abcdef")
    );
    let entry = listed.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(entry["cut"], true);
    assert_eq!(entry["redacted"], text.matches(redact::REDACTED).count());
    assert!(files.contains_key("report.json") && files.contains_key("files/proc/meminfo"));
    assert!(!files.values().any(|it| it == b"never"));
    let left_out = manifest["leftOut"].as_array().unwrap();
    assert!(
        left_out
            .iter()
            .any(|it| it["name"].as_str().unwrap().ends_with("missing.log"))
    );
}

#[tokio::test]
async fn a_link_in_the_agents_log_directory_brings_no_file_that_only_root_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, secret) = (dir.path().join("logs"), dir.path().join("secret"));
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(&secret, "root:$6$hash").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let log = logs.join("agent.log");
    std::os::unix::fs::symlink(&secret, &log).unwrap();
    if std::os::unix::fs::chown(&logs, Some(4_711), None).is_err() {
        return;
    }
    let mut subject = own(dir.path(), None);
    subject.log_files = vec![log];
    let context = Arc::new(Context {
        subject,
        detected: Arc::default(),
        running: Arc::default(),
        problem: "crash".into(),
        deep: false,
        clock_offset_ms: None,
        now_ms: 0,
    });
    let subjects = vec![Arc::clone(&context)];
    let (path, _) = make(&context, subjects, &CheckReport::default(), dir.path())
        .await
        .unwrap();
    let files = unpack(&path);
    assert!(!files.keys().any(|it| it.ends_with("agent.log")));
    let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let left_out = manifest["leftOut"].as_array().unwrap();
    let why = left_out
        .iter()
        .find(|it| it["name"].as_str().unwrap().ends_with("agent.log"))
        .map(|it| it["why"].as_str().unwrap());
    assert!(why.unwrap().contains("user 4711"), "{why:?}");
}

#[test]
fn long_text_is_cut_to_whole_lines_at_its_end() {
    let source = |text: &str| Source::Text("x".into(), text.into());
    let (_, text, cut) = read(source("erste\nzweite ä\ndritte\n"), 12).ok().unwrap();
    assert_eq!((text.as_str(), cut), ("dritte\n", true));
    let (_, text, cut) = read(source("kurz"), 12).ok().unwrap();
    assert_eq!((text.as_str(), cut), ("kurz", false));
}

#[tokio::test]
async fn without_a_place_to_write_there_is_no_bundle_and_the_error_names_it() {
    let context = Arc::new(Context {
        subject: own("/nonexistent".as_ref(), None),
        detected: Arc::default(),
        running: Arc::default(),
        problem: "other".into(),
        deep: false,
        clock_offset_ms: None,
        now_ms: 0,
    });
    let made = make(
        &context,
        Vec::new(),
        &CheckReport::default(),
        Path::new("/nonexistent"),
    )
    .await;
    assert!(
        made.unwrap_err()
            .to_string()
            .contains("/nonexistent/bundle-")
    );
}
