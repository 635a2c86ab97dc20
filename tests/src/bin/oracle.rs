//! The check of the predictor: the catalogue and generated cases in virtual
//! time on stock kernels, against their predictions. See ci/oracle.

use std::collections::BTreeMap;
use std::process::ExitCode;

use halfopen::outcome::environment::Environment;
use halfopen::outcome::record::Outcome;
use halfopen::predict::Version;
use halfopen::scenario;
use halfopen::scenario::case::Case;
use halfopen::vm::cases;
use halfopen::vm::{Kernel, kernels};
use halfopen_tests::catalogue;
use halfopen_tests::oracle::plan::Plan;
use halfopen_tests::oracle::table::Count;
use halfopen_tests::oracle::trial::{self, Finding};

const USAGE: &str = "usage: ci/oracle [--seed N] [--cases N] [--kernel BEGINNING]… \
[--no-catalogue] [--no-shrink] [--only NUMBER,…] [--keep DIR]";

struct Args {
    seed: u64,
    cases: u64,
    kernels: Vec<String>,
    catalogue: bool,
    shrink: bool,
    only: Vec<u64>,
    keep: Option<std::path::PathBuf>,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        seed: 1,
        cases: 1000,
        kernels: Vec::new(),
        catalogue: true,
        shrink: true,
        only: Vec::new(),
        keep: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        let number = |text: String| {
            text.parse()
                .map_err(|_| format!("`{text}` is no number\n{USAGE}"))
        };
        match word.as_str() {
            "--seed" => args.seed = number(value()?)?,
            "--cases" => args.cases = number(value()?)?,
            "--kernel" => args.kernels.push(value()?),
            "--no-catalogue" => args.catalogue = false,
            "--no-shrink" => args.shrink = false,
            "--only" => {
                for text in value()?.split(',') {
                    args.only.push(number(text.to_owned())?);
                }
            }
            "--keep" => args.keep = Some(value()?.into()),
            "--help" | "-h" => return Err(USAGE.into()),
            _ => return Err(format!("`{word}` is not known\n{USAGE}")),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    halfopen::endpoint::serve_if_asked();
    halfopen::vm::guest::serve_if_guest(cases::work);
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
    let catalogue = scenario::load(&catalogue())
        .map_err(|e| e.to_string())?
        .cases;
    let numbers: Vec<u64> = if args.only.is_empty() {
        (0..args.cases).collect()
    } else {
        args.only.clone()
    };
    let plans: Vec<(String, Plan)> = numbers
        .iter()
        .map(|n| (format!("g{n}"), Plan::generate(args.seed, *n)))
        .collect();
    let mut good = true;
    for kernel in kernels {
        let version = Version::parse(&kernel.release).ok_or("a kernel without a version")?;
        let mine: Vec<(String, Plan)> = plans
            .iter()
            .filter(|(_, p)| p.since() <= version)
            .cloned()
            .collect();
        let mut told = trial::cases_of(&mine)?;
        let generated: BTreeMap<&str, &Plan> = mine
            .iter()
            .map(|(name, plan)| (name.as_str(), plan))
            .collect();
        if args.catalogue {
            told.extend(catalogue.iter().cloned());
        }
        let outcomes = trial::outcomes(&told, kernel, &mut |done| {
            eprintln!("{}: {done} of {} done", kernel.release, told.len());
        })?;
        if let Some(dir) = &args.keep {
            keep(dir, kernel, &outcomes)?;
        }
        let (mut shipped, mut made) = (Count::default(), Count::default());
        let cases: BTreeMap<&str, &Case> = told.iter().map(|c| (c.id.as_str(), c)).collect();
        for (outcome, environment) in &outcomes {
            let finding = trial::judge(cases[outcome.id.as_str()], outcome, environment);
            let plan = generated.get(outcome.id.as_str());
            let count = if plan.is_some() {
                &mut made
            } else {
                &mut shipped
            };
            count.add(&finding);
            match &finding {
                Finding::Outside(how) => {
                    good = false;
                    println!("OUTSIDE {} on {}: {how}", outcome.id, kernel.release);
                    if let Some(plan) = plan {
                        print!("{}{}", plan.detector(&outcome.id), plan.text(&outcome.id));
                    }
                }
                Finding::Failed(why) => println!("FAILED {}: {why}", outcome.id),
                Finding::Undecided(why) if plan.is_some() => {
                    println!("OPEN {}: {why}", outcome.id);
                }
                _ => {}
            }
        }
        println!(
            "{}: catalogue {}, median {:?}; generated {}, median {:?}",
            kernel.release,
            shipped.words(),
            shipped.medians(),
            made.words(),
            made.medians()
        );
        for (why, n) in &made.undecided {
            println!("  open {n}: {why}");
        }
    }
    Ok(good)
}

fn keep(
    dir: &std::path::Path,
    kernel: &Kernel,
    outcomes: &[(Outcome, Environment)],
) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| e.to_string())?;
    let outcomes: Vec<&Outcome> = outcomes.iter().map(|(o, _)| o).collect();
    let text = serde_json::to_string_pretty(&outcomes).map_err(|e| e.to_string())?;
    std::fs::write(dir.join(format!("{}.json", kernel.release)), text).map_err(|e| e.to_string())
}
