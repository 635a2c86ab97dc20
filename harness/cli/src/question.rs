//! A quick question in flags, asked as a scenario: there is one predictor.

use clap::{Args, ValueEnum};
use halfopen_scenario::case::Case;

use super::args::{Format, Sysctl, What, sysctl};
use super::error::CliError;

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// Keepalive: idle time, interval and count, such as 60s,20s,3
    #[arg(long, value_name = "IDLE,INTERVAL,COUNT")]
    pub(super) keepalive: Option<String>,
    /// TCP_USER_TIMEOUT
    #[arg(long, value_name = "TIME")]
    pub(super) user_timeout: Option<String>,
    /// net.ipv4.tcp_retries2 of the endpoint's host
    #[arg(long, value_name = "N")]
    pub(super) retries2: Option<u8>,
    /// What happens
    #[arg(long, value_enum, value_name = "FAULT")]
    pub(super) fault: Option<FaultName>,
    /// What the endpoint has sent that is not acknowledged
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) in_flight: Option<Flying>,
    /// `link`, `lan` (a switch between them) or `routed`
    #[arg(long, value_name = "NAME")]
    pub(super) network: Option<String>,
    /// `ipv4` or `ipv6`
    #[arg(long, value_name = "FAMILY")]
    pub(super) family: Option<String>,
    /// How long before the fault the last segment was received
    #[arg(long, value_name = "TIME")]
    pub(super) idle: Option<String>,
    /// The kernel's version [default: this machine's]
    #[arg(long, value_name = "VERSION")]
    pub(super) kernel: Option<String>,
    /// The kernel's ticks a second [default: this machine's, 250 with --kernel]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(24..=10_000))]
    pub(super) hz: Option<u32>,
    /// Set a sysctl on a host (`all`: on every host), over the scenarios' own;
    /// may be given several times
    #[arg(long, value_name = "HOST:KEY=VALUE", value_parser = sysctl)]
    pub(super) sysctl: Vec<Sysctl>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FaultName {
    /// The peer's host loses power
    Crash,
    /// A packet filter on the way swallows everything
    Silence,
    /// The peer's host loses power and is back after ten seconds
    Reboot,
    /// The peer's process is killed
    Kill,
    /// The peer's process is stopped
    Freeze,
    /// The own host's qdisc drops everything
    OwnQdisc,
    /// The own host's firewall drops everything
    OwnFirewall,
    /// The own host loses its routes
    OwnRoute,
    /// A router answers network unreachable
    NetUnreachable,
    /// A router answers host unreachable
    HostUnreachable,
    /// Something on the way answers with RST
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Flying {
    /// Nothing: the connection is idle
    None,
    /// Data that was written after the fault
    After,
    /// Data that was written just before the fault
    Before,
}

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
    let flying = args.in_flight.unwrap_or(Flying::None);
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
        Flying::None => ("", ""),
        // A reboot's mark is reached when the host is back: this one while it is down.
        Flying::After if fault == FaultName::Reboot => (
            "{ at: AT, netstat: , name: begun }, { after: begun, by: 1ms, netstat: , name: down }, ",
            "{ wait_for: down }, { write: world }, ",
        ),
        Flying::After => ("", "{ wait_for: fault }, { write: world }, "),
        // Its first try, and no other, is lost on the wire as the fault strikes.
        Flying::Before => (
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
            Flying::Before => "after: lost, by: 1ms".to_owned(),
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
