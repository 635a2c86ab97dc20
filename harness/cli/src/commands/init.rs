//! `halfopen init`: scenarios to begin with, and their schema beside them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::args::InitArgs;
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

/// The name that the templates' first line has for the schema.
const SCHEMA: &str = "scenarios.schema.json";

pub(crate) fn init(args: &InitArgs) -> Result<Exit, CliError> {
    let file = &args.file;
    let folder = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(CliError::Usage(format!(
            "{}: there is no directory {}",
            file.display(),
            folder.display()
        )));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = args.from_template.text();
    // The commands in its comments name the file as it is called.
    let text = text.replace("scenarios.yaml", &name);
    create(file, &text)?;
    let schema = file.with_file_name(SCHEMA);
    match schema.symlink_metadata() {
        // Another file's, made by this command as well.
        Ok(_) => output::remark(&format!("{} is there already", schema.display())),
        Err(_) => create(&schema, &format!("{:#}\n", halfopen_scenario::schema()))?,
    }
    let run = format!("halfopen run {}", file.display());
    output::say(&format!(
        "{} and {} are written; {run}\n",
        file.display(),
        schema.display()
    ))?;
    Ok(Exit::AsExpected)
}

fn create(path: &Path, text: &str) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => CliError::Usage(format!(
            "{} is there already, and stays as it is; name another file",
            path.display()
        )),
        _ => CliError::Save {
            path: path.to_owned(),
            source: e,
        },
    })
}
