//! The catalogue in virtual time, on stock kernels: exact snapshots for the
//! kernel they name, the same twice, and what happens when it cannot work.
//!
//! Needs QEMU and kernels (ci/setup, ci/kernels); no root. They take minutes,
//! so they run when asked for: cargo test --test virtual_time -- --ignored
//!
//! `ci/test` leaves out those named `nightly_*`, which only widen what others
//! check: more kernels, more cells. `ci/nightly` runs them.

mod impact;
mod pages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Verdict};
use halfopen_outcome::tolerance::{ANOTHER_PROGRAM, REAL_TIME};
use halfopen_report::finished::Finished;
use halfopen_report::json;
use halfopen_scenario::case::Case;
use halfopen_tests::{catalogue, line, prediction, program, root, row};
use halfopen_vm::cases::{self, Options};
use halfopen_vm::settings::GuestTime;
use halfopen_vm::{Kernel, VmError, kernels};
use libtest_mimic::{Arguments, Failed, Trial};

/// The kernel whose whole catalogue is under exact snapshots, by the beginning
/// of its release.
const KERNEL: &str = "6.12.";

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(cases::work);
    let mut args = Arguments::from_args();
    // A guest keeps a processor busy; two of them must not wait for a third.
    args.test_threads.get_or_insert(2);
    let trials = vec![
        Trial::test("the_whole_catalogue_as_it_was", whole_catalogue).with_ignored_flag(true),
        Trial::test("twice_the_same_to_the_nanosecond", || {
            twice_the_same(vec![kernel()?])
        })
        .with_ignored_flag(true),
        Trial::test("nightly_twice_the_same_on_every_kernel", || {
            twice_the_same(every_kernel()?)
        })
        .with_ignored_flag(true),
        Trial::test("the_reports_as_they_were_reported", || {
            as_they_are("fixtures/reports.yaml")
        })
        .with_ignored_flag(true),
        Trial::test("nightly_a_week", || as_they_are("fixtures/week.yaml")).with_ignored_flag(true),
        Trial::test("real_time_in_a_guest", real_time).with_ignored_flag(true),
        Trial::test("bad_lines_are_what_they_say", || bad_lines(&[kernel()?]))
            .with_ignored_flag(true),
        Trial::test("nightly_bad_lines_on_every_kernel", || {
            bad_lines(&every_kernel()?)
        })
        .with_ignored_flag(true),
        Trial::test("impact_of_tcp_retries2", impact::of_retries2).with_ignored_flag(true),
        Trial::test("impact_of_tcp_keepalive_time", impact::of_keepalive_time)
            .with_ignored_flag(true),
        Trial::test("a_baseline_saved_and_compared_with", baseline).with_ignored_flag(true),
        Trial::test("a_file_that_is_no_kernel", no_kernel),
        Trial::test("a_kernel_without_veth", without_veth).with_ignored_flag(true),
        Trial::test("a_guest_that_panics", panics).with_ignored_flag(true),
        Trial::test("the_readme_shows_what_grid_prints", || {
            pages::shows("README.md")
        })
        .with_ignored_flag(true),
        Trial::test("the_readmes_ladder_is_what_run_draws", pages::ladder).with_ignored_flag(true),
        Trial::test("nightly_the_grids_page_shows_what_grid_prints", || {
            pages::shows("docs/grid.md")
        })
        .with_ignored_flag(true),
        Trial::test("programs_twice_the_same", programs_twice_the_same).with_ignored_flag(true),
        Trial::test("nightly_the_programs_page_shows_what_run_prints", || {
            pages::shows("docs/real-programs.md")
        })
        .with_ignored_flag(true),
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

fn every_kernel() -> Result<Vec<Kernel>, Failed> {
    let kernels = kernels::find().kernels;
    match kernels.is_empty() {
        true => Err("there is no kernel here\n  cure: ci/kernels".into()),
        false => Ok(kernels),
    }
}

fn cases(pick: impl Fn(&Case) -> bool) -> Result<Vec<Case>, Failed> {
    let loaded = halfopen_scenario::load(&catalogue())?;
    Ok(loaded.cases.into_iter().filter(|case| pick(case)).collect())
}

fn run(cases: &[Case], kernel: &Kernel) -> Result<Vec<Outcome>, Failed> {
    Ok(run_somewhere(cases, kernel)?.1)
}

/// As [`run`], with where it was.
fn run_somewhere(cases: &[Case], kernel: &Kernel) -> Result<(Environment, Vec<Outcome>), Failed> {
    let kernels = [kernel.clone()];
    let runs = cases::run(cases, &kernels, &Options::default(), &mut |_, _| ())?;
    let run = runs.into_iter().next().ok_or("there is one run a kernel")?;
    run.ended?;
    let environment = run
        .environment
        .ok_or("the guest did not say where it ran")?;
    Ok((environment, run.outcomes))
}

/// JSON of the catalogue can be kept: crowds' packets are summed in it.
const LARGEST_JSON: usize = 5_000_000;

fn json_can_be_kept(environment: &Environment, outcomes: &[Outcome]) -> Result<(), Failed> {
    let run = Finished {
        environment,
        outcomes,
        interrupted: false,
        elapsed: Duration::ZERO,
    };
    let mut json = Vec::new();
    json::write(&run, json::Detail::Summed, json::Layout::Compact, &mut json)?;
    match json.len() < LARGEST_JSON {
        true => Ok(()),
        false => Err(format!("{} bytes of JSON, and {LARGEST_JSON} at most", json.len()).into()),
    }
}

fn snapshots() -> PathBuf {
    root().join("tests/tests/snapshots/virtual")
}

/// Whether the snapshots were made on this very build of the kernel.
fn same_build(release: &str) -> bool {
    std::fs::read_to_string(snapshots().join("kernel")).is_ok_and(|b| b.trim() == release)
}

/// Scenarios, or single cases, that another build of this program may show
/// otherwise, and why. Their verdicts are held to what the catalogue expects, and
/// not more.
const LEFT_TO_CHANCE: [(&str, &str); 5] = [
    ("bad-line-harmless", "netem draws from the kernel's pool"),
    (
        "host-replaced",
        "neigh_rand_reach_time() decides which retransmission finds the new address",
    ),
    (
        "vip-moves-unannounced-defaults",
        "neigh_rand_reach_time() decides which retransmission finds the new address",
    ),
    (
        "silence-while-writing-defaults/retries2=15,lost=host",
        "neigh_rand_reach_time() decides which retransmission finds none",
    ),
    (
        "thousand-half-open-connections",
        "a thousand share one processor: how many orphans are left at a moment",
    ),
];

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
    let (environment, outcomes) = run_somewhere(&cases, &kernel)?;
    json_can_be_kept(&environment, &outcomes)?;
    let folder = snapshots();
    let build = folder.join("kernel");
    let same_build = same_build(&kernel.release);
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
    let mut wrong = Vec::new();
    for outcome in &outcomes {
        if outcome.verdict != Verdict::AsExpected {
            wrong.push(format!("{}: {}", outcome.id, outcome.surprises.join("\n")));
        }
        wrong.extend(prediction::held(outcome).err());
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    for outcome in &outcomes {
        let left = LEFT_TO_CHANCE
            .iter()
            .any(|(what, _)| *what == outcome.scenario || *what == outcome.id);
        if left && !writing {
            continue;
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

/// fixtures/reports.yaml: what was reported, and what its cure does.
/// fixtures/week.yaml: the longest that a case may last.
fn as_they_are(file: &str) -> Result<(), Failed> {
    let loaded = halfopen_scenario::load(&root().join(file))?;
    let mut wrong = Vec::new();
    for outcome in run(&loaded.cases, &kernel()?)? {
        if outcome.verdict != Verdict::AsExpected {
            wrong.push(format!("{}: {}", outcome.id, outcome.surprises.join("\n")));
        }
        wrong.extend(prediction::held(&outcome).err());
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// Less time for this one: the cases whose point is the default value, and some
/// more. Two guests at a time: what depends on how fast this machine is shows
/// itself when it is busy.
fn twice_the_same(kernels: Vec<Kernel>) -> Result<(), Failed> {
    let cases = cases(|case| {
        case.clock == halfopen_scenario::case::Clock::Virtual
            || case.scenario.starts_with("keepalive-peer")
            // netem's chance, and the relay's, is the same chance each time.
            || case.scenario.starts_with("bad-line")
    })?;
    let once = cases::run(&cases, &kernels, &Options::default(), &mut |_, _| ())?;
    let again = cases::run(&cases, &kernels, &Options::default(), &mut |_, _| ())?;
    let mut differ = Vec::new();
    for ((once, again), kernel) in once.into_iter().zip(again).zip(&kernels) {
        once.ended?;
        again.ended?;
        let once = serde_json::to_string_pretty(&once.outcomes)?;
        let again = serde_json::to_string_pretty(&again.outcomes)?;
        let line = once.lines().zip(again.lines()).position(|(a, b)| a != b);
        if line.is_some() || once.len() != again.len() {
            differ.push(format!(
                "{}: two runs differ, first in line {line:?} of their JSON",
                kernel.release
            ));
        }
    }
    match differ.is_empty() {
        true => Ok(()),
        false => Err(differ.join("\n").into()),
    }
}

/// Unmodified programs, with every call and every line of theirs. The figures are
/// those of hiredis's keepalive (15 s, 5 s, 3) and of curl's own limit.
fn programs_twice_the_same() -> Result<(), Failed> {
    let wanted = [
        "redis-cli/fault=killed",
        "redis-cli/fault=crash",
        "curl-max-time/fault=silence",
    ];
    let mut cases = halfopen_scenario::load(&root().join("programs.yaml"))?.cases;
    cases.retain(|case| wanted.contains(&case.id.as_str()));
    let kernel = kernel()?;
    let kept = tempfile::tempdir()?;
    let options = Options {
        pcap: Some(kept.path().to_owned()),
        ..Options::default()
    };
    let runs = cases::run(
        &cases,
        std::slice::from_ref(&kernel),
        &options,
        &mut |_, _| (),
    )?;
    let first = runs.into_iter().next().ok_or("there is one run a kernel")?;
    first.ended?;
    let once = first.outcomes;
    if let Some(missing) = once.iter().find_map(not_run) {
        println!("not run: {missing}");
        return Ok(());
    }
    let again = run(&cases, &kernel)?;
    let text = |outcomes: &[Outcome]| serde_json::to_string_pretty(outcomes);
    if text(&once)? != text(&again)? {
        return Err("two runs of the same programs differ".into());
    }
    let packets = std::fs::read(kept.path().join("redis-cli_fault=crash.pcapng"))?;
    let packets = String::from_utf8_lossy(&packets);
    for word in [
        "crash: crash server",
        "client recvfrom server:7000: ETIMEDOUT",
    ] {
        if !packets.contains(word) {
            return Err(format!("the packets that were kept have no `{word}`").into());
        }
    }
    let shown = |id: &str| {
        let outcome = once.iter().find(|outcome| outcome.id == id);
        let sign = outcome.and_then(|outcome| outcome.first_sign.as_ref());
        let sign = sign.ok_or_else(|| format!("{id} showed nothing"))?;
        let seconds = sign.since_fault_ns.unwrap_or(-1) as f64 / 1e9;
        Ok::<_, String>((sign.outcome.clone(), seconds))
    };
    use halfopen_scenario::case::SignKind;
    let (sign, after) = shown("redis-cli/fault=crash")?;
    assert_eq!(sign, SignKind::Errno("ETIMEDOUT".into()));
    assert!((19.0..22.0).contains(&after), "{after}");
    let (sign, after) = shown("redis-cli/fault=killed")?;
    assert_eq!((sign, after < 1.0), (SignKind::Eof, true), "{after}");
    let (sign, after) = shown("curl-max-time/fault=silence")?;
    assert_eq!(sign, SignKind::Timeout);
    assert!((49.0..51.0).contains(&after), "{after}");
    Ok(())
}

fn not_run(outcome: &Outcome) -> Option<&String> {
    match &outcome.status {
        halfopen_outcome::record::Status::NotRun(why) => Some(why),
        _ => None,
    }
}

/// The host's clock in a guest, for what cannot jump.
fn real_time() -> Result<(), Failed> {
    let cases = cases(|case| {
        case.scenario == "orderly-close" || case.scenario == "half-close-still-reads"
    })?;
    let options = Options {
        time: GuestTime::Real,
        ..Options::default()
    };
    let began = std::time::Instant::now();
    let runs = cases::run(&cases, &[kernel()?], &options, &mut |_, _| ())?;
    let run = runs.into_iter().next().ok_or("there is one run a kernel")?;
    let life = run.ended?;
    for outcome in &run.outcomes {
        if outcome.verdict != Verdict::AsExpected {
            return Err(format!("{}: {}", outcome.id, outcome.surprises.join("\n")).into());
        }
    }
    assert_eq!(run.outcomes.len(), cases.len());
    assert_eq!(run.environment.map(|e| e.time), Some("real".into()));
    // Its clock does not jump.
    assert!(life.guest <= began.elapsed(), "{life:?}");
    Ok(())
}

/// By netem and by the relay.
fn bad_lines(kernels: &[Kernel]) -> Result<(), Failed> {
    // One at a time: a guest's processor is slow, and what others send would
    // make timers late.
    let options = Options {
        jobs: Some(1),
        ..Options::default()
    };
    let mut cases = line::cases();
    for case in &mut cases {
        // Waiting costs nothing here, and a sample is whole when all has arrived,
        // however long a burst and the back-off after it were.
        case.give_up = Duration::from_hours(2);
    }
    let runs = cases::run(&cases, kernels, &options, &mut |_, _| ())?;
    let mut wrong = Vec::new();
    for (run, kernel) in runs.into_iter().zip(kernels) {
        run.ended?;
        println!("{}", kernel.release);
        for outcome in &run.outcomes {
            let how = line::check(outcome);
            println!("{}", how.as_ref().unwrap_or_else(|words| words));
            wrong.extend(how.err());
            let by = &outcome
                .faults
                .first()
                .map_or("", |fault| fault.what.as_str());
            if outcome.axes["by"] == "auto" && !by.ends_with("by netem") {
                wrong.push(format!("{}: {by}", outcome.id));
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// In virtual time a baseline of two kernels is compared run by run, and the
/// same program gives the same file.
fn baseline() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = root().join("fixtures/impact.yaml");
    let run = |words: &str| {
        let mut all = vec![
            "run",
            file.to_str().unwrap_or_default(),
            "sending",
            "killed",
        ];
        all.extend(["--time", "virtual", "--kernel", "6.12", "--kernel", "6.1"]);
        all.extend(words.split(' '));
        program::run(&program::halfopen(), folder.path(), &all)
    };
    let saved = run("--save base.yaml");
    let text = std::fs::read_to_string(folder.path().join("base.yaml"))?;
    if saved.code != Some(0) || text.matches("- clock: virtual").count() != 2 {
        return Err(format!("{saved}\n{text}").into());
    }
    let same = run("--against base.yaml");
    if same.code != Some(0) || same.stdout.matches("3 unchanged, 0 changed").count() != 2 {
        return Err(format!("{same}").into());
    }
    run("--save again.yaml");
    if std::fs::read_to_string(folder.path().join("again.yaml"))? != text {
        return Err("another file of the same cases under the same program".into());
    }
    let changed = run("--against base.yaml --sysctl client:net.ipv4.tcp_retries2=4");
    let cause = "likely cause: net.ipv4.tcp_retries2 on client, 5 -> 4";
    if changed.code != Some(1) || !changed.stdout.contains(cause) {
        return Err(format!("{changed}").into());
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
