//! What the doctor says.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::error::{CliError, Exit};
use crate::output;

use super::probe::{Missing, Need, PROBES, namespace, privileged};
use halfopen_runner::machine as about;

/// Tries everything and tells it, each lack with its cure.
pub(crate) fn doctor() -> Result<Exit, CliError> {
    // Before the first thread, so before the first namespace.
    let privileges = privileged();
    let mut text = String::new();
    let mut lacking = 0;
    let mut optional = 0;

    let _ = writeln!(text, "This machine");
    facts(&mut text);

    let _ = writeln!(text, "\nNeeded by every run");
    let whole = match &privileges {
        Ok(word) => format!("be root, or root of a user namespace (here: {word})"),
        Err(_) => String::new(),
    };
    tell(
        &mut text,
        &whole,
        "every run",
        privileges.as_ref().err(),
        &mut lacking,
    );
    let home = privileges.is_ok().then(namespace);
    if let Some(home) = &home {
        let what = "make network namespaces in a mount namespace of its own";
        tell(
            &mut text,
            what,
            "every run",
            home.as_ref().err(),
            &mut lacking,
        );
    }
    if let Some(Ok(namespace)) = &home {
        for probe in PROBES.iter().filter(|probe| probe.needed == Need::Always) {
            let missing = probe.attempt_in(namespace).err();
            tell(
                &mut text,
                probe.what,
                "every run",
                missing.as_ref(),
                &mut lacking,
            );
        }
        let _ = writeln!(text, "\nNeeded by some scenarios");
        for probe in PROBES {
            if let Need::For(whom) = probe.needed {
                let missing = probe.attempt_in(namespace).err();
                tell(&mut text, probe.what, whom, missing.as_ref(), &mut optional);
            }
        }
    }
    let qemu = about::qemu().is_none().then(|| Missing {
        what: "run other kernels in virtual time (qemu-system-x86_64)".into(),
        why: "it is not in PATH".into(),
        cure: "install QEMU (Debian: qemu-system-x86)".into(),
    });
    if !matches!(home, Some(Ok(_))) {
        let _ = writeln!(text, "\nNeeded by some scenarios");
    }
    let what = "run other kernels in virtual time (qemu-system-x86_64)";
    tell(
        &mut text,
        what,
        "--time virtual",
        qemu.as_ref(),
        &mut optional,
    );

    let (words, exit) = if lacking == 0 {
        ("\nCases can be run here.", Exit::AsExpected)
    } else {
        (
            "\nNo case can be run here until what every run needs is cured.",
            Exit::Machine,
        )
    };
    let _ = writeln!(text, "{words}");
    output::say(&text)?;
    Ok(exit)
}

fn facts(text: &mut String) {
    let hz = about::hz().map_or_else(|| "unknown".to_owned(), |hz| format!("HZ={hz}"));
    let _ = writeln!(text, "  kernel               {} ({hz})", about::kernel());
    let _ = writeln!(text, "  processors           {}", about::processors());
    let controls = about::congestion_controls();
    let controls = if controls.is_empty() {
        "unknown".to_owned()
    } else {
        controls.join(", ")
    };
    let _ = writeln!(text, "  congestion controls  {controls}");
}

fn tell(text: &mut String, what: &str, whom: &str, missing: Option<&Missing>, count: &mut u32) {
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
            let _ = writeln!(text, "          without {whom}");
        }
    }
}
