//! `halfopen exec`.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Runs halfopen in a folder as a user without privileges: as the caller, unless that is
/// root.
pub(crate) fn as_ordinary_user(folder: &TempDir, words: &[&str]) -> Ran {
    if !nix::unistd::geteuid().is_root() {
        return program::run(&halfopen(), folder.path(), words);
    }
    // target/ may be root's alone.
    let copy = folder.path().join("halfopen");
    std::fs::copy(halfopen(), &copy).expect("copied");
    for path in [folder.path(), &copy] {
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, everybody).expect("its owner may");
    }
    let output = program::command(Path::new("setpriv"), folder.path())
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy)
        .args(words)
        .output();
    Ran::of(&output.expect("setpriv starts"))
}

/// The README's example, with a fault that redis-cli notices at once.
#[test]
fn exec_runs_redis_as_an_ordinary_user() {
    if !installed(&signs::REDIS) {
        return;
    }
    let ran = as_ordinary_user(
        &tempfile::tempdir().expect("a folder"),
        &[
            "exec",
            "--server",
            "redis-server --port 7000 --protected-mode no",
            "--fault",
            "kill server @1s",
            "--",
            "redis-cli",
            "-h",
            "server",
            "-p",
            "7000",
            "SUBSCRIBE",
            "news",
        ],
    );
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("subscribe"), "{ran}");
    for word in [
        "Error: Server closed the connection",
        "first sign: EOF by client's recvfrom",
        "predicted: EOF by client's recvfrom",
        "keepalive 15 s/5 s/3",
    ] {
        assert!(ran.stderr.contains(word), "no `{word}`: {ran}");
    }
}

#[test]
fn exec_ends_with_the_commands_exit_code_and_passes_its_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let exec = |words: &[&str]| {
        let all: Vec<&str> = ["exec"].iter().chain(words).copied().collect();
        program::run(&halfopen(), folder.path(), &all)
    };
    let ran = exec(&["--", "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    assert_eq!(ran.stdout, "out\n");
    assert!(
        ran.stderr.contains("err\n") && ran.stderr.contains("exited with 5"),
        "{ran}"
    );
    let ran = exec(&["--", "sh", "-c", "kill -ABRT $$"]);
    assert_eq!(ran.code, Some(128 + 6), "{ran}");
    let ran = exec(&["--give-up", "1s", "--", "sleep", "9"]);
    assert_eq!(ran.code, Some(124), "{ran}");
    let ran = exec(&["--fault", "crahs server @1s", "--", "true"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("did you mean `crash`?"), "{ran}");
    // A path is one from here, and a program left alone runs all the same.
    let script = folder.path().join("it");
    std::fs::write(&script, "#!/bin/sh\necho here\n").expect("written");
    let anybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&script, anybody).expect("its owner may");
    let ran = exec(&["--observe", "wire", "--", "./it"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "here\n"),
        "{ran}"
    );
    let ran = exec(&["--explain", "--", "true"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("add --time virtual"), "{ran}");
    let ran = exec(&["--", "no-such-program"]);
    assert_eq!(ran.code, Some(3), "{ran}");
}
