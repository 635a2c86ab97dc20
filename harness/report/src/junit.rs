//! Runs as JUnit's XML, which CI systems show: a suite for each run, a test for each
//! case. What does not count as a failure for `halfopen run` is none here.

use std::fmt::Write;

use crate::finished::{Finished, verdict};
use crate::{ladder, text};
use halfopen_outcome::record::{Outcome, Status, Verdict};

/// How wide ladders are drawn.
const COLUMNS: usize = 120;

/// The document.
pub fn render(runs: &[Finished<'_>]) -> String {
    let mut xml =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"halfopen\">\n".to_owned();
    for run in runs {
        let results: Vec<Test> = run.outcomes.iter().map(Test::of).collect();
        let count = |which: fn(&Kind) -> bool| results.iter().filter(|t| which(&t.kind)).count();
        let name = escaped(&run.environment.kernel);
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            results.len(),
            count(|kind| matches!(kind, Kind::Failure(_))),
            count(|kind| matches!(kind, Kind::Error(_))),
            count(|kind| matches!(kind, Kind::Skipped(_))),
            run.elapsed.as_secs_f64()
        );
        for (outcome, test) in run.outcomes.iter().zip(&results) {
            test.write(outcome, &mut xml);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// What a case is to JUnit.
struct Test {
    kind: Kind,
}

enum Kind {
    Passed,
    Failure(String),
    Error(String),
    Skipped(String),
}

impl Test {
    fn of(outcome: &Outcome) -> Self {
        let kind = match (verdict(outcome), &outcome.status) {
            (_, Status::NotRun(why)) => Kind::Skipped(why.clone()),
            (_, Status::Failed(why)) => Kind::Error(why.clone()),
            (Verdict::Disturbed, _) => Kind::Skipped("the machine was never quiet".into()),
            (Verdict::Differs, _) => {
                let expected = outcome.expect.as_ref().map(text::sign).unwrap_or_default();
                Kind::Failure(format!(
                    "expected {expected}, saw {}",
                    text::observed(outcome)
                ))
            }
            (Verdict::Known, _) => Kind::Passed,
            _ => match &outcome.outside {
                Some(outside) => Kind::Failure(format!("outside its prediction: {outside}")),
                None => Kind::Passed,
            },
        };
        Test { kind }
    }

    fn write(&self, outcome: &Outcome, xml: &mut String) {
        let (name, scenario) = (escaped(&outcome.id), escaped(&outcome.scenario));
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{scenario}\" name=\"{name}\">"
        );
        let (element, message) = match &self.kind {
            Kind::Passed => ("", ""),
            Kind::Failure(message) => ("failure", message.as_str()),
            Kind::Error(message) => ("error", message.as_str()),
            Kind::Skipped(message) => ("skipped", message.as_str()),
        };
        if !element.is_empty() {
            let message = escaped(message);
            let _ = writeln!(xml, "      <{element} message=\"{message}\"/>");
        }
        let mut shown = format!("{}\n", text::observed(outcome));
        if matches!(self.kind, Kind::Failure(_)) {
            let view = ladder::View {
                width: COLUMNS,
                ..ladder::WHOLE
            };
            shown.push_str(&ladder::render(outcome, &view));
        }
        let shown = escaped(&shown);
        let _ = writeln!(
            xml,
            "      <system-out>{shown}</system-out>\n    </testcase>"
        );
    }
}

/// Text for an attribute or an element. XML 1.0 has no place for most control
/// characters, even as references.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::testing;

    #[test]
    fn every_case_is_a_test_and_only_failures_fail() {
        let environment = testing::environment();
        let mut outcomes = testing::all();
        outcomes[0].notes = Some("a < b & \"c\"".into());
        let xml = render(&[Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_millis(1500),
        }]);
        let totals = crate::finished::Totals::of(&outcomes);
        let count = |what: &str| xml.matches(what).count();
        assert_eq!(count("<testcase "), outcomes.len());
        assert_eq!(count("</testcase>"), outcomes.len());
        assert_eq!(count("<error "), totals.failed);
        assert!(count("<failure ") >= totals.differ, "{xml}");
        assert!(count("<skipped ") >= totals.not_run, "{xml}");
        assert!(
            xml.contains(&format!("tests=\"{}\"", outcomes.len()))
                && xml.contains("time=\"1.500\"")
        );
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}\n"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\n"
        );
    }
}
