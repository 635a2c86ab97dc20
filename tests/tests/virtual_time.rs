//! The catalogue in virtual time, on stock kernels: exact snapshots for the
//! kernel they name, the same twice, and what happens when it cannot work.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels); no root. They take minutes,
//! so they run when asked for: cargo test --test virtual_time -- --ignored

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use halfopen::outcome::record::{Outcome, Verdict};
use halfopen::outcome::tolerance::{ANOTHER_PROGRAM, REAL_TIME};
use halfopen::predict::Version;
use halfopen::scenario;
use halfopen::scenario::case::Case;
use halfopen::vm::cases::{self, Options};
use halfopen::vm::{Kernel, VmError, kernels};
use halfopen_tests::oracle::plan::Plan;
use halfopen_tests::oracle::trial::{self, Finding};
use halfopen_tests::{catalogue, root, row};
use libtest_mimic::{Arguments, Failed, Trial};

/// The kernel whose whole catalogue is under exact snapshots, by the beginning
/// of its release.
const KERNEL: &str = "6.12.";

fn main() -> ExitCode {
    halfopen::endpoint::serve_if_asked();
    halfopen::vm::guest::serve_if_guest(cases::work);
    let mut args = Arguments::from_args();
    // A guest keeps a processor busy; two of them must not wait for a third.
    args.test_threads.get_or_insert(2);
    let trials = vec![
        Trial::test("the_whole_catalogue_as_it_was", whole_catalogue).with_ignored_flag(true),
        Trial::test("twice_the_same_to_the_nanosecond", twice_the_same).with_ignored_flag(true),
        Trial::test("generated_cases_as_predicted", as_predicted).with_ignored_flag(true),
        Trial::test("a_file_that_is_no_kernel", no_kernel),
        Trial::test("a_kernel_without_veth", without_veth).with_ignored_flag(true),
        Trial::test("a_guest_that_panics", panics).with_ignored_flag(true),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn kernel() -> Result<Kernel, Failed> {
    let found = kernels::find();
    found
        .kernels
        .into_iter()
        .find(|k| k.release.starts_with(KERNEL))
        .ok_or_else(|| format!("there is no kernel {KERNEL}x here\n  cure: ci/kernels").into())
}

fn cases(pick: impl Fn(&Case) -> bool) -> Result<Vec<Case>, Failed> {
    let loaded = scenario::load(&catalogue())?;
    Ok(loaded.cases.into_iter().filter(|case| pick(case)).collect())
}

fn run(cases: &[Case], kernel: &Kernel) -> Result<Vec<Outcome>, Failed> {
    let kernels = [kernel.clone()];
    let runs = cases::run(cases, &kernels, &Options::default(), &mut |_, _| ())?;
    let run = runs.into_iter().next().ok_or("there is one run a kernel")?;
    run.ended?;
    Ok(run.outcomes)
}

/// Rows of another build of the kernel agree within the tolerance of real
/// time: its timers are the same, its instructions are not.
fn whole_catalogue() -> Result<(), Failed> {
    let kernel = kernel()?;
    let cases = cases(|_| true)?;
    let mut order: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in &cases {
        order
            .entry(&case.scenario)
            .or_default()
            .push(case.id.clone());
    }
    let outcomes = run(&cases, &kernel)?;
    let folder = root().join("tests/tests/snapshots/virtual");
    let build = folder.join("kernel");
    let same_build = std::fs::read_to_string(&build).is_ok_and(|b| b.trim() == kernel.release);
    let writing = std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always");
    if writing {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(&build, format!("{}\n", kernel.release))?;
    }
    let tolerance = if same_build || writing {
        ANOTHER_PROGRAM
    } else {
        REAL_TIME
    };
    for outcome in &outcomes {
        if outcome.verdict != Verdict::AsExpected {
            return Err(format!("{}: {}", outcome.id, outcome.surprises.join("\n")).into());
        }
        row::assert_row(
            &folder,
            outcome,
            &order[outcome.scenario.as_str()],
            tolerance,
        );
    }
    Ok(())
}

/// Less time for this one: the cases whose point is the default value.
fn twice_the_same() -> Result<(), Failed> {
    let kernel = kernel()?;
    let cases = cases(|case| {
        case.clock == halfopen::scenario::case::Clock::Virtual
            || case.scenario.starts_with("keepalive-peer")
    })?;
    let once = serde_json::to_string_pretty(&run(&cases, &kernel)?)?;
    let again = serde_json::to_string_pretty(&run(&cases, &kernel)?)?;
    let differs = once.lines().zip(again.lines()).position(|(a, b)| a != b);
    match differs {
        None if once.len() == again.len() => Ok(()),
        line => Err(format!("two runs differ, first in line {line:?} of their JSON").into()),
    }
}

/// A quick `ci/oracle`: cases that nobody wrote, against their predictions.
fn as_predicted() -> Result<(), Failed> {
    const CASES: u64 = 60;
    let plans: Vec<(String, Plan)> = (0..CASES)
        .map(|n| (format!("g{n}"), Plan::generate(1, n)))
        .filter(|(_, plan)| plan.since() <= Version(6, 12))
        .collect();
    let findings = trial::findings(&plans, &kernel()?)?;
    for ((name, plan), finding) in plans.iter().zip(&findings) {
        if matches!(finding, Finding::Outside(_) | Finding::Failed(_)) {
            return Err(format!("{finding:?}\n{}", plan.text(name)).into());
        }
    }
    let inside = findings.iter().filter(|f| matches!(f, Finding::Inside(_)));
    let (inside, all) = (inside.count(), findings.len());
    if inside * 10 < all * 9 {
        return Err(format!("only {inside} of {all} are decided").into());
    }
    Ok(())
}

fn no_kernel() -> Result<(), Failed> {
    let this = catalogue();
    match Kernel::open(&this) {
        Err(e @ VmError::NotAKernel { .. }) if e.to_string().contains("cure: ") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// A copy of a kernel whose modules lack one that every case needs.
fn without_veth() -> Result<(), Failed> {
    let kernel = kernel()?;
    let copy = tempfile::tempdir()?;
    // Beside the image, as ci/kernels leaves them.
    let modules = copy.path().join("modules");
    copy_index_without(&kernel.modules, &modules, "veth")?;
    std::fs::copy(&kernel.vmlinuz, copy.path().join("vmlinuz"))?;
    match Kernel::open(copy.path()) {
        Err(e @ VmError::Lacks { .. }) if e.to_string().contains("veth") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn copy_index_without(from: &Path, to: &Path, module: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(to.join("kernel"))?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("modules.") {
            let text = std::fs::read(entry.path())?;
            let text = String::from_utf8_lossy(&text);
            let kept: Vec<&str> = text
                .lines()
                .filter(|l| !l.contains(&format!("/{module}.ko")))
                .collect();
            std::fs::write(to.join(name), kept.join("\n"))?;
        }
    }
    Ok(())
}

fn panics() -> Result<(), Failed> {
    let kernel = kernel()?;
    // A kernel that is told to use another first process than ours has none.
    let options = Options {
        append: "rdinit=/none init=/none".into(),
        ..Options::default()
    };
    let cases = cases(|case| case.scenario == "orderly-close")?;
    let runs = cases::run(&cases, &[kernel], &options, &mut |_, _| ())?;
    match &runs[0].ended {
        Err(VmError::Died { console, .. }) if console.contains("panic") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
