//! `halfopen schema`: the JSON Schema of scenario files, or of runs.

use crate::args::SchemaOf;
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

pub(crate) fn schema(of: SchemaOf) -> Result<Exit, CliError> {
    let schema = match of {
        SchemaOf::Scenarios => halfopen_scenario::schema(),
        SchemaOf::Run => halfopen_report::json::schema::schema(),
    };
    // A file for editors, which people read, too.
    output::write_with(|out| halfopen_report::json::Layout::Indented.write(&schema, out))?;
    Ok(Exit::AsExpected)
}
