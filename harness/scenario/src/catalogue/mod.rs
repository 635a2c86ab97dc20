//! Reads a file of scenarios: its declarations, and the cases of each scenario. It uses
//! the decoders of all subjects; [`parse`] and [`load`] are the crate's interface.

use std::path::Path;

use indexmap::IndexMap;

use crate::case::{Case, Detector};
use crate::yaml::document;
use crate::yaml::file::{self, Kind, MAX_BYTES};
use crate::yaml::{
    Axes, Decoder, Findings, InputErrors, Node, Point, Problem, Refusal, Span, Value,
};
use crate::{detector, network};

mod check;
mod matrix;
mod scenario;
mod settings;
mod table;

pub use table::{FILE, SCENARIO};

use matrix::MAX_CASES;
use scenario::Declarations;

/// A file of scenarios, checked, with all cases of every matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Every case, in file order.
    pub cases: Vec<Case>,
    /// Every scenario, in file order.
    pub scenarios: Vec<ScenarioInfo>,
    /// Every detector that a lane can have, by name; `none` is always there.
    pub detectors: IndexMap<String, Detector>,
}

/// What a list shows of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// Where the scenario comes from: rows of the table of claims, chapters.
    pub source: Vec<String>,
    /// Its line in the file, 1-based.
    pub line: u32,
    /// How many cases it has.
    pub cases: usize,
}

/// Reads and checks a file of scenarios.
///
/// # Errors
///
/// As [`parse`]. A file that is missing, cannot be read, is a directory, is larger
/// than 4 MiB or is not UTF-8 text, each with advice.
pub fn load(path: &Path) -> Result<Catalogue, InputErrors> {
    let mut catalogue = parse(&path.display().to_string(), &file::text(path, &SCENARIOS)?)?;
    let folder = folder_of(path);
    let lanes = catalogue.cases.iter_mut().flat_map(|case| &mut case.lanes);
    for program in lanes.filter_map(|lane| lane.program.as_mut()) {
        program.resolve_folder(&folder);
    }
    Ok(catalogue)
}

/// The directory of a file, absolute.
fn folder_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    folder.display().to_string()
}

const SCENARIOS: Kind = Kind {
    what: "a file of scenarios",
    missing: "name one, `halfopen run FILE`, or run in the directory of `scenarios.yaml`",
    directory: "name the file in it, such as `scenarios.yaml`",
};

/// Reads and checks scenarios. `name` is the file's name, for messages.
///
/// # Errors
///
/// All mistakes, each with its line. Errors of YAML syntax come alone, because nothing
/// can be decoded then.
pub fn parse(name: &str, text: &str) -> Result<Catalogue, InputErrors> {
    if text.len() as u64 > MAX_BYTES {
        return Err(InputErrors::whole(
            name,
            file::too_large(text.len() as u64, &SCENARIOS),
        ));
    }
    // A byte order mark would shift the columns of the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = document(name, text, empty)?;
    catalogue(&root).map_err(|problems| InputErrors::new(name, text, problems))
}

fn empty() -> Problem {
    Problem::new(
        Span {
            line: 1,
            column: 1,
            length: 1,
        },
        "there are no scenarios here",
    )
    .expected("`version: 1` and `scenarios:`")
    .help("`halfopen schema` describes the format")
}

fn catalogue(root: &Node) -> Result<Catalogue, Vec<Problem>> {
    if root.value == Value::Null {
        return Err(vec![empty()]);
    }
    let (findings, axes, point) = (Findings::default(), Axes::new(), Point::new());
    let dec = Decoder {
        findings: &findings,
        axes: &axes,
        point: &point,
        id: "",
    };
    let Some(fields) = dec.mapping(root, &FILE) else {
        return Err(findings.into_problems(1));
    };
    if let Some(node) = dec.needed(&fields, "version") {
        dec.scalar(node, "`1`", |text| match text {
            "1" => Ok(()),
            _ => Err(Refusal::new(format!(
                "version `{text}` is not known to this halfopen"
            ))),
        });
    }
    let declarations = Declarations {
        detectors: detector::declared(&dec, fields.get("detectors")),
        networks: network::declared(&dec, fields.get("networks")),
    };
    let scenarios = dec.needed(&fields, "scenarios");
    let entries = scenarios
        .and_then(|node| dec.map(node, "a mapping from names to scenarios"))
        .unwrap_or(&[]);
    if let Some(node) = scenarios
        && node.value == Value::Map(Vec::new())
    {
        dec.problem(
            Problem::new(node.span, "there are no scenarios here")
                .expected("at least one scenario"),
        );
    }
    let mut catalogue = Catalogue {
        cases: Vec::new(),
        scenarios: Vec::new(),
        detectors: IndexMap::new(),
    };
    let mut problems = Vec::new();
    for (key, node) in entries {
        let room = MAX_CASES.saturating_sub(catalogue.cases.len());
        match scenario::scenario(&declarations, key, node, room) {
            Ok(cases) => {
                if let Some(first) = cases.first() {
                    catalogue.scenarios.push(ScenarioInfo {
                        name: key.name.clone(),
                        about: first.about.clone(),
                        source: first.source.clone(),
                        line: key.span.line,
                        cases: cases.len(),
                    });
                }
                catalogue.cases.extend(cases);
            }
            Err(more) => problems.extend(more),
        }
    }
    problems.extend(findings.into_problems(1));
    if !problems.is_empty() {
        return Err(problems);
    }
    catalogue.detectors = declarations.detectors;
    Ok(catalogue)
}
