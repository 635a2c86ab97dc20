//! A question in flags.

use halfopen_predict::{Fault, InFlight, Question};
use halfopen_scenario::InputErrors;
use halfopen_scenario::case::Case;

use crate::args::{self, FaultName, PredictArgs};
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
    let text = question(args)?.scenario();
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

/// The question that the flags make.
fn question(args: &PredictArgs) -> Result<Question, CliError> {
    let keepalive = match &args.keepalive {
        None => None,
        Some(value) => {
            let parts: Vec<&str> = value.split(',').map(str::trim).collect();
            let parts: [&str; 3] = parts.try_into().map_err(|_| {
                CliError::Usage(format!(
                    "--keepalive {value}: write IDLE,INTERVAL,COUNT, such as 60s,20s,3"
                ))
            })?;
            for part in parts {
                plain("--keepalive", part)?;
            }
            Some(parts.map(str::to_owned))
        }
    };
    let scalar = |flag, value: &Option<String>| match value {
        Some(value) => plain(flag, value).map(|value| Some(value.to_owned())),
        None => Ok(None),
    };
    let retries2 = args.retries2.iter();
    Ok(Question {
        keepalive,
        user_timeout: scalar("--user-timeout", &args.user_timeout)?,
        fault: args.fault.map_or_else(Fault::default, fault),
        in_flight: match args.in_flight {
            None | Some(args::InFlight::None) => InFlight::None,
            Some(args::InFlight::After) => InFlight::After,
            Some(args::InFlight::Before) => InFlight::Before,
        },
        network: scalar("--network", &args.network)?,
        family: scalar("--family", &args.family)?,
        idle: scalar("--idle", &args.idle)?,
        sysctls: retries2
            .map(|n| ("net.ipv4.tcp_retries2".to_owned(), n.to_string()))
            .collect(),
    })
}

fn fault(name: FaultName) -> Fault {
    match name {
        FaultName::Crash => Fault::Crash,
        FaultName::Silence => Fault::Silence,
        FaultName::Reboot => Fault::Reboot,
        FaultName::Kill => Fault::Kill,
        FaultName::Freeze => Fault::Freeze,
        FaultName::OwnQdisc => Fault::OwnQdisc,
        FaultName::OwnFirewall => Fault::OwnFirewall,
        FaultName::OwnRoute => Fault::OwnRoute,
        FaultName::NetUnreachable => Fault::NetUnreachable,
        FaultName::HostUnreachable => Fault::HostUnreachable,
        FaultName::Reset => Fault::Reset,
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
