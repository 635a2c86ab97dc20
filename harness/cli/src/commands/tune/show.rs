//! The answer for people: a table first, then the settings in the forms asked for.

use std::fmt::Write as _;
use std::time::Duration;

use halfopen_net::span::human;
use halfopen_predict::text;
use halfopen_report::text::wrapped;
use halfopen_tune::snippet::Target;
use halfopen_tune::trials::{Question, Shown};
use halfopen_tune::{Answer, Impossible, Path, Promise, Promises, Reach, Settings, Tuned, While};

use super::Report;
use super::verify::{Role, Verified};

pub(super) fn render(report: &Report<'_>, width: u16) -> String {
    let mut text = String::new();
    promises(&mut text, report);
    match report.answer {
        Answer::Found { tuned, without } => {
            settings(&mut text, tuned);
            let _ = writeln!(text);
            table(&mut text, &[("", tuned)], report.promises);
            remarks(&mut text, tuned);
            measured(&mut text, report, width);
            for target in report.targets {
                let _ = write!(
                    text,
                    "\n--- {}\n{}",
                    target.title(),
                    target.write(&tuned.settings, without)
                );
            }
            others(&mut text, report.targets);
        }
        Answer::Impossible(none) => {
            impossible(&mut text, none, report.promises);
            measured(&mut text, report, width);
        }
    }
    text
}

fn promises(text: &mut String, report: &Report<'_>) {
    let Promises {
        notice_within,
        ride_out,
        when,
        round_trip,
        path,
        ..
    } = report.promises;
    let path = match path {
        Path::Silent => "silence, the next hop lives",
        Path::Neighbour => "the peer may be a neighbour",
        Path::Unreachable => "routers may answer unreachable",
    };
    let state = match when {
        While::Idle => "while idle",
        While::Sending => "while sending",
        While::Both => "while idle and while sending",
    };
    let outage = if ride_out.is_zero() {
        "a single lost probe does not kill".to_owned()
    } else {
        format!("an outage of {} is ridden out", human(*ride_out))
    };
    let _ = writeln!(
        text,
        "promised  a vanished peer is noticed within {}, {outage},\n          \
         {state}; round trips up to {}; {path}\non        {}",
        human(*notice_within),
        human(*round_trip),
        report.kernels
    );
    if let Some(forgets) = report.promises.middlebox_forgets {
        let _ = writeln!(
            text,
            "          a middlebox forgets after {} without a packet",
            human(forgets)
        );
    }
}

pub(super) fn settings(text: &mut String, tuned: &Tuned) {
    let Settings {
        keepalive,
        user_timeout,
        rto_max,
    } = tuned.settings;
    let _ = writeln!(text);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<17} {value}");
    };
    if let Some(k) = keepalive {
        let ignored = if user_timeout.is_some() {
            "   (without TCP_USER_TIMEOUT, which replaces it)"
        } else {
            ""
        };
        row("SO_KEEPALIVE", "on".into());
        row("TCP_KEEPIDLE", format!("{} s", k.idle));
        row("TCP_KEEPINTVL", format!("{} s", k.interval));
        row("TCP_KEEPCNT", format!("{}{ignored}", k.count));
    }
    if let Some(limit) = user_timeout {
        row("TCP_USER_TIMEOUT", format!("{} ms", limit.as_millis()));
    }
    if let Some(max) = rto_max {
        row(
            "TCP_RTO_MAX_MS",
            format!("{} ms   (Linux 6.15)", max.as_millis()),
        );
    }
}

/// The worst case of settings; times that break a promise are marked.
pub(super) fn table(text: &mut String, rows: &[(&str, &Tuned)], promises: &Promises) {
    let mut lines: Vec<[String; 3]> = vec![[
        "at worst".into(),
        "noticed after".into(),
        "rides out".into(),
    ]];
    for (name, tuned) in rows {
        let states = [("idle", tuned.worst.idle), ("sending", tuned.worst.sending)];
        for (state, reach) in states {
            let Some(Reach { noticed, ridden }) = reach else {
                continue;
            };
            let mark = |kept: bool, time: Duration| {
                format!("{}{}", text::time(time), if kept { "" } else { " (!)" })
            };
            let name = if name.is_empty() {
                format!("while {state}")
            } else {
                format!("{name}, while {state}")
            };
            lines.push([
                name,
                mark(noticed <= promises.notice_within, noticed),
                mark(ridden >= promises.ride_out, ridden),
            ]);
        }
    }
    let wide = |column: usize| lines.iter().map(|l| l[column].len()).max().unwrap_or(0);
    let (first, second) = (wide(0), wide(1));
    for [name, noticed, ridden] in &lines {
        let line = format!("  {name:<first$}  {noticed:<second$}  {ridden}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn remarks(text: &mut String, tuned: &Tuned) {
    let _ = writeln!(text);
    if let (Some(probes), Some(k)) = (tuned.probes_an_hour, tuned.settings.keepalive) {
        let _ = writeln!(
            text,
            "  cost: at most {probes} probes an hour on a quiet connection, each answered; one \
             every {} s\n  during an outage",
            k.interval
        );
    }
    if let Some(limit) = tuned.settings.user_timeout {
        let _ = writeln!(
            text,
            "  a peer that keeps its receive window shut for {} is given up too (Linux 5.11)",
            text::time(limit)
        );
    }
}

fn others(text: &mut String, shown: &[Target]) {
    let left: Vec<_> = Target::ALL
        .iter()
        .filter(|target| !shown.contains(target))
        .map(|target| format!("{target:?}").to_lowercase())
        .collect();
    if !left.is_empty() {
        let _ = writeln!(text, "\nwith --for also: {}", left.join(", "));
    }
}

fn impossible(text: &mut String, none: &Impossible, promises: &Promises) {
    let what = match none.breaks {
        Promise::NoticeWithin => "nothing notices that soon",
        Promise::RideOut => "what notices in time cannot ride out the outage",
    };
    let _ = writeln!(text, "\nimpossible: {what}");
    for line in &none.because {
        wrapped(text, line, "  - ", "    ");
    }
    let near: Vec<_> = [
        ("patient", none.patient.as_ref()),
        ("quick", none.quick.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, tuned)| Some((name, tuned?)))
    .collect();
    if near.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nthe nearest:");
    for (name, tuned) in &near {
        let _ = writeln!(text, "  {name:<8} {}", in_one_line(&tuned.settings));
    }
    let _ = writeln!(text);
    table(text, &near, promises);
    let sentences = [
        none.patient.as_ref().map(|patient| {
            format!(
                "what rides out {} notices within {}",
                text::time(promises.ride_out),
                text::time(patient.worst.noticed())
            )
        }),
        none.quick.as_ref().map(|quick| {
            format!(
                "what notices within {} rides out {}",
                text::time(promises.notice_within),
                text::time(quick.worst.ridden())
            )
        }),
    ];
    let sentences: Vec<_> = sentences.into_iter().flatten().collect();
    let _ = writeln!(text);
    wrapped(
        text,
        &format!("at best: {}", sentences.join("; ")),
        "  ",
        "  ",
    );
    if none.possible_with_rto_max {
        wrapped(
            text,
            "on Linux 6.15 and later TCP_RTO_MAX_MS, which shortens the distances between tries, \
             makes it possible: --kernel 6.15",
            "  ",
            "  ",
        );
    }
}

/// `keepalive 16 s, 1 s, 11; user timeout 27500 ms`.
fn in_one_line(settings: &Settings) -> String {
    let keepalive = settings.keepalive.map(|k| {
        format!(
            "keepalive {} s, {} s, {} probes",
            k.idle, k.interval, k.count
        )
    });
    let limit = settings
        .user_timeout
        .map(|limit| format!("user timeout {} ms", limit.as_millis()));
    let max = settings
        .rto_max
        .map(|max| format!("RTO up to {} ms", max.as_millis()));
    let all: Vec<_> = [keepalive, limit, max].into_iter().flatten().collect();
    all.join("; ")
}

fn measured(text: &mut String, report: &Report<'_>, width: u16) {
    let Some(Verified { runs, .. }) = &report.verified else {
        return;
    };
    for run in runs {
        let _ = writeln!(text, "\nmeasured in virtual time on {}", run.kernel);
        let wide = run
            .rows
            .iter()
            .map(|row| row.description.len())
            .max()
            .unwrap_or(0);
        let wide = wide.min(usize::from(width).saturating_sub(46));
        for row in &run.rows {
            let kept = row.shown.keeps(report.promises);
            let who = match row.role {
                Role::Found => "",
                Role::Patient => "patient: ",
                Role::Quick => "quick: ",
            };
            let verdict = match (kept, row.expected_to_break(report.promises)) {
                (true, _) => "kept",
                (false, true) => "broken, as proved",
                (false, false) => "BROKEN",
            };
            let _ = writeln!(
                text,
                "  {:<wide$}  {:<22} {verdict}",
                format!("{who}{}", row.description),
                shown(row.question, &row.shown),
                wide = wide + 9,
            );
        }
        for line in run.conclusions(report.promises) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn shown(question: Question, shown: &Shown) -> String {
    match shown {
        Shown::Noticed(after) => format!("noticed after {}", human(*after)),
        Shown::Unnoticed => "not noticed".into(),
        Shown::Lived if question == Question::LostProbe => "lived".into(),
        Shown::Lived => "ridden out".into(),
        Shown::Died(_) => "the connection died".into(),
        Shown::Nothing(why) => why.clone(),
    }
}
