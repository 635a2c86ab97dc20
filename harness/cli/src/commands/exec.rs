//! `halfopen exec`: one program against one fault, without YAML. It writes a
//! scenario, runs it like any other, and ends with the program's exit code.

mod alone;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::args::{ExecArgs, Observed, Time};
use crate::shared::error::{CliError, Exit};
use crate::shared::pictures::{Pictures, command};
use crate::shared::{EXPLAIN_IN_GUESTS, capabilities, guests, interrupt, modules, output};
use halfopen_net::error::chain;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{ExitKind, Outcome, Status};
use halfopen_page::html::Page;
use halfopen_report::finished::Finished;
use halfopen_report::{ladder, text};
use halfopen_runner::Options;
use halfopen_scenario::case::{Case, Input};

/// The exit code of timeout(1) for a command that was still running.
const STILL_RUNNING: u8 = 124;

/// Runs the command; its exit code.
pub(crate) fn exec(args: &ExecArgs) -> Result<Exit, CliError> {
    if args.is_alone() {
        if args.page.html.is_some() {
            return Err(CliError::Usage(
                "--html: a command that a guest runs alone makes no case to draw; \
                 give it a --server, a --fault or a --network"
                    .into(),
            ));
        }
        return alone::exec(args);
    }
    let in_guest_only = args.time == Time::Virtual || args.kernel.is_some();
    if args.explain && !in_guest_only {
        return Err(CliError::Usage(EXPLAIN_IN_GUESTS.into()));
    }
    let mut case = case(args)?;
    if let Some(directory) = &args.pcap {
        output::make_directory(directory, "--pcap")?;
    }
    let pictures = Pictures::page(&args.page)?;
    if in_guest_only {
        return in_guest(args, case, &pictures);
    }
    for lane in &mut case.lanes {
        if let Some(program) = lane.program.as_mut().filter(|_| lane.name == CLIENT) {
            program.echo = true;
            program.stdin = Input::Inherit;
        }
    }
    let cases = [case];
    modules::load_none(args.no_module_loading, &cases, &BTreeMap::new())?;
    let options = Options {
        // Before any thread is started: see privileges.
        privileges: capabilities::needed_for_run()?.to_owned(),
        interrupt: interrupt::watch(),
        pcap: args.pcap.clone(),
        ..Options::default()
    };
    let began = Instant::now();
    let results = halfopen_runner::run(&cases, &options, &mut |_| ());
    let results = results.map_err(|e| CliError::Run(chain(&e)))?;
    if results.interrupted {
        return Ok(Exit::Interrupted);
    }
    match results.outcomes.first() {
        Some(outcome) => {
            draw(&pictures, &results.environment, &cases, outcome, began)?;
            report(outcome)
        }
        None => Err(CliError::Run("the case has no outcome".into())),
    }
}

/// The same in a guest: what the command wrote follows when the guest has ended.
fn in_guest(args: &ExecArgs, case: Case, pictures: &Pictures) -> Result<Exit, CliError> {
    let kernels = guests::kernels_of(args.kernel.as_slice())?;
    let options = halfopen_vm::cases::Options {
        time: args.time.guest(),
        interrupt: interrupt::watch(),
        pcap: args.pcap.clone(),
        explain: args.explain,
        ..halfopen_vm::cases::Options::default()
    };
    let cases = [case];
    let began = Instant::now();
    let runs = halfopen_vm::cases::run(&cases, &kernels, &options, &mut |_, _| ());
    let runs = runs.map_err(|e| CliError::Vm(chain(&e)))?;
    let run = runs
        .first()
        .ok_or_else(|| CliError::Vm("no guest ran".into()))?;
    if let Err(e) = &run.ended {
        return Err(CliError::Vm(chain(e)));
    }
    let outcome = run.outcomes.first();
    let outcome = outcome.ok_or_else(|| CliError::Vm("the case has no outcome".into()))?;
    let client = outcome.programs.iter().filter(|p| p.lane == CLIENT);
    for line in client.flat_map(|program| &program.lines) {
        match line.stderr {
            true => output::remark(&line.text),
            false => output::say(&format!("{}\n", line.text))?,
        }
    }
    if let Some(environment) = &run.environment {
        draw(pictures, environment, &cases, outcome, began)?;
    }
    report(outcome)
}

/// Writes `--html`.
fn draw(
    pictures: &Pictures,
    environment: &Environment,
    cases: &[Case],
    outcome: &Outcome,
    began: Instant,
) -> Result<(), CliError> {
    let run = Finished {
        environment,
        outcomes: std::slice::from_ref(outcome),
        interrupted: false,
        elapsed: began.elapsed(),
    };
    pictures.write_page(&Page {
        command: command(),
        runs: &[run],
        cases,
        file: None,
        command_of: &|_, _| command().to_owned(),
        grids: &[],
        comparisons: &[],
        ignored: &[],
    })
}

const CLIENT: &str = "client";

fn report(outcome: &Outcome) -> Result<Exit, CliError> {
    match &outcome.status {
        Status::NotRun(why) => {
            output::error(why);
            return Ok(Exit::Machine);
        }
        Status::Failed(why) => return Err(CliError::Run(why.clone())),
        Status::Ran => {}
    }
    let view = ladder::View {
        width: usize::from(output::width()),
        most_rows: 60,
        from_fault: false,
    };
    output::remark(&format!("\n{}", ladder::render(outcome, &view).trim_end()));
    if let Some(first) = &outcome.first_sign {
        output::remark(&format!("first sign: {}", text::first_sign(first)));
    }
    match (&outcome.prediction, &outcome.unpredictable) {
        (Some(predicted), _) if !outcome.faults.is_empty() => {
            let because = &predicted.because;
            output::remark(&format!(
                "predicted: {} ({because})",
                text::prediction(predicted)
            ));
        }
        (None, Some(why)) if !outcome.faults.is_empty() => {
            output::remark(&format!("predicted: ? ({why})"));
        }
        _ => {}
    }
    if let Some(outside) = &outcome.outside {
        output::remark(&format!("note: outside its prediction: {outside}"));
    }
    if let Some(seen) = &outcome.user_sees {
        let after = halfopen_net::span::human_ns(seen.since_fault_ns);
        output::remark(&format!("its user sees {} after {after}", seen.what));
    }
    for detector in outcome
        .programs
        .iter()
        .filter(|p| p.lane == CLIENT)
        .flat_map(|p| &p.detectors)
        .filter(|detector| !detector.text.is_empty())
    {
        let conn = detector.conn.as_deref().unwrap_or("a socket");
        output::remark(&format!("detector on {conn}: {}", detector.text));
    }
    for surprise in &outcome.surprises {
        output::remark(&format!("note: {surprise}"));
    }
    Ok(Exit::Command(code(outcome)))
}

fn code(outcome: &Outcome) -> u8 {
    let client = outcome.endpoints.iter().find(|e| e.lane == CLIENT);
    let end = client.and_then(|e| e.processes.first()?.end.as_ref());
    match end.map(|end| &end.how) {
        Some(ExitKind::Exited(status)) => u8::try_from(*status).unwrap_or(u8::MAX),
        Some(ExitKind::Killed(signal)) => {
            let number = signal
                .parse::<nix::sys::signal::Signal>()
                .map_or(0, |signal| signal as i32);
            u8::try_from(128 + number).unwrap_or(u8::MAX)
        }
        None => {
            output::remark("the command was still running when the case gave up (--give-up)");
            STILL_RUNNING
        }
    }
}

/// The scenario of these words, as a file would have it.
fn case(args: &ExecArgs) -> Result<Case, CliError> {
    let mut scenario = serde_json::json!({
        "about": "halfopen exec",
        "network": args.network.as_deref().unwrap_or("link"),
        "family": args.family.as_deref().unwrap_or("ipv4"),
        "give_up": args.give_up.as_deref().unwrap_or("60s"),
        CLIENT: { "run": args.command },
    });
    if args.observe == Observed::Wire {
        scenario[CLIENT]["observe"] = "wire".into();
    }
    if let Some(server) = &args.server {
        let mut lane = serde_json::json!({ "run": server });
        lane["ready"] = ready(args.ready.as_deref());
        if args.observe == Observed::Wire {
            lane["observe"] = "wire".into();
        }
        scenario["server"] = lane;
    }
    let faults: Result<Vec<_>, _> = args.fault.iter().map(|text| fault(text)).collect();
    let faults = faults?.join(",\n");
    let scenario = scenario.to_string();
    let keys = scenario
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let keys = keys.unwrap_or_default();
    // JSON is YAML. Each fault has a line of its own, from FIRST_FAULT on.
    let file = format!(
        "{{ \"version\": 1, \"scenarios\": {{ \"exec\": {{\n{keys},\n\"faults\": [\n{faults}\n] }} }} }}\n"
    );
    let catalogue = halfopen_scenario::parse("halfopen exec", &file)
        .map_err(|e| CliError::Usage(problems(&e, &args.fault)))?;
    let case = catalogue.cases.into_iter().next();
    let mut case = case.ok_or_else(|| CliError::Usage("there is nothing to run".into()))?;
    for program in case
        .lanes
        .iter_mut()
        .filter_map(|lane| lane.program.as_mut())
    {
        if let Some(name) = program.run.first_mut() {
            *name = from_here(name);
        }
    }
    Ok(case)
}

/// A program's path from the caller's working directory, as a shell takes it: the program
/// starts in a directory of its own.
fn from_here(name: &str) -> String {
    let here = std::path::absolute(name)
        .ok()
        .filter(|_| name.contains('/'));
    let path = here.and_then(|path| path.into_os_string().into_string().ok());
    path.unwrap_or_else(|| name.to_owned())
}

/// The line of the first fault in the file that is made of the arguments.
const FIRST_FAULT: u32 = 4;

/// What is wrong, with the --fault it is in, if it is in one, and without the lines of a
/// file that nobody has written.
fn problems(errors: &halfopen_scenario::InputErrors, faults: &[String]) -> String {
    let flag = |line: u32| {
        let fault = faults.get(line.checked_sub(FIRST_FAULT)? as usize)?;
        Some(format!("--fault '{fault}': "))
    };
    let problem = |p: &halfopen_scenario::Problem| {
        let flag = flag(p.span.line).unwrap_or_default();
        let expected = p.expected.iter().map(|e| format!("; expected {e}"));
        let help = p.help.iter().map(|h| format!("; {h}"));
        let rest: String = expected.chain(help).collect();
        format!("{flag}{}{rest}", p.message)
    };
    let all: Vec<String> = errors.problems().iter().map(problem).collect();
    all.join("\n")
}

fn ready(given: Option<&str>) -> serde_json::Value {
    match given {
        None => "listening".into(),
        Some(port) if port.parse::<u16>().is_ok() => serde_json::json!({ "listening": port }),
        Some(time) if halfopen_net::duration::parse(time).is_ok() => {
            serde_json::json!({ "after": time })
        }
        Some(text) => serde_json::json!({ "output": text }),
    }
}

/// `crash server @5s` as an event of a scenario.
fn fault(text: &str) -> Result<String, CliError> {
    let wrong = |why: &str| {
        CliError::Usage(format!(
            "--fault '{text}': {why}; write VERB WHAT @TIME, such as `crash server @5s`"
        ))
    };
    let (what, at) = text.rsplit_once('@').ok_or_else(|| wrong("no time"))?;
    let mut words = what.split_whitespace();
    let verb = words.next().ok_or_else(|| wrong("no verb"))?;
    let target = words.next().ok_or_else(|| wrong("nothing it is done to"))?;
    if words.next().is_some() {
        return Err(wrong("too many words"));
    }
    Ok(serde_json::json!({ "at": at.trim(), verb: target }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_scenario::case::{EventAction, Ready};

    fn args(fault: &[&str], server: Option<&str>, ready: Option<&str>) -> ExecArgs {
        ExecArgs {
            network: None,
            family: None,
            fault: fault.iter().map(|&text| text.into()).collect(),
            server: server.map(Into::into),
            ready: ready.map(Into::into),
            time: Time::Real,
            kernel: None,
            pcap: None,
            observe: Observed::Calls,
            explain: false,
            page: Default::default(),
            give_up: None,
            write: Vec::new(),
            memory: 1024,
            no_module_loading: false,
            command: vec!["redis-cli".into(), "-h".into(), "server".into()],
        }
    }

    #[test]
    fn words_become_a_scenario() {
        let case = case(&args(
            &["crash server @5s"],
            Some("redis-server --port 7000"),
            None,
        ));
        let case = case.expect("right");
        let crash = EventAction::Crash {
            host: "server".into(),
        };
        assert_eq!(case.events[0].action, crash);
        let server = case.lanes.iter().find(|lane| lane.name == "server");
        let program = server
            .and_then(|lane| lane.program.as_ref())
            .expect("a program");
        assert_eq!(program.run, ["redis-server", "--port", "7000"]);
        assert_eq!(program.ready, Some(Ready::Listening(None)));
    }

    #[test]
    fn a_path_is_from_the_working_directory() {
        assert_eq!(from_here("redis-cli"), "redis-cli");
        assert_eq!(from_here("/bin/sh"), "/bin/sh");
        let here = std::env::current_dir().expect("there is one");
        assert_eq!(
            from_here("./client"),
            here.join("client").display().to_string()
        );
    }

    #[test]
    fn wrong_words_are_said_with_the_cure() {
        for (fault, said) in [
            ("crash server", "crash server @5s"),
            ("crahs server @5s", "did you mean `crash`"),
            (
                "crahs server @5s",
                "--fault 'crahs server @5s': unknown event",
            ),
            ("crash servr @5s", "did you mean `server`"),
            ("crash server @5", "5s"),
        ] {
            let error = case(&args(&[fault], None, None))
                .expect_err(fault)
                .to_string();
            assert!(error.contains(said), "{fault}: {error}");
        }
    }
}
