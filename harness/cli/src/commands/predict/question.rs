//! A question in flags, written as a scenario and parsed like one: there is one
//! way to describe a case to the predictor.

use halfopen_scenario::InputErrors;
use halfopen_scenario::case::Case;

use crate::args::{FaultName, InFlight, PredictArgs};
use crate::shared::error::CliError;

/// The question as a case; None when none of its flags is given.
///
/// # Errors
/// When the flags do not fit together, or a flag's value is wrong.
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
        .map_err(|errors| CliError::Usage(in_terms_of_flags(args, &text, &errors)))?;
    Ok(catalogue.cases.into_iter().next())
}

/// Mistakes in the scenario, named by the flags that its lines come from: the user has
/// not written the scenario.
fn in_terms_of_flags(args: &PredictArgs, text: &str, errors: &InputErrors) -> String {
    let retries2 = args.retries2.map(|n| n.to_string());
    let flags = [
        ("keepalive:", "--keepalive", &args.keepalive),
        ("user_timeout:", "--user-timeout", &args.user_timeout),
        ("network:", "--network", &args.network),
        ("matrix:", "--family", &args.family),
        ("faults:", "--idle", &args.idle),
        ("sysctls:", "--retries2", &retries2),
    ];
    let lines: Vec<&str> = text.lines().collect();
    let mut messages = Vec::new();
    for problem in errors.problems() {
        let index = (problem.span.line as usize).saturating_sub(1);
        let line = lines.get(index).map_or("", |line| line.trim_start());
        let flag = flags.iter().find(|(key, ..)| line.starts_with(key));
        let Some((_, flag, Some(value))) = flag else {
            return format!("the question makes no scenario:\n{errors}");
        };
        let expected = problem.expected.as_ref().map(|e| format!("expected {e}"));
        let cure = problem.help.clone().or(expected);
        let cure = cure.map_or_else(String::new, |cure| format!("; {cure}"));
        messages.push(format!("{flag} {value}: {}{cure}", problem.message));
    }
    messages.join("\n  ")
}

/// The scenario, with what comes from each flag on a line of its own.
fn scenario_text(args: &PredictArgs) -> Result<String, CliError> {
    let mut detector = String::new();
    if let Some(value) = &args.keepalive {
        let parts: Vec<&str> = value.split(',').map(str::trim).collect();
        let [idle, interval, count] = parts.as_slice() else {
            return Err(CliError::Usage(format!(
                "--keepalive {value}: write IDLE,INTERVAL,COUNT, such as 60s,20s,3"
            )));
        };
        for part in &parts {
            plain("--keepalive", part)?;
        }
        detector.push_str(&format!(
            "\n    keepalive: {{ idle: {idle}, interval: {interval}, count: {count} }}"
        ));
    }
    if let Some(limit) = &args.user_timeout {
        let limit = plain("--user-timeout", limit)?;
        detector.push_str(&format!("\n    user_timeout: {limit}"));
    }
    if detector.is_empty() {
        detector.push_str(" {}");
    }
    let fault = args.fault.unwrap_or(FaultName::Crash);
    let in_flight = args.in_flight.unwrap_or(InFlight::None);
    let routed = matches!(
        fault,
        FaultName::NetUnreachable | FaultName::HostUnreachable | FaultName::Reset
    );
    let network = match &args.network {
        Some(name) => plain("--network", name)?,
        None if routed => "routed",
        None => "link",
    };
    let or = |flag, value: &'_ Option<String>, default: &str| match value {
        Some(value) => plain(flag, value).map(str::to_owned),
        None => Ok(default.to_owned()),
    };
    let family = or("--family", &args.family, "ipv4")?;
    let at = or("--idle", &args.idle, "1ms")?;
    let sysctls = args.retries2.map_or_else(String::new, |n| {
        format!("\n    sysctls: {{ client: {{ net.ipv4.tcp_retries2: {n} }} }}")
    });
    let (events_before, steps) = match in_flight {
        InFlight::None => (String::new(), ""),
        // The mark of a reboot is reached when the host is back. This one is reached
        // while it is down.
        InFlight::After if fault == FaultName::Reboot => (
            format!(
                "{{ at: {at}, netstat: , name: begun }}, \
                 {{ after: begun, by: 1ms, netstat: , name: down }}, "
            ),
            "{ wait_for: down }, { write: world }, ",
        ),
        InFlight::After => (String::new(), "{ wait_for: fault }, { write: world }, "),
        // The first transmission, and no other, is lost on the wire just before the
        // fault.
        InFlight::Before => (
            format!("{{ at: {at}, drop: {{ from: client, to: server, count: 1 }}, name: lost }}, "),
            "{ wait_for: lost }, { write: world }, ",
        ),
    };
    let when = match in_flight {
        InFlight::Before => "after: lost, by: 1ms".to_owned(),
        _ => format!("at: {at}"),
    };
    let fault = event_action(fault);
    Ok(format!(
        "version: 1
detectors:
  asked:{detector}
scenarios:
  question:
    about: What happens?
    network: {network}
    matrix: {{ family: [{family}] }}
    server: [listen, accept, echo]
    client: {{ detector: asked, steps: [connect, {{ exchange: hello }}, {steps}read] }}
    faults: [{events_before}{{ {when}, {fault}, name: fault }}]
    watch: [client]
    give_up: 24h{sysctls}
"
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

/// A value that cannot be anything but a scalar in YAML.
fn plain<'a>(flag: &str, value: &'a str) -> Result<&'a str, CliError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !value.is_empty() && value.chars().all(allowed) {
        Ok(value)
    } else {
        Err(CliError::Usage(format!(
            "{flag} `{value}`: write a time such as 60s or a name"
        )))
    }
}
