//! The check of the predictor: the catalogue and generated cases in virtual
//! time on stock kernels, against their predictions. See ci/oracle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_predict::Version;
use halfopen_scenario::case::Case;
use halfopen_tests::catalogue;
use halfopen_tests::oracle::plan::Plan;
use halfopen_tests::oracle::shrink::shrink;
use halfopen_tests::oracle::table::{Count, Row, document};
use halfopen_tests::oracle::trial::{self, Finding, Tried};
use halfopen_vm::cases;
use halfopen_vm::{Kernel, kernels};

/// Where that begins.
const KNOWN: &str = "\n## What is known of them\n";

const USAGE: &str = "\
usage: ci/oracle [OPTION]…

Predicts and runs the catalogue and generated cases in virtual time and says
which fell outside, each made as small as it gets. Exit code 1 if any did.

  --seed N        where the generated cases begin (1)
  --cases N       how many of them (1000)
  --only N,…      only these of them
  --kernel NAME   kernels whose release begins so; may be given again (all)
  --print         the generated cases as a scenario file; nothing is run
  --no-catalogue  without the catalogue
  --file FILE     the cases of this file in place of the catalogue
  --no-shrink     as they are
  --keep DIR      every outcome as JSON
  --write FILE    the table as Markdown (docs/oracle.md)";

struct Args {
    seed: u64,
    cases: u64,
    only: Vec<u64>,
    kernels: Vec<String>,
    catalogue: bool,
    file: Option<PathBuf>,
    shrink: bool,
    print: bool,
    keep: Option<PathBuf>,
    write: Option<PathBuf>,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        seed: 1,
        cases: 1000,
        only: Vec::new(),
        kernels: Vec::new(),
        catalogue: true,
        file: None,
        shrink: true,
        print: false,
        keep: None,
        write: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        let number = |text: &str| -> Result<u64, String> {
            text.parse()
                .map_err(|_| format!("`{text}` is no number\n{USAGE}"))
        };
        match word.as_str() {
            "--seed" => args.seed = number(&value()?)?,
            "--cases" => args.cases = number(&value()?)?,
            "--only" => {
                for text in value()?.split(',') {
                    args.only.push(number(text)?);
                }
            }
            "--kernel" => args.kernels.push(value()?),
            "--file" => args.file = Some(value()?.into()),
            "--no-catalogue" => args.catalogue = false,
            "--print" => args.print = true,
            "--no-shrink" => args.shrink = false,
            "--keep" => args.keep = Some(value()?.into()),
            "--write" => args.write = Some(value()?.into()),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(cases::work);
    match args().and_then(|args| check(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn check(args: &Args) -> Result<bool, String> {
    let plans = plans(args);
    if args.print {
        let each = plans.iter().map(|(name, plan)| (name.as_str(), plan));
        print!("{}", trial::document(each));
        return Ok(true);
    }
    let found = kernels::find().kernels;
    let wanted = |k: &&Kernel| {
        args.kernels.is_empty()
            || args
                .kernels
                .iter()
                .any(|w| k.release.starts_with(w.as_str()))
    };
    let kernels: Vec<&Kernel> = found.iter().filter(wanted).collect();
    if kernels.is_empty() {
        return Err("no such kernel here; cure: ci/kernels".into());
    }
    let shipped = match args.catalogue {
        true => {
            halfopen_scenario::load(&args.file.clone().unwrap_or_else(catalogue))
                .map_err(|e| e.to_string())?
                .cases
        }
        false => Vec::new(),
    };
    let mut rows = Vec::new();
    for kernel in kernels {
        rows.push(one(args, kernel, &shipped, &plans)?);
    }
    if let Some(file) = &args.write {
        // What is known of the exceptions is written by people, and kept.
        let there = std::fs::read_to_string(file).unwrap_or_default();
        let known = there.find(KNOWN).map_or("", |at| &there[at..]);
        let text = document(&rows, args.seed, args.cases) + known;
        std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(rows.iter().all(|row| row.outside.is_empty()))
}

fn plans(args: &Args) -> Vec<(String, Plan)> {
    let numbers: Vec<u64> = match args.only.as_slice() {
        [] => (0..args.cases).collect(),
        only => only.to_vec(),
    };
    numbers
        .iter()
        .map(|n| (format!("g{n}"), Plan::generate(args.seed, *n)))
        .collect()
}

fn one(
    args: &Args,
    kernel: &Kernel,
    shipped: &[Case],
    plans: &[(String, Plan)],
) -> Result<Row, String> {
    let version = Version::parse(&kernel.release).ok_or("a kernel without a version")?;
    // What a kernel has no sysctl for cannot be asked of it.
    let fit = plans.iter().filter(|(_, plan)| plan.since() <= version);
    let plans: Vec<(String, Plan)> = fit.cloned().collect();
    let mut cases = trial::cases_of(&plans)?;
    cases.extend(shipped.iter().cloned());
    let tried = trial::run(&cases, kernel, &mut |done| {
        eprintln!("{}: {done} of {} done", kernel.release, cases.len());
    })?;
    if let Some(dir) = &args.keep {
        keep(dir, kernel, &tried)?;
    }
    let by_name: BTreeMap<&str, &Plan> = plans.iter().map(|(n, p)| (n.as_str(), p)).collect();
    let mut row = Row::new(&kernel.release);
    for Tried {
        outcome, finding, ..
    } in &tried
    {
        let plan = by_name.get(outcome.id.as_str());
        let count = match plan {
            Some(_) => &mut row.generated,
            None => &mut row.catalogue,
        };
        count.add(finding);
        match finding {
            Finding::Outside(how) => {
                println!("outside on {}: {}: {how}", kernel.release, outcome.id);
                row.outside.push((outcome.id.clone(), how.clone()));
                if let Some(plan) = plan {
                    show(args, plan, &outcome.id, kernel)?;
                }
            }
            Finding::Failed(why) => println!("not run: {}: {why}", outcome.id),
            Finding::Inside(_) | Finding::Undecided(_) => {}
        }
    }
    print_count(&row.release, "catalogue", &row.catalogue);
    print_count(&row.release, "generated", &row.generated);
    Ok(row)
}

/// Prints a plan, as small as it gets.
fn show(args: &Args, plan: &Plan, name: &str, kernel: &Kernel) -> Result<(), String> {
    let plan = if args.shrink {
        shrink(plan, kernel)?
    } else {
        plan.clone()
    };
    print!("{}{}", plan.detector(name), plan.text(name));
    Ok(())
}

fn print_count(release: &str, kind: &str, count: &Count) {
    if count.cases == 0 {
        return;
    }
    println!(
        "{release}: {kind}: {} inside{}",
        count.words(),
        count.widths_in_words()
    );
    for (why, n) in &count.undecided {
        println!("  open, {n}: {why}");
    }
}

fn keep(dir: &std::path::Path, kernel: &Kernel, tried: &[Tried]) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| e.to_string())?;
    let outcomes: Vec<(&Outcome, &Environment)> =
        tried.iter().map(|t| (&t.outcome, &t.environment)).collect();
    let text = serde_json::to_string_pretty(&outcomes).map_err(|e| e.to_string())?;
    std::fs::write(dir.join(format!("{}.json", kernel.release)), text).map_err(|e| e.to_string())
}
