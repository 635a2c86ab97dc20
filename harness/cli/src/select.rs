//! FILE or FILTER, and which cases a filter picks.

use std::path::{Path, PathBuf};

use regex::Regex;

use halfopen_scenario::case::Case;

use super::args::What;
use super::error::CliError;

/// The file, if the first word is one, and the filters.
pub(super) fn file_and_filters(what: &What) -> (Option<PathBuf>, Vec<&str>) {
    let first = what.file.as_deref();
    let file = first.filter(|word| is_file(word)).map(PathBuf::from);
    let filter = first.filter(|_| file.is_none());
    (
        file,
        filter
            .into_iter()
            .chain(what.filters.iter().map(String::as_str))
            .collect(),
    )
}

/// The cases that were picked, and the words that picked them.
pub(super) struct Picked<'a> {
    pub(super) cases: &'a [Case],
    filters: Vec<Filter>,
}

impl<'a> Picked<'a> {
    pub(super) fn new(cases: &'a [Case], filters: &[&str]) -> Self {
        let filters = filters.iter().map(|text| Filter::new(text)).collect();
        Picked { cases, filters }
    }

    /// Whether a case of this id would have been picked.
    pub(super) fn picks(&self, id: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|f| f.picks(id))
    }
}

/// A directory is no FILE: a filter may well have the name of one.
fn is_file(word: &str) -> bool {
    word.ends_with(".yaml") || word.ends_with(".yml") || {
        let path = Path::new(word);
        path.exists() && !path.is_dir()
    }
}

/// The cases that any of the filters picks, in their order; all without filters.
///
/// # Errors
/// When a filter picks nothing: a misspelt one among others must not go unseen.
pub(super) fn pick(cases: Vec<Case>, filters: &[&str], from: &str) -> Result<Vec<Case>, CliError> {
    if filters.is_empty() {
        return Ok(cases);
    }
    let filters: Vec<_> = filters
        .iter()
        .map(|text| (*text, Filter::new(text)))
        .collect();
    for (text, filter) in &filters {
        if !cases.iter().any(|case| filter.picks(&case.id)) {
            return Err(CliError::Usage(nothing(text, &cases, from)));
        }
    }
    Ok(cases
        .into_iter()
        .filter(|case| filters.iter().any(|(_, f)| f.picks(&case.id)))
        .collect())
}

enum Filter {
    Contains(String),
    Pattern(Regex),
}

impl Filter {
    fn new(text: &str) -> Self {
        if !text.contains(['*', '?']) {
            return Filter::Contains(text.to_owned());
        }
        let pattern = regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".");
        // Escaped text stays a valid expression; should it grow beyond the
        // crate's size limit, it is still a word.
        Regex::new(&format!("^{pattern}$"))
            .map_or_else(|_| Filter::Contains(text.to_owned()), Filter::Pattern)
    }

    fn picks(&self, id: &str) -> bool {
        match self {
            Filter::Contains(text) => id.contains(text.as_str()),
            Filter::Pattern(pattern) => pattern.is_match(id),
        }
    }
}

fn nothing(text: &str, cases: &[Case], from: &str) -> String {
    let mut message = format!("no case in {from} matches `{text}`");
    match near(text, cases).as_slice() {
        [] => message.push_str("\n  `halfopen list` shows what there is"),
        names => {
            message.push_str("\n  did you mean ");
            message.push_str(
                &names
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            );
            message.push('?');
        }
    }
    message
}

/// Names of scenarios that resemble a word, the nearest first.
fn near(text: &str, cases: &[Case]) -> Vec<String> {
    const ALIKE: f64 = 0.75;
    const MOST: usize = 3;
    let word = text.replace(['*', '?'], "");
    let mut names: Vec<(f64, &str)> = Vec::new();
    for case in cases {
        if names.iter().any(|(_, name)| *name == case.scenario) {
            continue;
        }
        // A word is often only the beginning of a name.
        let begin: String = case.scenario.chars().take(word.chars().count()).collect();
        let points = case.id.split(['/', ',']).skip(1);
        let likeness = [case.scenario.as_str(), case.id.as_str(), begin.as_str()]
            .into_iter()
            .chain(points)
            .map(|name| strsim::jaro_winkler(&word, name))
            .fold(0.0, f64::max);
        names.push((likeness, &case.scenario));
    }
    names.retain(|(likeness, _)| *likeness >= ALIKE);
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    names
        .into_iter()
        .take(MOST)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::THREE_CASES;
    use halfopen_scenario::parse;

    fn cases() -> Vec<Case> {
        parse("t", THREE_CASES).expect("the fixture is right").cases
    }

    fn picked(filters: &[&str]) -> usize {
        pick(cases(), filters, "t.yaml").expect("they match").len()
    }

    #[test]
    fn substring_or_pattern_of_the_whole_name() {
        assert_eq!(picked(&[]), 3);
        assert_eq!(picked(&["host-crash"]), 3);
        assert_eq!(picked(&["keepalive"]), 1);
        assert_eq!(picked(&["keepalive", "user-timeout"]), 2);
        assert_eq!(picked(&["host*/detector=*-?-1-3"]), 1);
        assert!(
            pick(cases(), &["host*keepalive"], "t.yaml").is_err(),
            "a pattern is anchored"
        );
        assert!(
            pick(cases(), &["host.crash"], "t.yaml").is_err(),
            "a dot is a dot"
        );
    }

    #[test]
    fn every_filter_must_pick_something() {
        let error =
            pick(cases(), &["keepalive", "host-crush"], "t.yaml").expect_err("a misspelling");
        assert_eq!(error.exit().code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("no case in t.yaml matches `host-crush`"),
            "{text}"
        );
        assert!(text.contains("`host-crash-while-writing`"), "{text}");
    }

    #[test]
    fn first_word_is_a_file_when_it_looks_like_one_or_is_one() {
        let split = |first: &str| {
            let what = What {
                file: Some(first.into()),
                filters: vec!["x".into()],
            };
            let (file, filters) = file_and_filters(&what);
            (file.is_some(), filters.len())
        };
        assert_eq!(split("nowhere.yaml"), (true, 1));
        assert_eq!(split("/proc/version"), (true, 1));
        assert_eq!(split("/proc"), (false, 2));
        assert_eq!(split("host-crash"), (false, 2));
    }
}
