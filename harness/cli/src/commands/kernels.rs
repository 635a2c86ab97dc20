//! `halfopen kernels`: the kernels that guests can be started with.

use halfopen_vm::kernels;

use crate::shared::error::{CliError, Exit};
use crate::shared::output;

pub(crate) fn kernels() -> Result<Exit, CliError> {
    let found = kernels::find();
    output::say(&kernels::render(&found))?;
    Ok(if found.kernels.is_empty() {
        Exit::Machine
    } else {
        Exit::AsExpected
    })
}
