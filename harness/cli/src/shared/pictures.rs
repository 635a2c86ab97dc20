//! Pages and drawings in files: what `--html` and `--svg` of several commands have
//! in common. Where they are to go is checked before anything is run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::environment::Environment;
use halfopen_page::html::Page;
use halfopen_report::comparison::IgnoredSysctl;
use halfopen_scenario::case::Case;

use crate::args::{PageArgs, PictureArgs};

use super::baseline;
use super::error::CliError;
use super::output;

/// The files to write.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    html: Option<PathBuf>,
    svg: Option<PathBuf>,
}

impl Pictures {
    /// Those that were asked for.
    ///
    /// # Errors
    /// When a file cannot be written there, or a directory not be made.
    pub(crate) fn of(args: &PictureArgs) -> Result<Self, CliError> {
        if let Some(path) = &args.svg {
            fs::create_dir_all(path).map_err(|e| {
                CliError::Usage(format!("--svg {}: it cannot be made: {e}", path.display()))
            })?;
        }
        Ok(Pictures {
            html: file("--html", args.html.as_deref())?,
            svg: args.svg.clone(),
        })
    }

    /// The page that was asked for.
    ///
    /// # Errors
    /// As [`Pictures::of`].
    pub(crate) fn page(args: &PageArgs) -> Result<Self, CliError> {
        Ok(Pictures {
            html: file("--html", args.html.as_deref())?,
            svg: None,
        })
    }

    /// Whether any was asked for.
    pub(crate) fn any(&self) -> bool {
        self.html.is_some() || self.svg.is_some()
    }

    /// Writes the page, if it was asked for.
    pub(crate) fn write_page(&self, page: &Page<'_>) -> Result<(), CliError> {
        let Some(path) = &self.html else {
            return Ok(());
        };
        save(path, &page.render())?;
        output::remark(&format!("the page is in {}", path.display()));
        Ok(())
    }

    /// Writes drawings, if they were asked for: names without an ending, and their
    /// text.
    pub(crate) fn write_drawings(
        &self,
        drawings: impl Iterator<Item = (String, String)>,
    ) -> Result<(), CliError> {
        let Some(directory) = &self.svg else {
            return Ok(());
        };
        let mut written = 0;
        for (name, text) in drawings {
            save(&directory.join(format!("{}.svg", file_name(&name))), &text)?;
            written += 1;
        }
        output::remark(&format!(
            "{written} drawings are in {}",
            directory.display()
        ));
        Ok(())
    }
}

/// A file that is to be written: its directory has to be there, and it is none itself.
fn file(option: &str, path: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    let Some(path) = path else {
        return Ok(None);
    };
    if path.is_dir() {
        return Err(CliError::Usage(format!(
            "{option} {}: that is a directory; name the file in it",
            path.display()
        )));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|p| !p.is_dir()) {
        return Err(CliError::Usage(format!(
            "{option} {}: there is no directory {}",
            path.display(),
            parent.display()
        )));
    }
    Ok(Some(path.to_owned()))
}

fn save(path: &Path, text: &str) -> Result<(), CliError> {
    let saved: io::Result<()> = baseline::write(path, text);
    saved.map_err(|source| CliError::Save {
        path: path.to_owned(),
        source,
    })
}

/// A case's name as a file's: `host-crash--detector=none,family=ipv4`.
fn file_name(id: &str) -> String {
    id.replace('/', "--")
        .replace(|c: char| c.is_control() || c.is_whitespace(), "_")
}

/// The page of comparisons without runs.
pub(crate) fn changes<'a>(
    comparisons: &'a [Comparison],
    ignored: &'a [IgnoredSysctl],
    cases: &'a [Case],
) -> Page<'a> {
    Page {
        command: command(),
        runs: &[],
        cases,
        file: None,
        command_of: &|_, _| String::new(),
        grids: &[],
        comparisons,
        ignored,
    }
}

/// The command that runs one case again where it ran: `file` as typed, if it was.
pub(crate) fn run_again(
    file: Option<&Path>,
    id: &str,
    environment: &Environment,
    in_guest: bool,
) -> String {
    let mut words = vec!["halfopen".to_owned(), "run".to_owned()];
    words.extend(file.map(|file| quoted(&file.display().to_string())));
    words.push(quoted(&format!("={id}")));
    if in_guest {
        words.push(format!("--time {}", environment.time));
        words.push(format!("--kernel {}", quoted(&environment.kernel)));
    }
    for (host, set) in &environment.overrides {
        for (key, value) in set {
            words.push(format!(
                "--sysctl {}",
                quoted(&format!("{host}:{key}={value}"))
            ));
        }
    }
    words.push("--ladder".into());
    words.join(" ")
}

/// A word for a shell. A leading `=` is quoted, too: zsh expands it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match word.chars().all(plain) && !word.starts_with('=') && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The command line as it was typed, without the files to write: they are not what was
/// asked.
pub(crate) fn command() -> &'static str {
    static LINE: OnceLock<String> = OnceLock::new();
    LINE.get_or_init(|| command_of(std::env::args().skip(1)))
}

fn command_of(words: impl Iterator<Item = String>) -> String {
    const FILES: [&str; 2] = ["--html", "--svg"];
    let mut text = "halfopen".to_owned();
    let mut is_file = false;
    for word in words {
        let option = word.split('=').next().unwrap_or_default();
        if std::mem::take(&mut is_file) || FILES.contains(&option) {
            is_file = FILES.contains(&word.as_str());
            continue;
        }
        text.push(' ');
        text.push_str(&quoted(&word));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a=b"), "a=b");
        assert_eq!(quoted("=a/b=c"), "'=a/b=c'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn files_are_no_part_of_the_command() {
        let words = "run --html a.html x --svg=b --time virtual --svg c";
        let words = words.split(' ').map(str::to_owned);
        assert_eq!(command_of(words), "halfopen run x --time virtual");
    }

    #[test]
    fn a_case_is_a_file() {
        assert_eq!(file_name("host-crash/a=b,c=d"), "host-crash--a=b,c=d");
    }

    #[test]
    fn the_command_names_kernel_and_sysctls() {
        let mut environment = halfopen_outcome::testing::environment();
        environment.kernel = "6.12.9-amd64".into();
        environment.time = "virtual".into();
        let set = [("net.ipv4.tcp_retries2".to_owned(), "8".to_owned())];
        environment.overrides.insert("all".into(), set.into());
        assert_eq!(
            run_again(Some(Path::new("my.yaml")), "a/b=c", &environment, true),
            "halfopen run my.yaml '=a/b=c' --time virtual --kernel 6.12.9-amd64 \
             --sysctl all:net.ipv4.tcp_retries2=8 --ladder"
        );
    }
}
