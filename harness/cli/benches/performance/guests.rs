//! Virtual time: how many seconds of a guest's time a second of this machine's
//! gives, and what starting the guest takes.

use halfopen_scenario::case::{Case, Clock};
use halfopen_vm::cases::{self, Options};
use halfopen_vm::{Kernel, kernels, machine};
use std::error::Error;
use std::time::Duration;

use super::SCENARIOS;
use super::numbers::Targets;

/// The rows whose point is the default value: hours of guest time.
const DEFAULTS_WITHIN: Duration = Duration::from_secs(12);

/// What one guest's life took, by what was run in it.
pub type Lives = Vec<(String, machine::GuestTimes)>;

/// What is measured; `Err` with the reason when this machine cannot.
pub fn measure(whole: bool) -> Result<Result<Lives, String>, Box<dyn Error>> {
    let found = kernels::find().kernels;
    let Some(kernel) = found.last() else {
        return Ok(Err("there is no kernel here; cure: ci/kernels".into()));
    };
    let text = std::fs::read_to_string(SCENARIOS)?;
    let all = halfopen_scenario::parse(SCENARIOS, &text)?.cases;
    let (defaults, _): (Vec<Case>, Vec<Case>) = all
        .iter()
        .cloned()
        .partition(|case| case.clock == Clock::Virtual);
    let mut arms = vec![("the rows that need virtual time", defaults)];
    if whole {
        arms.push(("the whole catalogue", all));
    }
    let mut lives = Lives::new();
    for (what, cases) in arms {
        let name = format!("{what}, {} cases on {}", cases.len(), kernel.release);
        match life(&cases, kernel) {
            Ok(life) => lives.push((name, life)),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(lives))
}

fn life(cases: &[Case], kernel: &Kernel) -> Result<machine::GuestTimes, String> {
    let kernels = std::slice::from_ref(kernel);
    let runs = cases::run(cases, kernels, &Options::default(), &mut |_, _| ());
    let run = runs.map_err(|e| e.to_string())?.into_iter().next();
    let run = run.ok_or("there was no run")?;
    run.ended.map_err(|e| e.to_string())
}

pub fn show(measured: &Result<Lives, String>, targets: &mut Targets) {
    println!("\nvirtual time");
    let lives = match measured {
        Ok(lives) => lives,
        Err(why) => return println!("  not measured: {why}"),
    };
    for (index, (what, life)) in lives.iter().enumerate() {
        let (guest, wall) = (life.guest.as_secs_f64(), life.wall.as_secs_f64());
        println!("  {what}");
        println!(
            "    {guest:.0} s of guest time in {wall:.1} s, {:.1} s of it to boot: {:.0} guest seconds a second; {:.2} G instructions",
            life.boot.as_secs_f64(),
            guest / wall.max(1e-9),
            life.busy.as_secs_f64()
        );
        if index == 0 {
            targets.add(
                "the rows that need virtual time, one kernel, below 12 s",
                format!("{wall:.1} s"),
                life.wall < DEFAULTS_WITHIN,
            );
        }
    }
}
