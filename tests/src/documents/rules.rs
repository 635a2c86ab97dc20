//! docs/rules.md: a section a rule, with what of the catalogue rests on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use halfopen_predict::{RuleId, predict};
use halfopen_scenario::case::Case;

use super::{KERNEL, cell, predicted};

/// Examples of a rule at most.
const EXAMPLES: usize = 3;

/// The document.
pub fn text(cases: &[Case]) -> String {
    let mut by_rule: BTreeMap<RuleId, Vec<(String, String, String)>> = BTreeMap::new();
    for case in cases {
        let Ok(said) = predict(case, &KERNEL) else {
            continue;
        };
        for rule in &said.rules {
            let rows = by_rule.entry(*rule).or_default();
            // One example a scenario.
            if !rows.iter().any(|(scenario, ..)| *scenario == case.scenario) {
                rows.push((case.scenario.clone(), case.id.clone(), predicted(&said)));
            }
        }
    }
    let mut text = String::from(
        "# The rules\n\n\
         What predictions follow. Each rule names the kernel function that decides and since\n\
         which version it holds; `halfopen predict` names the rules of each answer. Made from\n\
         `harness/predict/src/pages.rs` by `UPDATE_DOCS=1 cargo test --test documents`; the\n\
         examples are the catalogue's, as predicted for Linux 6.12 at HZ=250. How well they\n\
         hold is in [oracle.md](oracle.md).\n",
    );
    for rule in RuleId::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n*Decided by* {}, *since* {}.\n",
            rule.title(),
            wrapped(rule.says()),
            code(rule.function()),
            rule.since()
        );
        let rows = by_rule.get(&rule).map_or(&[][..], Vec::as_slice);
        if !rows.is_empty() {
            text.push_str("\n| for example | prediction |\n|---|---|\n");
        }
        for (_, id, said) in rows.iter().take(EXAMPLES) {
            let _ = writeln!(text, "| `{}` | {} |", cell(id), cell(said));
        }
    }
    text
}

/// Functions as code, words between them as words.
fn code(function: &str) -> String {
    let words: Vec<String> = function
        .split(' ')
        .map(|word| {
            let bare = word.trim_end_matches([',', ':']);
            if bare.contains("()") || bare.contains('/') {
                word.replace(bare, &format!("`{bare}`"))
            } else {
                word.to_owned()
            }
        })
        .collect();
    words.join(" ")
}

/// Lines of 88 characters.
pub fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |l| l.len());
        if line > 0 && line + 1 + word.len() > 88 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
