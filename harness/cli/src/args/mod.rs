//! The command line: one file per command, with its arguments, their parsing and
//! its help text; this file has what several commands share. Depends on none of
//! the commands.

mod check;
mod diff;
mod exec;
mod explain;
mod grid;
mod impact;
mod init;
mod list;
mod merge;
mod partition;
mod pictures;
mod predict;
mod run;
mod sysctl;
mod tune;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use halfopen_vm::settings::GuestTime;

pub(crate) use check::CheckArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use exec::{ExecArgs, Observed};
pub(crate) use explain::ExplainArgs;
pub(crate) use grid::{Form, GridArgs, StateName};
pub(crate) use impact::ImpactArgs;
pub(crate) use init::InitArgs;
pub(crate) use list::ListArgs;
pub(crate) use merge::MergeArgs;
pub(crate) use pictures::{PageArgs, PictureArgs};
pub(crate) use predict::{FaultName, InFlight, PredictArgs};
pub(crate) use run::{BaselineArgs, RunArgs};
pub(crate) use sysctl::{EVERY_HOST, Sysctl};
pub(crate) use tune::{PathName, TuneArgs, WhileName};

/// The version and the commit it was built from (build.rs).
const VERSION: &str = env!("HALFOPEN_VERSION");

/// What your sockets do when the peer dies: which call returns, with which
/// errno, after how long.
#[derive(Debug, Parser)]
#[command(name = "halfopen", version = VERSION, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  halfopen doctor                     can this machine do it, and if not, the cure
  halfopen list                       what there is to run
  halfopen run host-crash             run the cases with `host-crash` in their names
  halfopen run my.yaml                run all cases of a file

Exit codes:
  0  everything that ran did as expected
  1  a case differs from what was expected, failed, or is outside its prediction
  2  the command line or a scenario file is wrong
  3  this machine cannot do it (the message says what is missing, and the cure)
  130  interrupted";

/// Reads the command line. Exits by itself after --help and --version (0) and on
/// wrong arguments (2).
pub(crate) fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|e| with_suggestion(e).exit())
}

/// Names the command that was probably meant. clap compares by Jaro similarity,
/// which finds nothing for words as short as `rnu`.
fn with_suggestion(mut error: clap::Error) -> clap::Error {
    const MOST_EDITS: usize = 2;
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return error;
    }
    let command = Cli::command();
    let nearest = command
        .get_subcommands()
        .map(|known| known.get_name())
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(edits, name)| *edits <= MOST_EDITS && *edits < name.len())
        .min();
    if let Some((_, name)) = nearest {
        let names = ContextValue::Strings(vec![name.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, names);
    }
    error
}

/// `--jobs`: how many at the same time.
fn jobs(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "write a number from 1 to 65535, or leave it out".into())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run cases and show what each one's sockets did
    #[command(after_help = run::HELP)]
    Run(RunArgs),
    /// Run a program against a fault, without a scenario file, and draw what happened
    #[command(after_help = exec::HELP)]
    Exec(ExecArgs),
    /// Compare two files of `run --save`: what is not the same any more
    #[command(after_help = diff::HELP)]
    Diff(DiffArgs),
    /// Make one run of what several machines ran
    #[command(after_help = merge::HELP)]
    Merge(MergeArgs),
    /// Say which cases a change of sysctls changes, from what to what, and why
    #[command(after_help = impact::HELP)]
    Impact(ImpactArgs),
    /// Say what each case's sockets will do and why, without running any
    #[command(after_help = predict::HELP)]
    Predict(PredictArgs),
    /// Run every detector against every fault: who notices what, after how long
    #[command(after_help = grid::HELP)]
    Grid(GridArgs),
    /// Find settings that notice in time and ride outages out, or prove that
    /// there are none
    #[command(after_help = tune::HELP)]
    Tune(TuneArgs),
    /// Show the cases there are, without running any
    #[command(after_help = list::HELP)]
    List(ListArgs),
    /// Read a file of scenarios and say what is wrong with it
    #[command(after_help = check::HELP)]
    Check(CheckArgs),
    /// Tell a case in sentences: what it does, and what the kernel will do
    #[command(after_help = explain::HELP)]
    Explain(ExplainArgs),
    /// Write commented scenarios to begin with
    #[command(after_help = init::HELP)]
    Init(InitArgs),
    /// Print the JSON Schema of scenario files, for editors, or of runs
    #[command(after_help = SCHEMA_HELP)]
    Schema {
        /// Of which files
        #[arg(value_enum, default_value_t = SchemaOf::Scenarios, value_name = "OF")]
        of: SchemaOf,
    },
    /// Show the kernels that guests can be started with
    #[command(after_help = KERNELS_HELP)]
    Kernels {
        /// Throw the saved states of guests away
        #[arg(long)]
        clear_states: bool,
    },
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write man pages, one for each command
    #[command(after_help = MAN_HELP)]
    Man {
        /// The directory, which is made if it is not there
        #[arg(value_name = "DIR")]
        directory: std::path::PathBuf,
    },
    /// Say what this machine can and cannot do, and the cure
    #[command(after_help = DOCTOR_HELP)]
    Doctor,
}

const SCHEMA_HELP: &str = "\
Example, for editors that use yaml-language-server:
  halfopen schema > scenarios.schema.json
and as the first line of the file of scenarios:
  # yaml-language-server: $schema=scenarios.schema.json";

const COMPLETIONS_HELP: &str = "\
Examples:
  halfopen completions bash > ~/.local/share/bash-completion/completions/halfopen
  halfopen completions zsh  > ~/.zfunc/_halfopen
  halfopen completions fish > ~/.config/fish/completions/halfopen.fish";

const MAN_HELP: &str = "\
Example:
  halfopen man ~/.local/share/man/man1";

const KERNELS_HELP: &str = "\
Looked for in the cache of ci/kernels ($HALFOPEN_KERNELS, else
~/.cache/halfopen/kernels), in /boot and under /lib/modules.

In virtual time a guest is not booted for each run: it is saved once, when it is about to
ask for its cases, and goes on from there. The saved states of this user's guests are kept in
$HALFOPEN_STATES (off: nowhere), else ~/.cache/halfopen/states. What does not fit any more
(another kernel, program or QEMU) is made anew by itself.

Exit codes: 0 there are some, 3 there are none.";

const DOCTOR_HELP: &str = "\
Each capability is tried out in a namespace that is thrown away; nothing on
this machine changes.

Exit codes: 0 cases can be run here, 3 they cannot.";

/// FILE and FILTERs; which is which is found out by `shared::select`.
#[derive(Debug, Args)]
pub(crate) struct CaseArgs {
    /// File of scenarios [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Run only cases whose name contains this, or matches it as a pattern with * and ?
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned text
    Table,
    /// One JSON object with everything that was recorded
    Json,
}

/// What there is a JSON Schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Files of scenarios
    Scenarios,
    /// What `run --format json` writes
    Run,
}

/// The forms of what was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Aligned text
    Table,
    /// What needs a look in tables, the rest folded
    Markdown,
    /// One JSON object with everything that was recorded
    Json,
}

/// The forms of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunFormat {
    /// Aligned text
    Table,
    /// What needs a look in tables, the rest folded
    Markdown,
    /// In Markdown, a row for each scenario and a column for each value of its last axis
    Matrix,
    /// One JSON object with everything that was recorded
    Json,
}

impl RunFormat {
    /// The form of a comparison.
    pub(crate) fn of_comparison(self) -> ReportFormat {
        match self {
            RunFormat::Table => ReportFormat::Table,
            RunFormat::Markdown | RunFormat::Matrix => ReportFormat::Markdown,
            RunFormat::Json => ReportFormat::Json,
        }
    }
}

/// What disturbed cases do to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDisturbed {
    /// Exit code 1
    Fail,
    /// A line on standard error
    Warn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Time {
    /// As it passes
    Real,
    /// Two hours in seconds
    Virtual,
}

impl Time {
    /// A guest's clock.
    pub(crate) fn guest(self) -> GuestTime {
        match self {
            Time::Real => GuestTime::Real,
            Time::Virtual => GuestTime::Virtual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// The words of a line, as a shell splits them: enough for documents.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
        for c in line.chars() {
            match (quote, c) {
                (Some(q), c) if c == q => quote = None,
                (Some(_), c) => word.push(c),
                (None, '\'' | '"') => (quote, inside) = (Some(c), true),
                (None, ' ') => {
                    if inside {
                        words.push(std::mem::take(&mut word));
                    }
                    inside = false;
                }
                (None, c) => {
                    word.push(c);
                    inside = true;
                }
            }
        }
        if inside {
            words.push(word);
        }
        // What follows is another program's, or a remark.
        let end = words
            .iter()
            .position(|w| matches!(w.as_str(), "|" | ">" | "#"));
        words.truncate(end.unwrap_or(words.len()));
        words
    }

    /// Every command that a document shows is one that this program takes.
    #[test]
    fn commands_in_documents_are_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let docs = std::fs::read_dir(root.join("docs")).expect("the checkout has docs/");
        let mut files: Vec<_> = docs.flatten().map(|entry| entry.path()).collect();
        files.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
        let mut seen = 0;
        for file in files
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == "md"))
        {
            let text = std::fs::read_to_string(file).expect("it can be read");
            let blocks = text.split("```sh\n").skip(1);
            let blocks = blocks.filter_map(|rest| rest.split("```").next());
            for line in blocks.flat_map(|block| {
                let lines = block.replace("\\\n", " ");
                lines.lines().map(str::to_owned).collect::<Vec<_>>()
            }) {
                let line = line.trim().replace("cargo run --release -- ", "halfopen ");
                if !line.starts_with("halfopen ") {
                    continue;
                }
                seen += 1;
                if let Err(e) = Cli::try_parse_from(words(&line)) {
                    let help = e.kind() == clap::error::ErrorKind::DisplayHelp;
                    assert!(help, "{}: {line}\n{e}", file.display());
                }
            }
        }
        assert!(seen > 20, "{seen} commands");
    }

    #[test]
    fn a_misspelt_command_is_answered_with_the_nearest() {
        let said = |word: &str| {
            let error = Cli::try_parse_from(["halfopen", word]).expect_err("no such command");
            with_suggestion(error).to_string()
        };
        assert!(said("rnu").contains("'run'"), "{}", said("rnu"));
        assert!(said("prdict").contains("'predict'"), "{}", said("prdict"));
        assert!(!said("frobnicate").contains("similar"));
    }
}
