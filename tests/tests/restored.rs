//! Guests that are restored from a saved state: the same each time, also when two
//! runs make it at once; and what happens when it cannot be used.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels), so they run when asked for:
//! cargo test --test restored -- --ignored

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};

use halfopen_tests::{program, root};
use halfopen_vm::kernels;
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(2);
    let trials = [
        Trial::test("the_same_on_every_kernel", the_same),
        Trial::test("two_runs_make_it_at_once", two_at_once),
        Trial::test("what_cannot_be_used_is_not", unusable),
        Trial::test("somebody_elses_directory_is_not_used", not_alone),
    ];
    let trials = trials.map(|trial| trial.with_ignored_flag(true));
    libtest_mimic::run(&args, trials.into()).exit_code()
}

/// The catalogue's cases with the kernel's defaults, on `kernel`; states are kept in
/// `states`.
fn start(states: &Path, kernel: &str) -> std::io::Result<std::process::Child> {
    let words = "run keepalive-default-values --time virtual --format json --kernel";
    program::command(&program::halfopen(), &root())
        .args(words.split(' '))
        .arg(kernel)
        .env("HALFOPEN_STATES", states)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
}

/// Its outcomes, without the one line that is real time; and what it said besides.
fn outcomes(output: &Output) -> Result<(String, String), Failed> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{}: {said}", output.status).into());
    }
    let json = String::from_utf8_lossy(&output.stdout);
    let lines = json.lines().filter(|line| !line.contains("\"elapsed_ns\""));
    Ok((lines.collect::<Vec<_>>().join("\n"), said))
}

fn run(states: &Path, kernel: &str) -> Result<(String, String), Failed> {
    outcomes(&start(states, kernel)?.wait_with_output()?)
}

/// The states that are there.
fn files(states: &Path) -> Result<Vec<PathBuf>, Failed> {
    let all: Result<Vec<_>, _> = fs::read_dir(states)?.collect();
    let paths = all?.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| !path.ends_with("lock")).collect())
}

fn directory() -> Result<(TempDir, PathBuf), Failed> {
    let above = tempfile::tempdir()?;
    let states = above.path().join("states");
    Ok((above, states))
}

fn newest() -> Result<String, Failed> {
    let newest = kernels::find().kernels.pop();
    newest
        .map(|kernel| kernel.release)
        .ok_or_else(|| "there is no kernel here\n  cure: ci/kernels".into())
}

fn expect(what: bool, words: &str) -> Result<(), Failed> {
    what.then_some(()).ok_or_else(|| words.into())
}

fn the_same() -> Result<(), Failed> {
    let (_above, states) = directory()?;
    for kernel in kernels::find().kernels {
        let (made, said) = run(&states, &kernel.release)?;
        expect(said.contains("to restore"), &said)?;
        let (again, said) = run(&states, &kernel.release)?;
        expect(said.contains("to restore"), &said)?;
        expect(
            made == again,
            &format!("{}: two runs differ", kernel.release),
        )?;
    }
    let files = files(&states)?;
    expect(
        files.len() == kernels::find().kernels.len(),
        &format!("{files:?}"),
    )?;
    for file in files {
        let found = fs::metadata(&file)?;
        // Its memory has holes, and nobody else can read it.
        expect(
            found.blocks() * 512 < found.len() / 2 && found.mode() & 0o077 == 0,
            &format!("{}: {found:?}", file.display()),
        )?;
    }
    let mut clear = program::command(&program::halfopen(), &root());
    clear.args(["kernels", "--clear-states"]);
    let cleared = clear.env("HALFOPEN_STATES", &states).output()?;
    expect(cleared.status.success(), &format!("{cleared:?}"))?;
    expect(self::files(&states)?.is_empty(), "there are states left")
}

fn two_at_once() -> Result<(), Failed> {
    let (_above, states) = directory()?;
    let kernel = newest()?;
    let both = [start(&states, &kernel)?, start(&states, &kernel)?];
    let both = both.map(|child| child.wait_with_output());
    let mut seen = Vec::new();
    for output in both {
        let (json, said) = outcomes(&output?)?;
        expect(said.contains("to restore"), &said)?;
        seen.push(json);
    }
    expect(seen[0] == seen[1], "two runs differ")?;
    expect(files(&states)?.len() == 1, "two states were kept")
}

/// A damaged one is noticed, and not used again; a short one is made anew.
fn unusable() -> Result<(), Failed> {
    let (_above, states) = directory()?;
    let kernel = newest()?;
    run(&states, &kernel)?;
    let one = || -> Result<File, Failed> {
        let path = files(&states)?.pop().ok_or("there is no state")?;
        Ok(File::options().read(true).write(true).open(path)?)
    };
    let file = one()?;
    // A byte that is not zero, in the kernel's own code: it is loaded at 16 MiB.
    let mut bytes = vec![0; 1 << 20];
    file.read_exact_at(&mut bytes, 16 << 20)?;
    let at = bytes.iter().position(|byte| *byte != 0);
    let at = at.ok_or("there is no kernel in the state")?;
    file.write_all_at(&[!bytes[at]], (16 << 20) + at as u64)?;
    let (_, said) = run(&states, &kernel)?;
    expect(
        said.contains("damaged") && !said.contains("to restore"),
        &said,
    )?;
    expect(
        files(&states)?.is_empty(),
        "the damaged state is still there",
    )?;
    let (_, said) = run(&states, &kernel)?;
    expect(said.contains("to restore"), &said)?;

    one()?.set_len(300 << 20)?;
    let (_, said) = run(&states, &kernel)?;
    expect(said.contains("to restore"), &said)
}

fn not_alone() -> Result<(), Failed> {
    let (_above, states) = directory()?;
    fs::create_dir(&states)?;
    fs::set_permissions(&states, Permissions::from_mode(0o755))?;
    let (_, said) = run(&states, &newest()?)?;
    expect(
        said.contains("alone") && !said.contains("to restore"),
        &said,
    )?;
    expect(files(&states)?.is_empty(), "something was kept in it")
}
