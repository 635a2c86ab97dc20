//! `halfopen explain`: cases in sentences, from their data and the kernel's rules.

use halfopen_net::span::human;
use halfopen_predict::{KernelFacts, RuleId, predict};
use halfopen_report::explain::{list, setup};
use halfopen_report::text;
use halfopen_scenario::case::{Case, Clock, SignKind};

use crate::args::ExplainArgs;
use crate::shared::error::{CliError, Exit};
use crate::shared::kernel_facts::facts_of;
use crate::shared::{catalogue, output, select};

pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit, CliError> {
    let facts = facts_of(args.kernel.as_deref(), None)?;
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let cases = select::pick(catalogue.cases, &filters, &from)?;
    let told: Vec<String> = cases.iter().map(|case| case_text(case, &facts)).collect();
    output::say(&told.join("\n"))?;
    Ok(Exit::AsExpected)
}

fn case_text(case: &Case, facts: &KernelFacts) -> String {
    let mut out = format!("{}\n\n", case.id);
    let mut paragraph = |text: &str| text::wrapped(&mut out, text, "  ", "  ");
    paragraph(case.about.trim());
    for sentence in setup(case) {
        paragraph(&sentence);
    }
    let watched = list(&case.watch);
    paragraph(&format!(
        "The first sign is the first call of {watched} that does not go as if nothing had happened. \
         Without one the case ends after {}.",
        human(case.give_up)
    ));
    out.push('\n');
    if let Some(book) = &case.book {
        text::wrapped(
            &mut out,
            &format!("The book says: {}.", text::sign(book)),
            "  ",
            "  ",
        );
    }
    predicted(&mut out, case, facts);
    if let Some(notes) = &case.notes {
        text::wrapped(&mut out, notes.trim(), "  ", "  ");
    }
    if case.clock == Clock::Virtual {
        let hours = "It takes so long that it runs in virtual time only (--time virtual).";
        text::wrapped(&mut out, hours, "  ", "  ");
    }
    out
}

fn predicted(out: &mut String, case: &Case, facts: &KernelFacts) {
    let mut paragraph = |text: &str| text::wrapped(out, text, "  ", "  ");
    match predict(case, facts) {
        Ok(p) => {
            let what = match p.sign {
                SignKind::Unnoticed => "nobody notices anything within the case".to_owned(),
                _ => text::prediction(&p),
            };
            paragraph(&format!(
                "By the rules of Linux {} (HZ={}): {what}. Why: {}.",
                facts.version,
                facts.hz,
                p.because.trim_end_matches('.')
            ));
            let decide = p
                .rules
                .iter()
                .filter(|rule| **rule != RuleId::NothingToNotice);
            let mut functions: Vec<&str> = decide.map(|rule| rule.function()).collect();
            functions.dedup();
            if !functions.is_empty() {
                paragraph(&format!("It is decided in {}.", functions.join("; ")));
            }
        }
        Err(e) => paragraph(&format!(
            "The rules do not predict it: {}.",
            e.why.trim_end_matches('.')
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::testing::three_cases;
    use halfopen_predict::Version;

    #[test]
    fn a_case_is_told_in_full() {
        let facts = KernelFacts::new(Version(6, 12), 250);
        let mut case = three_cases().swap_remove(1);
        case.give_up = std::time::Duration::from_secs(30);
        let told = case_text(&case, &facts);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "The server loses power.",
            "The hosts client and server are joined by the cable client-server, and speak IPv4.",
            "server listens, accepts 1 connection, and echoes what it reads.",
            "client connects to server, sends \"hello\" and reads the answer, and reads.",
            "keepalive after 2 s of silence, then every 1 s, 3 probes",
            "500 ms after the start: crash server.",
            "By the rules of Linux 6.12 (HZ=250): ETIMEDOUT by client's read",
            "tcp_keepalive_timer()",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
    }
}
