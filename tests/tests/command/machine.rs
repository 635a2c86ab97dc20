//! What this machine has and has not: exit code 3 and the cure.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use halfopen_tests::program::{Ran, fixture, halfopen, run};
use nix::unistd::geteuid;

use crate::place::{Place, QUICK};

/// Runs words of a shell in a place.
fn shell(place: &Place, script: &str) -> Ran {
    run(Path::new("sh"), place.path(), &["-c", script])
}

/// The program where everybody may read it: target/ may be root's alone.
fn program_for_everybody(place: &Place) -> PathBuf {
    let everybody = |path: &Path| {
        let set = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
        set.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    };
    let copy = place.path().join("halfopen");
    std::fs::copy(halfopen(), &copy).unwrap_or_else(|e| panic!("{}: {e}", copy.display()));
    everybody(place.path());
    everybody(&copy);
    copy
}

/// Words that make what follows run as an ordinary user.
fn as_ordinary_user() -> &'static str {
    if geteuid().is_root() {
        "setpriv --reuid 65534 --regid 65534 --clear-groups"
    } else {
        ""
    }
}

#[test]
fn doctor_says_that_cases_can_be_run() {
    let ran = Place::empty().halfopen("doctor");
    assert_eq!(ran.code, Some(0), "{ran}");
    for part in [
        "This machine",
        "Needed by every run",
        "Needed by some scenarios",
    ] {
        assert!(ran.stdout.contains(part), "{ran}");
    }
    assert!(ran.stdout.contains("Cases can be run here."), "{ran}");
    let lacks = ran
        .stdout
        .lines()
        .filter(|l| l.trim_start().starts_with("CANNOT"))
        .count();
    let cures = ran
        .stdout
        .lines()
        .filter(|l| l.trim_start().starts_with("cure "))
        .count();
    assert_eq!(lacks, cures, "{ran}");
}

#[test]
fn ordinary_user_runs_the_same() {
    let place = Place::with(QUICK);
    let program = program_for_everybody(&place);
    let ran = shell(
        &place,
        &format!(
            "{} {} run --format json",
            as_ordinary_user(),
            program.display()
        ),
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout.contains(r#""privileges":"user namespace""#),
        "{ran}"
    );
    assert!(ran.stderr.contains("3 as expected, 0 differ"), "{ran}");
}

/// In a user namespace of its own, where the limit can be set for what is
/// below it; the machine's stays what it is (user_namespaces(7)).
#[test]
fn neither_root_nor_user_namespaces() {
    let place = Place::with(QUICK);
    let program = program_for_everybody(&place);
    for words in ["run", "doctor"] {
        let script = format!(
            "{} unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces \
             && exec setpriv --bounding-set=-all --inh-caps=-all {} {words}'",
            as_ordinary_user(),
            program.display()
        );
        let ran = shell(&place, &script);
        assert_eq!(ran.code, Some(3), "{ran}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            said.contains("forbids user namespaces to ordinary users"),
            "{ran}"
        );
        assert!(
            said.contains("sysctl user.max_user_namespaces=15000"),
            "the cure: {ran}"
        );
    }
}

#[test]
fn kernel_without_nftables() {
    let place = Place::with(QUICK);
    let program = halfopen();
    for words in ["run", "doctor"] {
        let ran = run(
            &fixture("without-nftables"),
            place.path(),
            &[program.as_os_str(), words.as_ref()],
        );
        assert_eq!(ran.code, Some(3), "{ran}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("by nftables (netdev fwd)"), "{ran}");
        assert!(said.contains("CONFIG_NF_TABLES_NETDEV"), "the cure: {ran}");
    }
}

#[test]
fn sysctl_that_this_kernel_lacks() {
    let place = Place::with(QUICK);
    let ran = place.halfopen("run refused --sysctl client:net.netfilter.nf_log.99=NONE");
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(
        ran.stdout
            .contains("set or read sysctl net.netfilter.nf_log.99"),
        "{ran}"
    );
    assert!(ran.stdout.contains("2 not run"), "{ran}");
}

/// A hundred cases need more than a thousand descriptors.
#[test]
fn low_soft_limit_of_descriptors_is_raised() {
    let place = Place::empty();
    let program = halfopen();
    let ran = shell(
        &place,
        &format!("ulimit -Sn 256; {} run", program.display()),
    );
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    assert!(!ran.stdout.contains("FAILED"), "{ran}");
    assert!(!ran.stdout.contains("Too many open files"), "{ran}");
}

#[test]
fn low_hard_limit_of_descriptors_makes_cases_wait() {
    let place = Place::empty();
    let program = halfopen();
    let ran = shell(
        &place,
        &format!("ulimit -n 128; {} run connect-", program.display()),
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = shell(
        &place,
        &format!("ulimit -n 64; {} run connect-", program.display()),
    );
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("cure: raise the hard limit"), "{ran}");
}
