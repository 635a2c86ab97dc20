//! Commands that a guest runs alone: streams, exit codes, files, test programs that
//! become guests by themselves.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels), so they run when asked for:
//! cargo test --test guest_command -- --ignored

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use halfopen_tests::program;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// `halfopen exec` on the newest kernel.
fn exec() -> Command {
    let mut command = Command::new(program::halfopen());
    command.args(["exec", "--time", "virtual", "--"]);
    command
}

/// Runs `script` by a shell in a guest, with this input.
fn shell(script: &str, input: &str) -> std::io::Result<Output> {
    let mut child = exec()
        .args(["sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input.as_bytes())?;
    child.wait_with_output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn streams_environment_and_exit_code_are_passed_through() -> Tested {
    let script = "read line; echo \"$line in $(pwd)\"; echo problem >&2; sleep 8000; exit 7";
    let output = shell(script, "hello\nnobody reads this\n")?;
    let here = std::env::current_dir()?;
    assert_eq!(
        text(&output.stdout),
        format!("hello in {}\n", here.display())
    );
    assert_eq!(text(&output.stderr), "problem\n");
    assert_eq!(output.status.code(), Some(7));
    // Output that does not fit into any buffer, and a signal.
    let output = shell("head -c 3000000 /dev/zero; kill -KILL $$", "")?;
    assert_eq!(
        (output.stdout.len(), output.status.code()),
        (3_000_000, Some(137))
    );
    Ok(())
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn what_is_written_reaches_this_machine_where_it_may() -> Tested {
    let folder = tempfile::tempdir()?;
    let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&inside)?;
    fs::create_dir(&outside)?;
    fs::write(inside.join("old"), "old")?;
    let script = "set -e; mkdir made; echo new > made/file; mv made/file made/named; \
        echo more >> old; ln -s old link; echo lost > ../out/file; cat ../out/file; chmod 600 old; \
        truncate -s 5 old; rm -f nothing; touch gone; rm gone";
    let output = exec()
        .args(["sh", "-c", script])
        .current_dir(&inside)
        .output()?;
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("lost\n".into(), String::new())
    );
    assert_eq!(fs::read_to_string(inside.join("made/named"))?, "new\n");
    assert_eq!(fs::read_to_string(inside.join("link"))?, "oldmo");
    assert!(!inside.join("gone").exists() && !outside.join("file").exists());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn what_cannot_be_started_or_does_not_end_is_said() -> Tested {
    let output = exec().arg("/nowhere").output()?;
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("/nowhere"), "{output:?}");
    let mut command = Command::new(program::halfopen());
    command.args([
        "exec",
        "--time",
        "virtual",
        "--give-up",
        "1h",
        "--",
        "sleep",
        "8000",
    ]);
    let output = command.output()?;
    assert_eq!(output.status.code(), Some(124));
    assert!(text(&output.stderr).contains("--give-up"), "{output:?}");
    Ok(())
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn tests_with_the_attribute_run_in_guests_of_their_own() -> Tested {
    let run = |words: &[&str]| {
        Command::new(program::tests("attribute"))
            .args(words)
            .env("HALFOPEN", program::halfopen())
            .output()
    };
    let output = run(&["--include-ignored", "--skip", "fails"])?;
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success() && shown.contains("4 passed"),
        "{shown}"
    );
    let output = run(&["--ignored", "--exact", "inside::fails"])?;
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(101));
    assert!(
        shown.contains("as it should"),
        "the guest's output: {shown}"
    );
    Ok(())
}

/// The tests of `hosts.rs`, which know nothing of guests, by libtest's arguments.
#[test]
#[ignore = "needs QEMU and kernels"]
fn a_test_program_becomes_a_guest() -> Tested {
    let tests = program::tests("hosts");
    let run = |time: &str| {
        Command::new(&tests)
            .args(["--ignored", "--nocapture", "--test-threads=2"])
            .env("HALFOPEN_TIME", time)
            .env("HALFOPEN", program::halfopen())
            .output()
    };
    let (first, second) = (run("virtual")?, run("virtual")?);
    let shown = text(&first.stdout);
    assert!(first.status.success(), "{shown}{}", text(&first.stderr));
    assert!(shown.contains("keepalive ended it after 79"), "{shown}");
    assert_eq!(
        shown,
        text(&second.stdout),
        "two runs are the same to the nanosecond"
    );
    let wrong = run("virtuel")?;
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    // A cure where the command is not found.
    let lost = Command::new(&tests)
        .env("HALFOPEN_TIME", "virtual")
        .env("HALFOPEN", "/nowhere/halfopen")
        .output()?;
    assert_eq!(lost.status.code(), Some(3));
    assert!(text(&lost.stderr).contains("cure: "), "{lost:?}");
    Ok(())
}
