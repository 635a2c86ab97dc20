//! A question in flags, written as a scenario and parsed like one: there is one
//! way to describe a case to the predictor.

use halfopen_scenario::case::Case;

use crate::args::{FaultName, InFlight, PredictArgs};
use crate::shared::error::CliError;

/// The question as a case; None when none of its flags is given.
///
/// # Errors
/// When the flags do not fit together, or make no scenario.
pub(super) fn as_case(args: &PredictArgs) -> Result<Option<Case>, CliError> {
    let asked = args.keepalive.is_some()
        || args.user_timeout.is_some()
        || args.retries2.is_some()
        || args.fault.is_some()
        || args.in_flight.is_some()
        || args.network.is_some()
        || args.family.is_some()
        || args.idle.is_some();
    if !asked {
        return Ok(None);
    }
    if let Some(file) = &args.what.file {
        return Err(CliError::Usage(format!(
            "`{file}`: a quick question has no file and no filter; leave it out, or the flags \
             that ask"
        )));
    }
    let text = scenario_text(args)?;
    let catalogue = halfopen_scenario::parse("question", &text)
        .map_err(|e| CliError::Usage(format!("the question makes no scenario:\n{e}")))?;
    Ok(catalogue.cases.into_iter().next())
}

fn scenario_text(args: &PredictArgs) -> Result<String, CliError> {
    let mut detector = Vec::new();
    if let Some(words) = &args.keepalive {
        let parts: Vec<&str> = words.split(',').map(str::trim).collect();
        let [idle, interval, count] = parts.as_slice() else {
            return Err(CliError::Usage(format!(
                "--keepalive {words}: write IDLE,INTERVAL,COUNT, such as 60s,20s,3"
            )));
        };
        for part in &parts {
            plain(part)?;
        }
        detector.push(format!(
            "keepalive: {{ idle: {idle}, interval: {interval}, count: {count} }}"
        ));
    }
    if let Some(limit) = &args.user_timeout {
        detector.push(format!("user_timeout: {}", plain(limit)?));
    }
    let fault = args.fault.unwrap_or(FaultName::Crash);
    let flying = args.in_flight.unwrap_or(InFlight::None);
    let routed = matches!(
        fault,
        FaultName::NetUnreachable | FaultName::HostUnreachable | FaultName::Reset
    );
    let network = match &args.network {
        Some(name) => plain(name)?,
        None if routed => "routed",
        None => "link",
    };
    let family = args.family.as_deref().map_or(Ok("ipv4"), plain)?;
    let at = args.idle.as_deref().map_or(Ok("1ms"), plain)?;
    let sysctls = args.retries2.map_or_else(String::new, |n| {
        format!("\n    sysctls: {{ client: {{ net.ipv4.tcp_retries2: {n} }} }}")
    });
    let (lossy, steps) = match flying {
        InFlight::None => ("", ""),
        // A reboot's mark is reached when the host is back: this one while it is down.
        InFlight::After if fault == FaultName::Reboot => (
            "{ at: AT, netstat: , name: begun }, { after: begun, by: 1ms, netstat: , name: down }, ",
            "{ wait_for: down }, { write: world }, ",
        ),
        InFlight::After => ("", "{ wait_for: fault }, { write: world }, "),
        // Its first try, and no other, is lost on the wire as the fault strikes.
        InFlight::Before => (
            "{ at: AT, drop: { from: client, to: server, count: 1 }, name: lost }, ",
            "{ wait_for: lost }, { write: world }, ",
        ),
    };
    let lossy = lossy.replace("AT", at);
    Ok(format!(
        "version: 1
detectors:
  asked: {{ {detector} }}
scenarios:
  question:
    about: What happens?
    network: {network}
    matrix: {{ family: [{family}] }}
    server: [listen, accept, echo]
    client: {{ detector: asked, steps: [connect, {{ exchange: hello }}, {steps}read] }}
    faults: [{lossy}{{ {when}, {fault}, name: fault }}]
    watch: [client]
    give_up: 24h{sysctls}
",
        detector = detector.join(", "),
        when = match flying {
            InFlight::Before => "after: lost, by: 1ms".to_owned(),
            _ => format!("at: {at}"),
        },
        fault = event_action(fault),
    ))
}

fn event_action(fault: FaultName) -> &'static str {
    match fault {
        FaultName::Crash => "crash: server",
        FaultName::Silence => "drop: { from: client, to: server }",
        FaultName::Reboot => "reboot: { host: server, down_for: 10s }",
        FaultName::Kill => "kill: server",
        FaultName::Freeze => "freeze: server",
        FaultName::OwnQdisc => "drop: { from: client, to: server, at: sender, by: tc }",
        FaultName::OwnFirewall => "drop: { from: client, to: server, at: sender, by: nft }",
        FaultName::OwnRoute => "route: { host: client, change: removed }",
        FaultName::NetUnreachable => "reject: { to: server, at: router, with: net-unreachable }",
        FaultName::HostUnreachable => "reject: { to: server, at: router, with: host-unreachable }",
        FaultName::Reset => "reject: { to: server, at: router, with: tcp-reset }",
    }
}

/// A word that cannot be anything but a scalar in YAML.
fn plain(word: &str) -> Result<&str, CliError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !word.is_empty() && word.chars().all(fine) {
        Ok(word)
    } else {
        Err(CliError::Usage(format!(
            "`{word}`: write a time such as 60s or a name"
        )))
    }
}
