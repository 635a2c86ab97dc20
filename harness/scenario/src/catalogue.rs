//! A file of scenarios, checked.

use indexmap::IndexMap;

use super::case::{Case, Detector};
use super::decode::{Axes, Decoder, Point};
use super::detector;
use super::error::{InputErrors, Problem, Span};
use super::expand::{self, Shelf};
use super::findings::Findings;
use super::matrix::MAX_CASES;
use super::network;
use super::tree::{self, Node, Value};

/// Everything a file of scenarios says, expanded over every matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Every case, in file order.
    pub cases: Vec<Case>,
    /// Every scenario, in file order.
    pub scenarios: Vec<ScenarioInfo>,
    /// Every detector that a lane can have, by name; `none` is always there.
    pub detectors: IndexMap<String, Detector>,
}

/// A scenario, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// Where the story comes from.
    pub source: Vec<String>,
    /// Its line in the file, 1-based.
    pub line: u32,
    /// How many cases it has.
    pub cases: usize,
}

/// The largest text that is read, in bytes.
pub const MAX_BYTES: u64 = 4 << 20;

/// Reads and checks scenarios. `name` is the file's name, for messages.
///
/// # Errors
///
/// Everything that is wrong, each with its line. YAML that cannot be read at
/// all ends the reading, so its errors come alone.
pub fn parse(name: &str, text: &str) -> Result<Catalogue, InputErrors> {
    if text.len() as u64 > MAX_BYTES {
        return Err(InputErrors::whole(
            name,
            super::load::too_many_scenarios(text.len() as u64),
        ));
    }
    // A byte order mark would shift the first line's columns.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = document(name, text, empty)?;
    catalogue(&root).map_err(|problems| InputErrors::new(name, text, problems))
}

/// One YAML document, which is not empty.
pub fn document(
    name: &str,
    text: &str,
    empty: impl FnOnce() -> Problem,
) -> Result<Node, InputErrors> {
    let wrong = |problems| InputErrors::new(name, text, problems);
    if let Some((index, line)) = text
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains('\0'))
    {
        let column = line.chars().position(|c| c == '\0').unwrap_or(0);
        return Err(wrong(vec![super::load::binary(index, column)]));
    }
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Err(wrong(vec![empty()]));
    }
    tree::read(text).map_err(wrong)
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
    let Some(fields) = dec.fields(
        root,
        "a scenario file",
        &["version", "detectors", "networks", "scenarios"],
    ) else {
        return Err(findings.into_problems(1));
    };
    if let Some(node) = dec.required(&fields, "this file", "version", "1") {
        dec.scalar(node, "`1`", |text| match text {
            "1" => Ok(()),
            _ => Err(super::scalar::Refusal::new(format!(
                "version `{text}` is not known to this halfopen"
            ))),
        });
    }
    let shelf = Shelf {
        detectors: detector::declared(&dec, fields.get("detectors")),
        networks: network::declared(&dec, fields.get("networks")),
    };
    let scenarios = dec.required(
        &fields,
        "this file",
        "scenarios",
        "{ name-of-the-first: ... }",
    );
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
        match expand::scenario(&shelf, key, node, room) {
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
    catalogue.detectors = shelf.detectors;
    Ok(catalogue)
}
