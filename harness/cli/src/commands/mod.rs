//! The commands, one module each. They read `args` and build on `shared`; none
//! uses another.

mod check;
mod diff;
mod doctor;
mod exec;
mod explain;
mod grid;
mod impact;
mod init;
mod install;
mod kernels;
mod list;
mod merge;
mod predict;
mod run;
mod schema;
mod tune;

use crate::args::Command;
use crate::shared::error::{CliError, Exit};

/// Carries out a command.
pub(crate) fn carry_out(command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Exec(args) => exec::exec(args),
        Command::Diff(args) => diff::diff(args),
        Command::Merge(args) => merge::merge(args),
        Command::Impact(args) => impact::impact(args),
        Command::Predict(args) => predict::predict(args),
        Command::Grid(args) => grid::grid(args),
        Command::Tune(args) => tune::tune(args),
        Command::List(args) => list::list(args),
        Command::Check(args) => check::check(args),
        Command::Init(args) => init::init(args),
        Command::Explain(args) => explain::explain(args),
        Command::Completions { shell } => install::completions(*shell),
        Command::Man { directory } => install::man(directory),
        Command::Schema { of } => schema::schema(*of),
        Command::Kernels { clear_states } => kernels::kernels(*clear_states),
        Command::Doctor => doctor::doctor(),
    }
}
