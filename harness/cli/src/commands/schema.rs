//! `halfopen schema`: the JSON Schema of scenario files.

use crate::shared::error::{CliError, Exit};
use crate::shared::output;

pub(crate) fn schema() -> Result<Exit, CliError> {
    output::write_json(&halfopen_scenario::schema())?;
    Ok(Exit::AsExpected)
}
