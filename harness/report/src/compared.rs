//! A comparison for people: what changed first, with its evidence, then what
//! is known, new, gone and not run, and the totals in the last line.

use std::fmt::Write as _;

use indexmap::IndexMap;

use halfopen_outcome::baseline::{Entry, Setting, Showed, interval};
use halfopen_outcome::compare::{Compared, Difference, Totals, What};
use halfopen_outcome::comparison::Comparison;
use halfopen_scenario::case::Sign;

use super::compared_json::Ignored;
use super::text::{self, counted, wrapped};

/// The packets and calls of a case that changed, if there are any; each line
/// is set off by the report.
pub type Evidence<'a> = &'a dyn Fn(&Setting, &str) -> Option<String>;

/// The whole report.
pub fn render(comparisons: &[Comparison], evidence: Evidence<'_>) -> String {
    let mut text = String::new();
    for (index, comparison) in comparisons.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        section(&mut text, comparison, evidence);
    }
    text
}

fn section(text: &mut String, comparison: &Comparison, evidence: Evidence<'_>) {
    let _ = writeln!(text, "{}", title(comparison));
    if !comparison.environment.is_empty() {
        text.push_str("\nAnother environment\n\n");
        differences(text, &comparison.environment, "  ");
    }
    let of = |what: What| comparison.cases.iter().filter(move |c| c.what == what);
    let count = |what: What| of(what).count();
    if count(What::Changed) > 0 {
        let cases = counted(count(What::Changed), "case", "cases");
        let _ = writeln!(text, "\n{cases} changed");
    }
    for case in of(What::Changed) {
        changed(text, case);
        let setting = comparison.now.as_ref();
        for line in setting
            .and_then(|setting| evidence(setting, &case.id))
            .iter()
            .flat_map(|e| e.lines())
        {
            let _ = writeln!(text, "    {line}");
        }
    }
    if count(What::Known) > 0 {
        let known = counted(count(What::Known), "known difference", "known differences");
        let _ = writeln!(text, "\n{known}");
    }
    for case in of(What::Known) {
        changed(text, case);
    }
    listed(text, "new", of(What::New), |case| case.new.as_ref());
    listed(text, "gone", of(What::Gone), |case| case.old.as_ref());
    not_run(text, of(What::NotRun));
    let unseen: Vec<_> = of(What::Unchanged).filter(|c| c.cause.is_some()).collect();
    if !unseen.is_empty() {
        text.push_str("\nUnchanged, although the kernel's rules predict a change\n");
    }
    for case in unseen {
        let _ = writeln!(text, "\n  {}", case.id);
        wrapped(
            text,
            case.cause.as_deref().unwrap_or_default(),
            "    predicted: ",
            "      ",
        );
    }
    let unsteady: Vec<_> = comparison.cases.iter().filter(|c| c.unsteady).collect();
    if !unsteady.is_empty() {
        text.push_str("\nNot the same from one run to the next, whatever is set\n\n");
    }
    for case in unsteady {
        let _ = writeln!(text, "  {}", case.id);
    }
    let mended: Vec<_> = comparison.cases.iter().filter(|c| c.is_mended()).collect();
    if !mended.is_empty() {
        text.push_str(
            "\nNo longer differs: remove `known` from the baseline, or save it again\n\n",
        );
    }
    for case in mended {
        let _ = writeln!(text, "  {}", case.id);
    }
    let _ = writeln!(text, "\n{}", totals(&comparison.totals()));
}

/// Sysctls that take no part, and why; nothing without any.
pub fn ignored(all: &[Ignored]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "{} ignored\n",
        counted(all.len(), "sysctl", "sysctls")
    );
    let width = all.iter().map(|i| i.key.chars().count()).max().unwrap_or(0);
    for Ignored { key, why } in all {
        let _ = writeln!(text, "  {key:width$}  {why}");
    }
    text.push('\n');
    text
}

/// `kernel 6.12.9, virtual time`.
pub(super) fn title(comparison: &Comparison) -> String {
    let of = |setting: &Setting| match setting.clock.as_str() {
        "predicted" => format!("kernel {}, predicted", setting.kernel),
        clock => format!("kernel {}, {clock} time", setting.kernel),
    };
    match (&comparison.then, &comparison.now) {
        (Some(_), Some(now)) => of(now),
        (None, Some(now)) => format!("{}: there was no such run before", of(now)),
        (Some(then), None) => format!("{}: there is no such run any more", of(then)),
        (None, None) => String::new(),
    }
}

fn changed(text: &mut String, case: &Compared) {
    let _ = writeln!(text, "\n  {}", case.id);
    differences(text, &case.differences, "    ");
    if let Some(known) = case.known.as_ref().filter(|_| case.what == What::Known) {
        wrapped(text, &text::known(known), "    known: ", "      ");
    } else if let Some(cause) = &case.cause {
        wrapped(text, cause, "    likely cause: ", "      ");
    }
}

fn differences(text: &mut String, all: &[Difference], indent: &str) {
    let width = all
        .iter()
        .map(|d| d.what.chars().count())
        .max()
        .unwrap_or(0);
    for Difference { what, old, new } in all {
        let _ = writeln!(text, "{indent}{what:width$}  {old} -> {new}");
    }
}

fn listed<'a>(
    text: &mut String,
    what: &str,
    cases: impl Iterator<Item = &'a Compared>,
    entry: impl Fn(&Compared) -> Option<&Entry>,
) {
    let cases: Vec<&Compared> = cases.collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{} {what}\n", counted(cases.len(), "case", "cases"));
    let width = cases
        .iter()
        .map(|c| c.id.chars().count())
        .max()
        .unwrap_or(0);
    for case in cases {
        let showed = entry(case).map(|e| showed(&e.showed)).unwrap_or_default();
        let _ = writeln!(text, "  {:width$}  {showed}", case.id);
    }
}

fn not_run<'a>(text: &mut String, cases: impl Iterator<Item = &'a Compared>) {
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for case in cases {
        if let Some(Showed::NotRun(why)) = case.new.as_ref().map(|e| &e.showed) {
            reasons.entry(why).or_default().push(&case.id);
        }
    }
    for (why, ids) in reasons {
        let cases = counted(ids.len(), "case", "cases");
        let _ = writeln!(text, "\n{cases} not run: {why}\n");
        for id in ids {
            let _ = writeln!(text, "  {id}");
        }
    }
}

/// What a case showed: `ETIMEDOUT by client's read after 3.052s`.
pub(super) fn showed(showed: &Showed) -> String {
    match showed {
        Showed::Ran(ran) => sign(&ran.sign),
        Showed::NotRun(why) => format!("not run: {why}"),
        Showed::Failed(why) => format!("failed: {why}"),
    }
}

fn sign(sign: &Sign) -> String {
    let by = Sign {
        after: None,
        first_byte: None,
        ..sign.clone()
    };
    let mut text = text::sign(&by);
    if let Some((earliest, latest)) = sign.after {
        let _ = write!(text, " after {}", interval(earliest, latest));
    }
    if let Some((earliest, latest)) = sign.first_byte {
        let _ = write!(
            text,
            ", the first byte {} after the heal",
            interval(earliest, latest)
        );
    }
    text
}

/// `118 unchanged, 1 changed, 2 not run`.
pub fn totals(totals: &Totals) -> String {
    let Totals {
        unchanged,
        changed,
        known,
        mended: _,
        new,
        gone,
        not_run,
    } = *totals;
    let mut all = vec![
        format!("{unchanged} unchanged"),
        format!("{changed} changed"),
    ];
    let rest = [
        (known, "known"),
        (new, "new"),
        (gone, "gone"),
        (not_run, "not run"),
    ];
    let rest = rest.into_iter().filter(|(n, _)| *n > 0);
    all.extend(rest.map(|(n, word)| format!("{n} {word}")));
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compared_json, ladder, markdown};
    use halfopen_outcome::baseline::Baseline;
    use halfopen_outcome::testing;
    use halfopen_outcome::testing::{cases, kept};
    use halfopen_scenario::case::{Known, SignKind};

    /// One of everything that can become of a case.
    fn comparisons() -> Vec<Comparison> {
        let (mut old, mut new) = (kept(), kept());
        new.setting.kernel = "6.13.1".into();
        let set = [("net.ipv4.tcp_retries2".to_owned(), "8".to_owned())];
        new.setting.overrides.insert("client".into(), set.into());
        let crash = "host-crash-while-writing/detector=none,network=lan";
        if let Some(Showed::Ran(ran)) = new.cases.get_mut(crash).map(|e| &mut e.showed) {
            let at = std::time::Duration::from_millis(108_123);
            ran.sign.after = Some((at, at));
            if let Some(wire) = &mut ran.wire {
                wire.insert("rst".into(), 1);
            }
        }
        let known = |reason: &str| Known {
            reason: reason.into(),
            bug: Some("#12".into()),
            shows: None,
        };
        let user_timeout = "host-crash-while-writing/detector=user-timeout-3s,network=lan";
        if let Some(entry) = old.cases.get_mut(user_timeout) {
            entry.known = Some(known("a driver answers for it"));
        }
        if let Some(Showed::Ran(ran)) = new.cases.get_mut(user_timeout).map(|e| &mut e.showed) {
            ran.sign.sign = SignKind::Errno("EPIPE".into());
        }
        if let Some(entry) = old.cases.get_mut("idle-client") {
            entry.known = Some(known("it was noticed"));
        }
        old.cases.remove("lab-broken");
        new.cases
            .remove("host-crash-while-writing/detector=keepalive-2-1-3,network=lan");
        let (old, new) = (Baseline { runs: vec![old] }, Baseline { runs: vec![new] });
        Comparison::all(&old, &new, &cases())
    }

    #[test]
    fn for_people() {
        let evidence = |_: &Setting, id: &str| {
            let all = testing::all();
            let case = all.iter().find(|case| case.id == id)?;
            Some(ladder::render(case, &ladder::EVIDENCE))
        };
        insta::assert_snapshot!(render(&comparisons(), &evidence));
    }

    #[test]
    fn for_a_pull_request() {
        insta::assert_snapshot!(markdown::comparisons(&comparisons()));
    }

    #[test]
    fn for_programs() {
        let mut bytes = Vec::new();
        compared_json::write(&comparisons(), &[], &mut bytes).expect("memory takes everything");
        insta::assert_snapshot!(String::from_utf8_lossy(&bytes));
    }
}
