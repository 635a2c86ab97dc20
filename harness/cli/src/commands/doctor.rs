//! `halfopen doctor`: what this machine can and cannot do, and the cures.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use halfopen_runner::machine;
use halfopen_runner::modules::{GROUPS, Loading};

use crate::shared::capabilities::{self, Missing, Need, PROBES, privileged};
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

/// Tries every probe and reports it, each lack with its cure.
pub(crate) fn doctor() -> Result<Exit, CliError> {
    // Before the first thread: see capabilities::needed_for_run().
    let privileges = privileged();
    // Before the first probe, which loads what it needs.
    let may_load = may_load();
    let mut text = String::new();
    let mut lacking = 0;
    let mut optional = 0;

    let _ = writeln!(text, "This machine");
    facts(&mut text);
    let _ = writeln!(text, "  kernel modules       {may_load}");

    let _ = writeln!(text, "\nNeeded by every run");
    let what = match &privileges {
        Ok(name) => format!("be root, or root of a user namespace (here: {name})"),
        Err(_) => String::new(),
    };
    line(
        &mut text,
        &what,
        "every run",
        privileges.as_ref().err(),
        &mut lacking,
    );
    let namespace = privileges.is_ok().then(capabilities::namespace);
    if let Some(namespace) = &namespace {
        let what = "make network namespaces in a mount namespace of its own";
        line(
            &mut text,
            what,
            "every run",
            namespace.as_ref().err(),
            &mut lacking,
        );
    }
    if let Some(Ok(namespace)) = &namespace {
        for probe in PROBES.iter().filter(|probe| probe.needed == Need::Always) {
            let missing = probe.attempt_in(namespace).err();
            line(
                &mut text,
                probe.what,
                "every run",
                missing.as_ref(),
                &mut lacking,
            );
        }
        let _ = writeln!(text, "\nNeeded by some scenarios");
        for probe in PROBES {
            if let Need::For(needed_by) = probe.needed {
                let missing = probe.attempt_in(namespace).err();
                line(
                    &mut text,
                    probe.what,
                    needed_by,
                    missing.as_ref(),
                    &mut optional,
                );
            }
        }
    }
    let qemu = machine::qemu().is_none().then(|| Missing {
        what: "run other kernels in virtual time (qemu-system-x86_64)".into(),
        why: "it is not in PATH".into(),
        cure: "install QEMU (Debian: qemu-system-x86)".into(),
    });
    if !matches!(namespace, Some(Ok(_))) {
        let _ = writeln!(text, "\nNeeded by some scenarios");
    }
    let what = "run other kernels in virtual time (qemu-system-x86_64)";
    line(
        &mut text,
        what,
        "--time virtual",
        qemu.as_ref(),
        &mut optional,
    );

    let (conclusion, exit) = if lacking == 0 {
        ("\nCases can be run here.", Exit::AsExpected)
    } else {
        (
            "\nNo case can be run here until what every run needs is cured.",
            Exit::Machine,
        )
    };
    let _ = writeln!(text, "{conclusion}");
    output::say(&text)?;
    Ok(exit)
}

fn facts(text: &mut String) {
    let hz = machine::hz().map_or_else(|| "unknown".to_owned(), |hz| format!("HZ={hz}"));
    let _ = writeln!(text, "  kernel               {} ({hz})", machine::kernel());
    let _ = writeln!(text, "  processors           {}", machine::processors());
    let controls = machine::congestion_controls();
    let controls = if controls.is_empty() {
        "unknown".to_owned()
    } else {
        controls.join(", ")
    };
    let _ = writeln!(text, "  congestion controls  {controls}");
    // What is left for cases, of what all network namespaces share.
    for (name, available, key) in halfopen_runner::describe_budget() {
        let _ = writeln!(text, "  {name:20} {available} for cases ({key})");
    }
}

/// The modules that runs may make the kernel load.
fn may_load() -> String {
    let all = GROUPS
        .iter()
        .flat_map(|(_, modules)| modules.iter().copied());
    let loading = Loading::of_machine();
    let would = loading.would_load(all);
    match (would.is_empty(), loading) {
        (true, Loading::Never) => "this kernel loads none".into(),
        (true, Loading::May(_)) => "all that runs need are loaded".into(),
        (false, _) => format!("runs may load {}", would.join(", ")),
    }
}

fn line(
    text: &mut String,
    what: &str,
    needed_by: &str,
    missing: Option<&Missing>,
    count: &mut u32,
) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match missing {
        None => {
            let green = colour(AnsiColor::Green);
            let _ = writeln!(text, "  {green}can{green:#}     {what}");
        }
        Some(missing) => {
            *count += 1;
            let red = colour(AnsiColor::Red);
            let _ = writeln!(text, "  {red}CANNOT{red:#}  {}", missing.what);
            let _ = writeln!(text, "          why     {}", missing.why);
            let _ = writeln!(text, "          cure    {}", missing.cure);
            let _ = writeln!(text, "          without {needed_by}");
        }
    }
}
