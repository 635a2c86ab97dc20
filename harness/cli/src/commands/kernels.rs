//! `halfopen kernels`: the kernels that guests can be started with.

use halfopen_vm::kernels;
use halfopen_vm::machine::state::store;

use crate::shared::error::{CliError, Exit};
use crate::shared::output;

pub(crate) fn kernels(clear_states: bool) -> Result<Exit, CliError> {
    if clear_states {
        let cleared = store::open_existing().and_then(|store| store.map(|s| s.clear()).transpose());
        let cleared = cleared.map_err(|e| CliError::Vm(format!("failed to clear states: {e}")))?;
        output::remark(&format!("thrown away: {}", cleared.unwrap_or_default()));
    }
    let found = kernels::find();
    output::say(&kernels::render(&found))?;
    match store::open_existing().and_then(|store| store.map(|s| s.usage()).transpose()) {
        Ok(None) => {}
        Ok(Some(usage)) => output::say(&format!("\nSaved states of guests: {usage}\n"))?,
        Err(e) => output::remark(&format!("saved states of guests: {e}")),
    }
    Ok(if found.kernels.is_empty() {
        Exit::Machine
    } else {
        Exit::AsExpected
    })
}
