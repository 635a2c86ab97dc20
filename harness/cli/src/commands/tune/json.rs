//! The answer for programs. Times are nanoseconds; keys do not change.

use serde::Serialize;

use halfopen_tune::trials::{Question, Shown};
use halfopen_tune::{Answer, Path, Promise, Promises, Reach, Settings, Tuned, While, Without};

use super::Report;
use crate::shared::error::CliError;
use crate::shared::output;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    promises: PromisesView,
    possible: bool,
    found: Option<TunedView>,
    without_user_timeout: Option<WithoutView>,
    snippets: serde_json::Map<String, serde_json::Value>,
    impossible: Option<ImpossibleView<'a>>,
    verified: Option<Vec<RunView<'a>>>,
}

#[derive(Serialize)]
struct PromisesView {
    notice_within_ns: u64,
    ride_out_ns: u64,
    #[serde(rename = "while")]
    when: While,
    round_trip_ns: u64,
    path: Path,
    kernels: Vec<KernelView>,
    /// Only where it was promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    middlebox_forgets_ns: Option<u64>,
}

#[derive(Serialize)]
struct KernelView {
    version: String,
    hz: u32,
}

/// Settings and what they do at worst.
#[derive(Serialize)]
pub(super) struct TunedView {
    keepalive_idle_s: Option<u32>,
    keepalive_interval_s: Option<u32>,
    keepalive_count: Option<u32>,
    user_timeout_ms: Option<u64>,
    rto_max_ms: Option<u64>,
    idle: Option<ReachView>,
    sending: Option<ReachView>,
    probes_an_hour: Option<u32>,
}

#[derive(Serialize)]
struct ReachView {
    noticed_ns: u64,
    ridden_ns: u64,
}

#[derive(Serialize)]
struct WithoutView {
    keepalive_idle_s: Option<u32>,
    keepalive_interval_s: Option<u32>,
    keepalive_count: Option<u32>,
    redis_tcp_keepalive: Option<u32>,
    tcp_retries2: Option<u32>,
}

#[derive(Serialize)]
struct ImpossibleView<'a> {
    breaks: Promise,
    because: &'a [String],
    patient: Option<TunedView>,
    quick: Option<TunedView>,
    possible_with_rto_max: bool,
}

#[derive(Serialize)]
struct RunView<'a> {
    kernel: &'a str,
    trials: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct RowView<'a> {
    settings: String,
    question: Question,
    story: &'a str,
    shown: &'static str,
    after_ns: Option<u64>,
    why: Option<&'a str>,
    kept: bool,
    expected_to_break: bool,
}

fn ns(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn view(tuned: &Tuned) -> TunedView {
    let Settings {
        keepalive,
        user_timeout,
        rto_max,
    } = tuned.settings;
    let reach = |reach: Option<Reach>| {
        reach.map(|r| ReachView {
            noticed_ns: ns(r.noticed),
            ridden_ns: ns(r.ridden),
        })
    };
    TunedView {
        keepalive_idle_s: keepalive.map(|k| k.idle),
        keepalive_interval_s: keepalive.map(|k| k.interval),
        keepalive_count: keepalive.map(|k| k.count),
        user_timeout_ms: user_timeout.map(ms),
        rto_max_ms: rto_max.map(ms),
        idle: reach(tuned.worst.idle),
        sending: reach(tuned.worst.sending),
        probes_an_hour: tuned.probes_an_hour,
    }
}

fn without_view(without: &Without) -> WithoutView {
    let k = without.keepalive;
    WithoutView {
        keepalive_idle_s: k.map(|k| k.idle),
        keepalive_interval_s: k.map(|k| k.interval),
        keepalive_count: k.map(|k| k.count),
        redis_tcp_keepalive: without.thirds,
        tcp_retries2: without.retries2,
    }
}

pub(super) fn write(report: &Report<'_>) -> Result<(), CliError> {
    let Promises {
        notice_within,
        ride_out,
        when,
        round_trip,
        path,
        kernels,
        middlebox_forgets,
    } = report.promises;
    let (mut found, mut without, mut impossible) = (None, None, None);
    let mut snippets = serde_json::Map::new();
    match report.answer {
        Answer::Found {
            tuned,
            without: rest,
        } => {
            found = Some(view(tuned));
            without = Some(without_view(rest));
            for target in report.targets {
                let name = format!("{target:?}").to_lowercase();
                snippets.insert(name, target.write(&tuned.settings, rest).into());
            }
        }
        Answer::Impossible(why) => {
            impossible = Some(ImpossibleView {
                breaks: why.breaks,
                because: &why.because,
                patient: why.patient.as_ref().map(view),
                quick: why.quick.as_ref().map(view),
                possible_with_rto_max: why.possible_with_rto_max,
            });
        }
    }
    let document = Document {
        schema: 1,
        promises: PromisesView {
            notice_within_ns: ns(*notice_within),
            ride_out_ns: ns(*ride_out),
            middlebox_forgets_ns: middlebox_forgets.map(ns),
            when: *when,
            round_trip_ns: ns(*round_trip),
            path: *path,
            kernels: kernels
                .iter()
                .map(|k| KernelView {
                    version: k.version.to_string(),
                    hz: k.hz,
                })
                .collect(),
        },
        possible: found.is_some(),
        found,
        without_user_timeout: without,
        snippets,
        impossible,
        verified: report.verified.as_ref().map(|verified| {
            let runs = verified.runs.iter();
            runs.map(|run| RunView {
                kernel: &run.kernel,
                trials: run.rows.iter().map(|row| row_view(row, report)).collect(),
            })
            .collect()
        }),
    };
    output::write_json(&document)
}

fn row_view<'a>(row: &'a super::verify::Row, report: &Report<'_>) -> RowView<'a> {
    let (shown, after, why) = match &row.shown {
        Shown::Noticed(after) => ("noticed", Some(*after), None),
        Shown::Unnoticed => ("unnoticed", None, None),
        Shown::Lived => ("lived", None, None),
        Shown::Died(after) => ("died", Some(*after), None),
        Shown::Nothing(why) => ("nothing", None, Some(why.as_str())),
    };
    RowView {
        settings: format!("{:?}", row.role).to_lowercase(),
        question: row.question,
        story: &row.description,
        shown,
        after_ns: after.map(ns),
        why,
        kept: row.shown.keeps(report.promises),
        expected_to_break: row.expected_to_break(report.promises),
    }
}
