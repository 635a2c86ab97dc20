//! `halfopen tune --check`: which promises given settings keep.

use halfopen_net::span::human;
use halfopen_tune::{Promises, Settings, Tuned};
use serde::Serialize;

use super::json::{self, TunedView};
use super::show;
use crate::args::Format;
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

/// Which of the promises are kept; None: it was not made.
#[derive(Debug, Serialize)]
struct Kept {
    notice_within: bool,
    ride_out: bool,
    middlebox_forgets: Option<bool>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    kernels: &'a str,
    checked: TunedView,
    kept: &'a Kept,
}

pub(super) fn check(
    promises: &Promises,
    settings: Settings,
    kernels: String,
    format: Format,
) -> Result<Exit, CliError> {
    let tuned = halfopen_tune::check(promises, settings);
    let kept = kept(promises, &tuned);
    match format {
        Format::Table => output::say(&text(promises, &kernels, &tuned, &kept))?,
        Format::Json => output::write_json(&Document {
            schema: 1,
            kernels: &kernels,
            checked: json::view(&tuned),
            kept: &kept,
        })?,
    }
    let all = kept.notice_within && kept.ride_out && kept.middlebox_forgets != Some(false);
    Ok(match all {
        true => Exit::AsExpected,
        false => Exit::Differs,
    })
}

fn kept(promises: &Promises, tuned: &Tuned) -> Kept {
    // Without keepalive an idle connection notices nothing, and outlives any outage.
    let silent = promises.when.idle() && tuned.settings.keepalive.is_none();
    let in_time = |k: halfopen_tune::Keepalive| {
        let most = promises.greatest_idle().unwrap_or(u32::MAX);
        k.idle <= most && k.interval <= most
    };
    Kept {
        notice_within: !silent && tuned.worst.noticed() <= promises.notice_within,
        ride_out: tuned.worst.ridden() >= promises.ride_out || tuned.worst == NOTHING,
        middlebox_forgets: promises
            .middlebox_forgets
            .map(|_| tuned.settings.keepalive.is_some_and(in_time)),
    }
}

/// Of settings that end no connection.
const NOTHING: halfopen_tune::Worst = halfopen_tune::Worst {
    idle: None,
    sending: None,
};

fn text(promises: &Promises, kernels: &str, tuned: &Tuned, kept: &Kept) -> String {
    let mut text = format!("checked on {kernels}\n");
    show::settings(&mut text, tuned);
    text.push('\n');
    show::table(&mut text, &[("", tuned)], promises);
    text.push('\n');
    let word = |kept: bool| if kept { "kept" } else { "BROKEN" };
    let mut line = |promise: String, kept: bool| {
        text.push_str(&format!("  {:<6}  {promise}\n", word(kept)));
    };
    let notice = human(promises.notice_within);
    line(
        format!("a vanished peer is noticed within {notice}"),
        kept.notice_within,
    );
    let outage = match promises.ride_out.is_zero() {
        true => "a single lost probe does not kill".to_owned(),
        false => format!("an outage of {} is ridden out", human(promises.ride_out)),
    };
    line(outage, kept.ride_out);
    if let (Some(forgets), Some(kept)) = (promises.middlebox_forgets, kept.middlebox_forgets) {
        let most = promises.greatest_idle().unwrap_or_default();
        let forgets = human(forgets);
        let promise = format!(
            "a probe comes before a middlebox forgets after {forgets} (idle and interval of at most {most} s)"
        );
        line(promise, kept);
    }
    text
}
