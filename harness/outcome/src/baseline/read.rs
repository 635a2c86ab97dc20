//! Reads baselines from YAML with the decoder of the scenario files: every mistake
//! is reported with its line.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Baseline, CaseResult, Entry, Observation, SavedRun, Setting, VERSION};
use halfopen_scenario::internal::{
    Axes, Decoder, Fields, Findings, Node, Point, Refusal, Value, document, scalar, sign,
};
use halfopen_scenario::{InputErrors, Problem, Span};

/// Parses a baseline file. `name` is the file's name, for messages.
///
/// # Errors
/// All mistakes, each with its line.
pub fn read(name: &Path, text: &str) -> Result<Baseline, InputErrors> {
    let name = name.display().to_string();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = document(&name, text, empty)?;
    let (findings, axes, point) = (Findings::default(), Axes::new(), Point::new());
    let dec = Decoder {
        findings: &findings,
        axes: &axes,
        point: &point,
        id: "",
    };
    let baseline = file(&dec, &root);
    let problems = findings.into_problems(1);
    match baseline {
        Some(baseline) if problems.is_empty() => Ok(baseline),
        _ => Err(InputErrors::new(&name, text, problems)),
    }
}

fn empty() -> Problem {
    let start = Span {
        line: 1,
        column: 1,
        length: 1,
    };
    Problem::new(start, "there is no baseline here")
        .expected("`version: 1` and `runs:`")
        .help("`halfopen run --save FILE` writes one")
}

fn file<'a>(dec: &Decoder<'a, '_>, root: &'a Node) -> Option<Baseline> {
    if let Value::Map(entries) = &root.value
        && let Some((key, _)) = entries.iter().find(|(key, _)| key.name == "scenarios")
    {
        dec.problem(
            Problem::new(key.span, "this is a file of scenarios, not a baseline")
                .expected("`runs:`")
                .help("`halfopen run FILE --save BASELINE` writes a baseline of its cases"),
        );
        return None;
    }
    // Checked first: a later version of the format may have unknown keys.
    if let Value::Map(entries) = &root.value {
        let given = entries.iter().find(|(key, _)| key.name == "version");
        if let Some((_, node)) = given {
            dec.scalar(node, "`1`", version)?;
        }
    }
    let fields = dec.fields(root, "a baseline", &["version", "runs"])?;
    dec.required(&fields, "this baseline", "version", "1");
    let runs = dec.required(&fields, "this baseline", "runs", "[{ kernel: ... }]")?;
    let nodes = dec.list(runs, "a list of runs")?;
    let mut runs: Vec<SavedRun> = Vec::new();
    for node in nodes {
        let Some(run) = saved_run(dec, node) else {
            continue;
        };
        let same = |other: &SavedRun| {
            (&other.setting.clock, &other.setting.kernel)
                == (&run.setting.clock, &run.setting.kernel)
        };
        if runs.iter().any(same) {
            let message = format!(
                "a second run of kernel {} in {} time",
                run.setting.kernel, run.setting.clock
            );
            dec.problem(Problem::new(node.span, message).expected("one run a kernel and clock"));
        }
        runs.push(run);
    }
    Some(Baseline { runs })
}

fn version(text: &str) -> Result<(), Refusal> {
    match text.parse::<u32>() {
        Ok(VERSION) => Ok(()),
        Ok(later) if later > VERSION => Err(Refusal::with(
            format!("this baseline was written by a newer halfopen: its version is {later}"),
            "use that halfopen, or save the baseline again with this one",
        )),
        _ => Err(Refusal::new(format!(
            "version `{text}` is not known to this halfopen"
        ))),
    }
}

fn saved_run<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<SavedRun> {
    let what = "a run";
    let keys = [
        "clock",
        "halfopen",
        "hz",
        "kernel",
        "overrides",
        "sysctls",
        "cases",
    ];
    let fields = dec.fields(node, what, &keys)?;
    let text = |key: &str, example: &str| {
        dec.required(&fields, what, key, example)
            .and_then(|node| dec.text(node, example))
    };
    let kernel = text("kernel", "6.12.9-amd64");
    let halfopen = text("halfopen", "0.1.0");
    let clock = dec
        .required(&fields, what, "clock", "virtual")
        .and_then(|node| dec.choose(node, "clock", &[("real", "real"), ("virtual", "virtual")]));
    let hz = match fields.get("hz") {
        None => Some(None),
        Some(node) => dec
            .scalar(node, "ticks a second such as `250`", |text| {
                scalar::whole(text, 1u32, 100_000)
            })
            .map(Some),
    };
    let sysctls = match fields.get("sysctls") {
        None => Some(BTreeMap::new()),
        Some(node) => values(dec, node),
    };
    let overrides = match fields.get("overrides") {
        None => Some(BTreeMap::new()),
        Some(node) => dec
            .map(node, "a mapping from host to sysctls")?
            .iter()
            .map(|(host, node)| Some((host.name.clone(), values(dec, node)?)))
            .collect(),
    };
    let cases = dec.required(&fields, what, "cases", "{ id: ... }")?;
    let mut read = BTreeMap::new();
    for (id, node) in dec.map(cases, "a mapping from a case's id to what it showed")? {
        if let Some(entry) = entry(dec, node) {
            read.insert(id.name.clone(), entry);
        }
    }
    Some(SavedRun {
        setting: Setting {
            kernel: kernel?,
            hz: hz?,
            clock: clock?.to_owned(),
            halfopen: halfopen?,
            sysctls: sysctls?,
            overrides: overrides?,
        },
        cases: read,
    })
}

fn values<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<BTreeMap<String, String>> {
    dec.map(node, "a mapping from sysctl to value")?
        .iter()
        .map(|(key, node)| {
            let value = dec.text(node, "a value such as `3`")?;
            Some((key.name.clone(), value))
        })
        .collect()
}

fn entry<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Entry> {
    let what = "a case";
    let keys = [
        "definition",
        "failed",
        "known",
        "not_run",
        "sign",
        "states",
        "wire",
    ];
    let fields = dec.fields(node, what, &keys)?;
    let definition = dec
        .required(&fields, what, "definition", "\"0123456789abcdef\"")
        .and_then(|node| {
            dec.scalar(node, "16 hexadecimal digits", |text| {
                let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                if text.len() == 16 && text.chars().all(hex) {
                    Ok(text.to_owned())
                } else {
                    Err(Refusal::new(format!("`{text}` is not a definition")))
                }
            })
        });
    let known = match fields.get("known") {
        None => Some(None),
        Some(node) => sign::known(dec, node).map(Some),
    };
    let result = result(dec, &fields);
    Some(Entry {
        definition: definition?,
        result: result?,
        known: known?,
    })
}

fn result<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<CaseResult> {
    let kinds = ["failed", "not_run", "sign"];
    let given: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    if given.len() != 1 {
        let message = match given.as_slice() {
            [] => "this case shows nothing".to_owned(),
            several => format!("a case that both `{}`", several.join("` and `")),
        };
        dec.problem(Problem::new(fields.span, message).expected("one of: failed, not_run, sign"));
        return None;
    }
    let sign = fields.get("sign");
    for key in ["states", "wire"] {
        if let (None, Some(span)) = (sign, fields.key(key)) {
            let message = format!("`{key}` of a case that did not run");
            dec.problem(Problem::new(span, message).expected("`sign:` beside it"));
            return None;
        }
    }
    let reason = |key: &str| fields.get(key).map(|node| dec.text(node, "a reason"));
    if let Some(why) = reason("failed") {
        return Some(CaseResult::Failed(why?));
    }
    if let Some(why) = reason("not_run") {
        return Some(CaseResult::NotRun(why?));
    }
    let sign = sign::seen(dec, sign?);
    let states = match fields.get("states") {
        None => Some(Vec::new()),
        Some(node) => dec
            .list(node, "a list such as `[client ESTABLISHED]`")?
            .iter()
            .map(|node| dec.text(node, "a state such as `client ESTABLISHED`"))
            .collect(),
    };
    let wire = match fields.get("wire") {
        None => Some(None),
        Some(node) => counts(dec, node).map(Some),
    };
    Some(CaseResult::Ran(Box::new(Observation {
        sign: sign?,
        states: states?,
        wire: wire?,
    })))
}

fn counts<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<BTreeMap<String, u32>> {
    dec.map(node, "a mapping from kinds of packets to counts")?
        .iter()
        .map(|(kind, node)| {
            let n = dec.scalar(node, "a count such as `3`", |text| {
                scalar::whole(text, 0u32, u32::MAX)
            })?;
            Some((kind.name.clone(), n))
        })
        .collect()
}
