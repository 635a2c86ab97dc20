//! Measures how many seconds of guest time a second of real time gives: boots kernels
//! and runs a job that sleeps, or cases.
//!
//! ```text
//! vm_probe [PATH…]        a job that sleeps, on these kernels or all that are found
//! vm_probe cases FILE [FILTER]   the cases of a file
//! ```

use std::path::Path;
use std::time::Duration;

use halfopen_runner::endpoint;
use halfopen_vm::files::Files;
use halfopen_vm::machine::{GuestEvent, Settings, boot};
use halfopen_vm::{Kernel, cases, guest, kernels};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    endpoint::serve_if_asked();
    guest::serve_if_guest(work);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut found = kernels::find();
    print!("{}", kernels::render(&found));
    let named = args
        .iter()
        .filter(|w| w.contains('/') && !w.ends_with(".yaml"));
    let named: Vec<Kernel> = named
        .map(|w| Kernel::open(Path::new(w)))
        .collect::<Result<_, _>>()?;
    if !named.is_empty() {
        found.kernels = named;
    }
    if args.first().is_some_and(|word| word == "cases") {
        return run_cases(&found.kernels, &args);
    }
    for kernel in &found.kernels {
        let seconds = std::env::var("SECONDS_TO_SLEEP").unwrap_or("8000".into());
        let settings = Settings {
            // `APPEND=rdinit=/nowhere` shows what a panic looks like.
            append: std::env::var("APPEND").unwrap_or_default(),
            ..Settings::default()
        };
        let times = boot(
            &Files::read(kernel)?,
            seconds.as_bytes(),
            &settings,
            None,
            &mut |event| match event {
                GuestEvent::Booted(booted) => println!("{booted:?}"),
                GuestEvent::Message(message) => println!("  {}", String::from_utf8_lossy(message)),
                GuestEvent::Clock(_) | GuestEvent::Request { .. } => {}
            },
        );
        match times {
            Ok(times) => println!(
                "{}: {:.0} s of guest time in {:.2} s, {:.2} s of them to boot\n",
                kernel.release,
                times.guest.as_secs_f64(),
                times.wall.as_secs_f64(),
                times.boot.as_secs_f64()
            ),
            Err(e) => println!("{e}\n"),
        }
    }
    Ok(())
}

/// The guest's work: sleeps, or runs cases.
fn work(
    input: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    send: &mut dyn FnMut(&[u8]),
    link: &guest::Link,
) -> Result<(), String> {
    let given = input()?;
    let Ok(seconds) = String::from_utf8_lossy(&given).parse() else {
        return cases::work(&mut || Ok(given.clone()), send, link);
    };
    let now = halfopen_sys::clock::monotonic_ns;
    send(format!("sleeps from {} ns", now()).as_bytes());
    std::thread::sleep(Duration::from_secs(seconds));
    send(format!("to {} ns", now()).as_bytes());
    Ok(())
}

fn run_cases(kernels: &[Kernel], args: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let file = args
        .iter()
        .find(|w| w.ends_with(".yaml"))
        .ok_or("name a file of scenarios")?;
    let text = std::fs::read_to_string(file)?;
    let all = halfopen_scenario::parse(file, &text)
        .map_err(|e| e.to_string())?
        .cases;
    let filter = args
        .get(2)
        .filter(|w| !w.contains('/'))
        .map_or("", String::as_str);
    let chosen: Vec<_> = all
        .into_iter()
        .filter(|case| case.id.contains(filter))
        .collect();
    let options = cases::Options::default();
    let began = std::time::Instant::now();
    let runs = cases::run(&chosen, kernels, &options, &mut |kernel, event| {
        if std::env::var_os("VERBOSE").is_some() {
            let text = format!("{event:?}");
            println!(
                "{:.2} {kernel} {}",
                began.elapsed().as_secs_f64(),
                text.chars().take(150).collect::<String>()
            );
        }
    })?;
    for (kernel, run) in kernels.iter().zip(&runs) {
        let mut verdicts = std::collections::BTreeMap::new();
        for outcome in &run.outcomes {
            *verdicts
                .entry(format!("{:?}", outcome.verdict))
                .or_insert(0) += 1;
        }
        println!(
            "{}: {} outcomes {verdicts:?}",
            kernel.release,
            run.outcomes.len()
        );
        match &run.ended {
            Ok(times) => println!("  {times:?}"),
            Err(e) => println!("  {e}"),
        }
        let file = format!("/tmp/vm-probe-{}.json", kernel.release);
        std::fs::write(&file, serde_json::to_vec_pretty(&run.outcomes)?)?;
    }
    Ok(())
}
