//! The structure of the code, as ARCHITECTURE.md promises it: crates depend on
//! crates below them, and the modules of a crate form no circle.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use halfopen_tests::root;

/// The crates from the lowest to the highest. Each may depend on those before it.
const ORDER: [&str; 16] = [
    "macros", "sys", "net", "wire", "trace", "lab", "scenario", "sim", "predict", "outcome",
    "runner", "vm", "tune", "report", "page", "cli",
];

/// `halfopen-lab` in a manifest's table of dependencies.
fn dependencies(manifest: &Path) -> Vec<String> {
    let text = fs::read_to_string(manifest).expect("every crate has a manifest");
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && let Some(rest) = line.strip_prefix("halfopen-") {
            let name = rest.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn crates_depend_on_crates_below() {
    let folder = root().join("harness");
    let listed: BTreeSet<String> = fs::read_dir(&folder)
        .expect("the checkout has harness/")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> = ORDER.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(listed, known, "a crate that the order does not name");
    let rank = |name: &str| ORDER.iter().position(|&known| known == name);
    let mut wrong = Vec::new();
    for name in ORDER {
        for below in dependencies(&folder.join(name).join("Cargo.toml")) {
            if rank(&below).is_none_or(|below| Some(below) >= rank(name)) {
                wrong.push(format!("{name} depends on {below}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order: {wrong:#?}");
}

#[test]
fn modules_form_no_circle() {
    let mut wrong = Vec::new();
    for name in ORDER {
        let graph = imports::of_crate(&root().join("harness").join(name).join("src"));
        for circle in circles(&graph) {
            wrong.push(format!("{name}: {}", circle.join(" <-> ")));
            for module in &circle {
                let inside = graph[module].iter().filter(|(to, _)| circle.contains(to));
                wrong.extend(inside.map(|(to, from)| format!("    {from} imports {to}")));
            }
        }
    }
    assert!(wrong.is_empty(), "circles:\n{}", wrong.join("\n"));
}

/// Groups of modules that reach each other.
fn circles(graph: &imports::Graph) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|from| {
            let mut reached = BTreeSet::new();
            let mut next = vec![from];
            while let Some(at) = next.pop() {
                for to in graph.get(at).into_iter().flatten().map(|(to, _)| to) {
                    if reached.insert(to) {
                        next.push(to);
                    }
                }
            }
            (from, reached)
        })
        .collect();
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for (from, reached) in &reach {
        let together = |to: &&&String| reach.get(**to).is_some_and(|back| back.contains(*from));
        let group: Vec<String> = reached
            .iter()
            .filter(together)
            .map(|to| (*to).clone())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

#[test]
fn a_circle_is_found() {
    let edge = |to: &str| (to.to_owned(), "x.rs".to_owned());
    let graph = imports::Graph::from([
        ("a".to_owned(), BTreeSet::from([edge("b")])),
        ("b".to_owned(), BTreeSet::from([edge("c")])),
        ("c".to_owned(), BTreeSet::from([edge("b")])),
    ]);
    assert_eq!(circles(&graph), [["b", "c"]]);
}
