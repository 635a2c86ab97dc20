//! Commands that a guest runs alone: streams, exit codes, files, test programs that
//! become guests by themselves.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels), so they run when asked for:
//! cargo test --test guest_command -- --ignored

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use halfopen_tests::program;
use nix::pty::openpty;

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

/// As cargo and nextest use a runner: a list first, then each test by its name.
#[test]
#[ignore = "needs QEMU and kernels"]
fn a_list_and_each_test_in_a_process_of_its_own() -> Tested {
    let tests = program::tests("attribute");
    let run = |words: &[&str]| exec().arg(&tests).args(words).output();
    let list = run(&["--list", "--format", "terse"])?;
    let here = Command::new(&tests)
        .args(["--list", "--format", "terse"])
        .output()?;
    assert_eq!((&list.stdout, list.status.code()), (&here.stdout, Some(0)));
    let listed = text(&list.stdout);
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let mut count = 0;
    for name in names.filter(|name| !name.contains("::")) {
        let output = run(&[name, "--exact", "--nocapture"])?;
        let shown = text(&output.stdout);
        assert!(shown.contains("1 passed"), "{name}: {shown}");
        count += 1;
    }
    assert_eq!(count, 2, "{listed}");
    Ok(())
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn snapshots_and_files_below_target_are_written_back() -> Tested {
    let workspace = tempfile::tempdir()?;
    let name = "inside::fails_without_a_place_for_its_snapshot";
    let word = format!("{:?}", std::time::SystemTime::now());
    let output = exec()
        .arg(program::tests("attribute"))
        .args([name, "--exact", "--ignored"])
        .current_dir(workspace.path())
        .env("INSTA_WORKSPACE_ROOT", workspace.path())
        .env("INSTA_UPDATE", "always")
        .env("INSTA_FORCE_PASS", "1")
        .env("WORD", &word)
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let snapshots = workspace.path().join("tests/tests/snapshots");
    let snapshot = fs::read_to_string(snapshots.join("attribute__inside__place.snap"))?;
    assert!(snapshot.ends_with("true\n"), "{snapshot}");
    let below_target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("written-by-a-test");
    assert_eq!(fs::read_to_string(below_target)?, word);
    Ok(())
}

/// libtest colours what a terminal gets.
#[test]
#[ignore = "needs QEMU and kernels"]
fn a_terminal_stays_one() -> Tested {
    let terminal = openpty(None, None)?;
    let end = || -> std::io::Result<Stdio> { Ok(terminal.slave.try_clone()?.into()) };
    let mut command = exec();
    command
        .arg(program::tests("attribute"))
        .args(["a_test_can_build_a_lab", "--exact"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    command.stdin(end()?).stdout(end()?).stderr(end()?);
    let mut child = command.spawn()?;
    drop((command, terminal.slave));
    let mut shown = Vec::new();
    // Ends with EIO when nobody has the other end any more.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    let shown = text(&shown);
    assert!(child.wait()?.success(), "{shown}");
    assert!(shown.contains("\u{1b}[32mok"), "{shown:?}");
    Ok(())
}

/// As in a container without privileges: no capability, and no user namespaces.
fn without_privileges(program: &Path) -> Command {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
        exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
    command.arg(program);
    command
}

#[test]
#[ignore = "needs QEMU and kernels"]
fn a_container_without_privileges_is_enough_for_a_guest() -> Tested {
    let tests = program::tests("attribute");
    let lab = without_privileges(&tests)
        .args(["a_test_can_build_a_lab", "--exact"])
        .output()?;
    let said = text(&lab.stderr);
    assert!(!lab.status.success() && said.contains("cure: "), "{lab:?}");
    let guest = without_privileges(&program::halfopen())
        .args(["exec", "--time", "virtual", "--"])
        .arg(&tests)
        .args(["a_test_can_build_a_lab", "--exact"])
        .output()?;
    let shown = text(&guest.stdout);
    assert!(shown.contains("1 passed"), "{guest:?}");
    Ok(())
}
