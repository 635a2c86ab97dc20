//! The programs that are tested, as cargo built them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The `halfopen` command.
///
/// # Panics
/// When it has not been built; the message says how to.
pub fn halfopen() -> PathBuf {
    built("halfopen", "halfopen")
}

/// A program of the fixtures.
///
/// # Panics
/// As [`halfopen`].
pub fn fixture(name: &str) -> PathBuf {
    built("halfopen-fixtures", name)
}

/// Cargo tells only a package's own tests where its programs are
/// (CARGO_BIN_EXE_*); these lie beside the folder of the test's program.
fn built(package: &str, name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|e| panic!("which program is this? {e}"));
    let profile = test.parent().and_then(Path::parent);
    let profile = profile.expect("a test lies in target/<profile>/deps");
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is not there: this test runs the program that\n    cargo build -p {package}\nbuilds",
        program.display()
    );
    program
}

/// The program of a file of `tests/`, the newest one.
///
/// # Panics
/// When it has not been built; the message says how to.
pub fn tests(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_else(|e| panic!("which program is this? {e}"));
    let folder = own.parent().expect("a test lies in target/<profile>/deps");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let built = entries.filter(|entry| {
        let file = entry.file_name().to_string_lossy().into_owned();
        file.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    let modified = |entry: &std::fs::DirEntry| entry.metadata().and_then(|of| of.modified()).ok();
    let newest = built.max_by_key(modified).map(|entry| entry.path());
    newest.unwrap_or_else(|| {
        panic!("this test runs the program that\n    cargo test --test {name} --no-run\nbuilds")
    })
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; None: a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// From what std says.
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// Exit code, standard output, standard error: for snapshots.
impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "--- {name}\n{text}")?;
            }
        }
        Ok(())
    }
}

/// Runs `program` in `folder`, with a log's width and no colours.
///
/// # Panics
/// When it cannot be started.
pub fn run<I: AsRef<OsStr>>(program: &Path, folder: &Path, words: &[I]) -> Ran {
    let output = command(program, folder).args(words).output();
    Ran::of(&output.unwrap_or_else(|e| panic!("cannot start {}: {e}", program.display())))
}

/// The same, not yet started.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS");
    command
}
