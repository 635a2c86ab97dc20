//! How guests end that do not end well: hung, interrupted, orphaned, or beside
//! another one that never started. No QEMU is left behind by any of them.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels), so they run when asked for:
//! cargo test --test guest_endings -- --ignored

use halfopen_scenario::case::Case;
use halfopen_tests::{catalogue, program, root};
use halfopen_vm::cases::{self, Options};
use halfopen_vm::{Kernel, VmError, kernels};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A guest is up after some seconds. On a busy machine these tests, which run when
/// processors are idle, may get nothing for a minute.
const SOON: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(cases::work);
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(2);
    let trials = [
        Trial::test("a_guest_that_hangs", hangs),
        Trial::test("another_kernels_results_are_kept", others_are_kept),
        Trial::test("ctrl_c_leaves_no_qemu", || ended_by(Signal::SIGINT)),
        Trial::test("sigkill_leaves_no_qemu", || ended_by(Signal::SIGKILL)),
    ];
    let trials = trials.map(|trial| trial.with_ignored_flag(true));
    libtest_mimic::run(&args, trials.into()).exit_code()
}

fn kernel() -> Result<Kernel, Failed> {
    let found = kernels::find().kernels;
    let newest = found.into_iter().next_back();
    newest.ok_or_else(|| "there is no kernel here\n  cure: ci/kernels".into())
}

fn a_case() -> Result<Vec<Case>, Failed> {
    let cases = halfopen_scenario::load(&catalogue())?.cases.into_iter();
    Ok(cases
        .filter(|case| case.scenario == "orderly-close")
        .take(1)
        .collect())
}

/// Nobody boots within a tenth of a second.
fn hangs() -> Result<(), Failed> {
    let options = Options {
        silence: Duration::from_millis(100),
        // A restored one is up by then.
        restore: false,
        ..Options::default()
    };
    let runs = cases::run(&a_case()?, &[kernel()?], &options, &mut |_, _| ())?;
    match &runs[0].ended {
        Err(VmError::Hung { .. }) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// One of two kernels vanishes before it is started.
fn others_are_kept() -> Result<(), Failed> {
    let good = kernel()?;
    let gone = Kernel {
        vmlinuz: "/nonexistent/vmlinuz".into(),
        ..good.clone()
    };
    let kernels = [gone, good];
    let runs = cases::run(&a_case()?, &kernels, &Options::default(), &mut |_, _| ())?;
    let (gone, good) = (&runs[0], &runs[1]);
    if gone.ended.is_ok() || !gone.outcomes.is_empty() {
        return Err(format!("without an image: {:?}", gone.ended).into());
    }
    match &good.ended {
        Ok(_) if good.outcomes.len() == 1 => Ok(()),
        other => Err(format!("{other:?}, {} outcomes", good.outcomes.len()).into()),
    }
}

fn ended_by(signal: Signal) -> Result<(), Failed> {
    let release = kernel()?.release;
    let mut run = program::command(&program::halfopen(), &root())
        .args([
            "run",
            "--time",
            "virtual",
            "--kernel",
            &release,
            "host-crash",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(run.id()).expect("Linux's process ids fit into an i32");
    let qemu = wait_for("QEMU was started", || qemu_below(pid));
    let told = qemu.and_then(|qemu| {
        kill(Pid::from_raw(pid), signal)?;
        Ok(qemu)
    });
    let qemu = match told {
        Ok(qemu) => qemu,
        Err(e) => return end(run, e),
    };
    let status = run.wait()?;
    if signal == Signal::SIGINT && status.code() != Some(130) {
        return Err(format!("it ended with {status}").into());
    }
    wait_for("QEMU was gone", || name(qemu).is_none().then_some(()))
}

fn end(mut run: Child, why: Failed) -> Result<(), Failed> {
    run.kill()?;
    run.wait()?;
    Err(why)
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Failed> {
    let began = Instant::now();
    while began.elapsed() < SOON {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{SOON:?} passed before {what}").into())
}

/// The name and the parent of a process that lives: stat in proc(5).
fn name_and_parent(pid: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let name = before.split_once('(')?.1.to_owned();
    (state != "Z").then_some((name, parent))
}

fn name(pid: i32) -> Option<String> {
    name_and_parent(pid).map(|(name, _)| name)
}

/// A QEMU that `ancestor`, or what it started, has started.
fn qemu_below(ancestor: i32) -> Option<i32> {
    let all = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let is_qemu = name(*pid).is_some_and(|name| name.starts_with("qemu"));
        let mut above = name_and_parent(*pid).map(|(_, parent)| parent);
        while let Some(parent) = above.filter(|parent| is_qemu && *parent > 1) {
            if parent == ancestor {
                return true;
            }
            above = name_and_parent(parent).map(|(_, parent)| parent);
        }
        false
    })
}
