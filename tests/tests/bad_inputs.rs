//! Every file of `fixtures/bad` and `fixtures/bad-baselines` is refused with a
//! message a person can act on: file, line, the line itself, what was expected.
//! The snapshots are the messages.

use std::fs;
use std::path::{Path, PathBuf};

use halfopen_outcome::baseline;
use halfopen_scenario::{InputErrors, load};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bad")
}

fn refused(path: &Path) -> InputErrors {
    match load(path) {
        Err(errors) => errors,
        Ok(_) => panic!(
            "{} was accepted; every file of fixtures/bad must be refused",
            path.display()
        ),
    }
}

/// The message without the machine's paths.
fn message(errors: &InputErrors, path: &Path) -> String {
    let directory = path.parent().expect("a file has a directory");
    errors
        .to_string()
        .replace(&format!("{}/", directory.display()), "")
}

fn snapshot(name: &str, text: &str) {
    snapshot_in("bad_inputs", name, text);
}

fn snapshot_in(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path(format!("snapshots/{folder}"));
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_bad_file_is_refused_with_its_line() {
    let files = files_of(&directory());
    assert!(
        files.len() >= 40,
        "only {} files in fixtures/bad",
        files.len()
    );
    for path in files {
        let name = stem(&path);
        let errors = refused(&path);
        assert!(!errors.problems().is_empty(), "{name}: no problem");
        for problem in errors.problems() {
            assert!(problem.span.line > 0, "{name}: no line in {problem:?}");
            assert!(
                problem.expected.is_some(),
                "{name}: nothing expected in {problem:?}"
            );
            let length = fs::metadata(&path).expect("the file is there").len();
            assert!(
                length == 0 || !problem.snippet.is_empty(),
                "{name}: no snippet in {problem:?}"
            );
        }
        let text = message(&errors, &path);
        assert!(
            !text.contains('\u{1b}'),
            "{name}: a control character reaches the terminal"
        );
        snapshot(&name, &text);
    }
}

fn files_of(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the fixtures are in the repository")
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().expect("a file has a name");
    stem.to_string_lossy().into_owned()
}

#[test]
fn every_bad_baseline_is_refused_with_its_line() {
    let directory = directory().with_file_name("bad-baselines");
    let files = files_of(&directory);
    assert!(files.len() >= 20, "only {} files", files.len());
    for path in files {
        let name = stem(&path);
        let text = fs::read_to_string(&path).expect("the file is there");
        let Err(errors) = baseline::read(&path, &text) else {
            panic!("{name} was accepted");
        };
        for problem in errors.problems() {
            assert!(problem.span.line > 0, "{name}: no line in {problem:?}");
            assert!(problem.expected.is_some(), "{name}: nothing expected");
        }
        snapshot_in("bad_baselines", &name, &message(&errors, &path));
    }
}

#[test]
fn a_missing_file_is_named() {
    let path = directory().join("no-such-file.yaml");
    snapshot("file-missing", &message(&refused(&path), &path));
}

#[test]
fn a_directory_is_not_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("scenarios");
    fs::create_dir(&path).expect("an empty directory takes a directory");
    snapshot("file-directory", &message(&refused(&path), &path));
}

#[test]
fn a_huge_file_is_not_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("huge.yaml");
    // Sparse: 1 GiB that takes no room.
    fs::File::create(&path)
        .and_then(|file| file.set_len(1 << 30))
        .expect("room for an empty file");
    snapshot("file-huge", &message(&refused(&path), &path));
}

#[test]
fn a_device_without_end_is_not_read_to_its_end() {
    let path = Path::new("/dev/zero");
    let text = refused(path).to_string();
    assert!(text.contains("too large"), "{text}");
}
