//! Runs a command under the tracer and prints one line an event.
//!
//! ```text
//! trace [--json] [--quiet] [--tty] [--user UID:GID | --nested UID:GID] [--stdin TEXT]
//!       [--output-limit BYTES] [--namespace FILE] [--session]
//!       [--at LINE SIGNAL | --hang-up-at LINE | --answer LINE TEXT] -- COMMAND ...
//! ```
//!
//! `--at` sends the program a signal by number (`all:9`: every process) when it
//! writes that line; `--answer` writes TEXT and a line end to its input, and ends it;
//! `--hang-up-at` closes the stream of requests.
//!
//! Ends with the command's exit code, or 128 and the signal that ended it. With
//! `--quiet` the command has the caller's output, and only the summary of what was
//! set on each connection is printed besides.

use std::io::{self, BufWriter, PipeWriter, Write};
use std::process::ExitCode;

use halfopen_trace::event::End;
use halfopen_trace::{
    Detectors, Event, Output, Program, Request, Setup, SignalNumber, Stdin, Target, User, What, run,
};

struct Options {
    json: bool,
    quiet: bool,
    program: Program,
    /// At which line, and what then.
    at: Option<(String, At)>,
}

enum At {
    Signal(SignalNumber, Target),
    Answer(String),
    HangUp,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1).collect()) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("trace: {message}");
            return ExitCode::from(2);
        }
    };
    match trace(&options) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("trace: {message}");
            ExitCode::from(127)
        }
    }
}

fn trace(options: &Options) -> Result<u8, String> {
    let mut out = BufWriter::new(io::stdout());
    let mut detectors = Detectors::default();
    let mut began = None;
    let (control, requests) = io::pipe().map_err(|e| e.to_string())?;
    let mut requests = Some(requests);
    let mut sink = |event: Event| {
        detectors.observe(&event);
        if let (Some((line, at)), What::Line(written)) = (&options.at, &event.what)
            && written.text == *line
        {
            act(at, &mut requests);
        }
        let began = *began.get_or_insert(event.at_ns);
        // Whoever reads may have left: the command's exit code still counts.
        let _ = match (options.quiet, options.json) {
            (true, _) => Ok(()),
            (false, true) => json(&mut out, &event),
            (false, false) => line(&mut out, &event, began),
        };
    };
    let ended =
        run(&options.program, Some(control.into()), &mut sink).map_err(|e| e.to_string())?;
    if !options.json {
        for (socket, detector) in detectors.iter() {
            let _ = writeln!(out, "#{} {detector:?}", socket.0);
        }
    }
    let _ = out.flush();
    let code = match ended.end {
        End::Code(code) => code,
        End::Killed { signal, .. } => 128 + signal.0,
    };
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn act(at: &At, requests: &mut Option<PipeWriter>) {
    let sent = match at {
        At::HangUp => {
            *requests = None;
            return;
        }
        At::Signal(signal, to) => vec![Request::Signal {
            signal: *signal,
            to: *to,
        }],
        At::Answer(text) => vec![Request::Write(format!("{text}\n")), Request::CloseStdin],
    };
    if let Some(requests) = requests {
        for request in sent {
            // The tracer reads them in this very process.
            let _ = request.send(requests);
        }
    }
}

fn json(out: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    writeln!(out)?;
    out.flush()
}

fn line(out: &mut impl Write, event: &Event, began: i64) -> io::Result<()> {
    let time = (event.at_ns - began) as f64 / 1e9;
    writeln!(out, "{time:>11.6} {event}")?;
    out.flush()
}

fn options(args: Vec<String>) -> Result<Options, String> {
    let mut args = args.into_iter();
    let mut options = Options {
        json: false,
        quiet: false,
        program: Program::new(Vec::<String>::new()),
        at: None,
    };
    while let Some(argument) = args.next() {
        let mut value = || args.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => options.json = true,
            "--quiet" => {
                options.quiet = true;
                options.program.stdout = Output::Inherit;
                options.program.stderr = Output::Inherit;
            }
            "--tty" => options.program.stdout = Output::Terminal,
            "--user" => {
                let (uid, gid) = ids(&value()?)?;
                options.program.user = User::Ids { uid, gid };
            }
            "--nested" => {
                let (uid, gid) = ids(&value()?)?;
                options.program.user = User::Nested { uid, gid };
            }
            "--output-limit" => {
                options.program.output_limit = number(&value()?)?;
            }
            "--at" => {
                let line = value()?;
                let signal = value()?;
                let (signal, to) = match signal.strip_prefix("all:") {
                    Some(signal) => (number(signal)?, Target::All),
                    None => (number(&signal)?, Target::Program),
                };
                options.at = Some((line, At::Signal(SignalNumber(signal), to)));
            }
            "--answer" => {
                options.program.stdin = Stdin::Open(String::new());
                options.at = Some((value()?, At::Answer(value()?)));
            }
            "--namespace" => {
                let file = value()?;
                let opened = std::fs::File::open(&file).map_err(|e| format!("{file}: {e}"))?;
                options.program.setup.push(Setup::Namespace(opened.into()));
            }
            "--session" => options.program.setup.push(Setup::Session),
            "--hang-up-at" => options.at = Some((value()?, At::HangUp)),
            "--stdin" => options.program.stdin = Stdin::Text(value()?),
            "--" => {
                options.program.argv = args.collect();
                return Ok(options);
            }
            _ => return Err(format!("unknown option {argument}; the command follows --")),
        }
    }
    Err("usage: trace [--json] [--quiet] [--tty] [--user UID:GID] [--nested UID:GID] [--stdin TEXT] [--output-limit BYTES] [--namespace FILE] [--session] [--at LINE SIGNAL | --hang-up-at LINE | --answer LINE TEXT] -- COMMAND ...".into())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn ids(text: &str) -> Result<(u32, u32), String> {
    let parsed = text
        .split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    parsed.ok_or(format!("{text} is not UID:GID"))
}
