//! FILE and FILTERs: which argument is the file, and which cases a filter picks.
//! Used by every command that takes cases.

use std::path::{Path, PathBuf};

use halfopen_scenario::case::Case;

use super::error::CliError;
use super::wildcard;
use crate::args::CaseArgs;

/// The file, if the first argument is one, and the filters.
pub(crate) fn file_and_filters(what: &CaseArgs) -> (Option<PathBuf>, Vec<&str>) {
    let first = what.file.as_deref();
    let file = first
        .filter(|argument| is_file(argument))
        .map(PathBuf::from);
    let filter = first.filter(|_| file.is_none());
    (
        file,
        filter
            .into_iter()
            .chain(what.filters.iter().map(String::as_str))
            .collect(),
    )
}

/// The cases that were picked, and the filters that picked them.
pub(crate) struct Picked<'a> {
    pub(crate) cases: &'a [Case],
    filters: Vec<Filter>,
}

impl<'a> Picked<'a> {
    pub(crate) fn new(cases: &'a [Case], filters: &[&str]) -> Self {
        let filters = filters.iter().map(|text| Filter::new(text)).collect();
        Picked { cases, filters }
    }

    /// Whether a case of this id would have been picked.
    pub(crate) fn picks(&self, id: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|f| f.picks(id))
    }
}

/// A directory is no FILE: a filter may well have the name of one.
fn is_file(argument: &str) -> bool {
    argument.ends_with(".yaml") || argument.ends_with(".yml") || {
        let path = Path::new(argument);
        path.exists() && !path.is_dir()
    }
}

/// The cases that any of the filters picks, in their order; all without filters.
///
/// # Errors
/// When a filter picks nothing: a misspelt one among others must not go unseen.
pub(crate) fn pick(cases: Vec<Case>, filters: &[&str], from: &str) -> Result<Vec<Case>, CliError> {
    if filters.is_empty() {
        return Ok(cases);
    }
    let filters: Vec<_> = filters
        .iter()
        .map(|text| (*text, Filter::new(text)))
        .collect();
    for (text, filter) in &filters {
        if !cases.iter().any(|case| filter.picks(&case.id)) {
            return Err(CliError::Usage(no_match(text, &cases, from)));
        }
    }
    Ok(cases
        .into_iter()
        .filter(|case| filters.iter().any(|(_, f)| f.picks(&case.id)))
        .collect())
}

enum Filter {
    Exactly(String),
    Contains(String),
    Pattern(String),
}

impl Filter {
    fn new(text: &str) -> Self {
        if let Some(name) = text.strip_prefix('=') {
            return Filter::Exactly(name.to_owned());
        }
        let kind = match wildcard::is_pattern(text) {
            true => Filter::Pattern,
            false => Filter::Contains,
        };
        kind(text.to_owned())
    }

    fn picks(&self, id: &str) -> bool {
        match self {
            Filter::Exactly(name) => id == name,
            Filter::Contains(text) => id.contains(text.as_str()),
            Filter::Pattern(pattern) => wildcard::matches(pattern, id),
        }
    }
}

fn no_match(text: &str, cases: &[Case], from: &str) -> String {
    let mut message = format!("no case in {from} matches `{text}`");
    match similar(text, cases).as_slice() {
        [] if text.ends_with(".yaml") || text.ends_with(".yml") => {
            message.push_str("\n  a file of scenarios comes first, before filters");
        }
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

/// Names of scenarios that resemble a filter, the most similar first.
fn similar(text: &str, cases: &[Case]) -> Vec<String> {
    const LEAST: f64 = 0.75;
    const MOST: usize = 3;
    let wanted = text.replace(['*', '?', '='], "");
    let mut names: Vec<(f64, &str)> = Vec::new();
    for case in cases {
        if names.iter().any(|(_, name)| *name == case.scenario) {
            continue;
        }
        // A filter is often only the beginning of a name.
        let begin: String = case.scenario.chars().take(wanted.chars().count()).collect();
        let points = case.id.split(['/', ',']).skip(1);
        let similarity = [case.scenario.as_str(), case.id.as_str(), begin.as_str()]
            .into_iter()
            .chain(points)
            .map(|name| strsim::jaro_winkler(&wanted, name))
            .fold(0.0, f64::max);
        names.push((similarity, &case.scenario));
    }
    names.retain(|(similarity, _)| *similarity >= LEAST);
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
    use crate::shared::testing::three_cases;

    fn picked(filters: &[&str]) -> usize {
        pick(three_cases(), filters, "t.yaml")
            .expect("they match")
            .len()
    }

    #[test]
    fn substring_or_pattern_of_the_whole_name() {
        assert_eq!(picked(&[]), 3);
        assert_eq!(picked(&["host-crash"]), 3);
        assert_eq!(picked(&["keepalive"]), 1);
        assert_eq!(picked(&["keepalive", "user-timeout"]), 2);
        assert_eq!(picked(&["host*/detector=*-?-1-3"]), 1);
        assert_eq!(picked(&["=host-crash-while-writing/detector=none"]), 1);
        assert!(
            pick(three_cases(), &["=host-crash-while-writing"], "t.yaml").is_err(),
            "a name is a whole one"
        );
        assert!(
            pick(three_cases(), &["host*keepalive"], "t.yaml").is_err(),
            "a pattern is anchored"
        );
        assert!(
            pick(three_cases(), &["host.crash"], "t.yaml").is_err(),
            "a dot is a dot"
        );
    }

    #[test]
    fn every_filter_must_pick_something() {
        let error =
            pick(three_cases(), &["keepalive", "host-crush"], "t.yaml").expect_err("a misspelling");
        assert_eq!(error.exit().code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("no case in t.yaml matches `host-crush`"),
            "{text}"
        );
        assert!(text.contains("`host-crash-while-writing`"), "{text}");
    }

    #[test]
    fn first_argument_is_a_file_when_it_looks_like_one_or_is_one() {
        let split = |first: &str| {
            let what = CaseArgs {
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
