//! What `halfopen impact` says of two sysctls' values, measured.

use halfopen_tests::{program, root};
use libtest_mimic::Failed;

use crate::KERNEL;

/// What `halfopen impact` says of the fixture: its exit code, and each case that
/// changes with its time in seconds, before and after.
fn impact(words: &str) -> Result<Vec<(String, f64, f64)>, Failed> {
    let file = root().join("fixtures/impact.yaml");
    let mut all = vec!["impact", file.to_str().unwrap_or_default()];
    all.extend(words.split(' '));
    all.extend(["--kernel", KERNEL.trim_end_matches('.'), "--format", "json"]);
    let ran = program::run(&program::halfopen(), &root(), &all);
    let json: serde_json::Value =
        serde_json::from_str(&ran.stdout).map_err(|e| format!("{e}: {ran}"))?;
    let cases = json["runs"][0]["cases"].as_array().ok_or("no cases")?;
    let seconds = |text: &serde_json::Value| -> Option<f64> {
        // `ETIMEDOUT by client's read after 15m38.562804s`
        let time = text.as_str()?.rsplit_once(" after ")?.1;
        let mut total = 0.0;
        let mut number = String::new();
        for c in time.chars() {
            let unit = match c {
                'h' => 3600.0,
                'm' => 60.0,
                's' => 1.0,
                digit => {
                    number.push(digit);
                    continue;
                }
            };
            total += number.parse::<f64>().ok()? * unit;
            number.clear();
        }
        Some(total)
    };
    let mut changed = Vec::new();
    for case in cases.iter().filter(|case| case["what"] == "changed") {
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let cause = case["cause"].as_str().unwrap_or_default();
        // The sysctl is the cause, and the prediction fits what was seen.
        let key = words.split(['=', ' ']).nth(1).unwrap_or_default();
        if !cause.starts_with(key) {
            return Err(format!("{id}: its cause is said to be: {cause}").into());
        }
        let both = (seconds(&case["then"]), seconds(&case["now"]));
        let (Some(then), Some(now)) = both else {
            return Err(format!("{id} has no time: {case}").into());
        };
        changed.push((id, then, now));
    }
    let expected = if changed.is_empty() { 0 } else { 1 };
    if ran.code != Some(expected) {
        return Err(format!("{ran}").into());
    }
    Ok(changed)
}

fn holds(what: bool, changed: &[(String, f64, f64)]) -> Result<(), Failed> {
    if what {
        Ok(())
    } else {
        Err(format!("{changed:?}").into())
    }
}

/// 15 retries end 924.6 s after the first retransmission, 8 after 102.2 s, 5
/// after 12.6 s (ip-sysctl.rst, retransmits_timed_out()); the last one waits
/// out its own timeout.
pub fn of_retries2() -> Result<(), Failed> {
    let changed = impact("--sysctl net.ipv4.tcp_retries2=8")?;
    let [(a, then, now), (b, short_then, short_now)] = changed.as_slice() else {
        return holds(false, &changed);
    };
    let right = a == "sending"
        && (924.0..940.0).contains(then)
        && (102.0..110.0).contains(now)
        && b == "sending-short"
        && (12.6..14.0).contains(short_then)
        && (102.0..110.0).contains(short_now);
    holds(right, &changed)?;
    let elsewhere = impact("--sysctl net.ipv4.tcp_retries2=8 --host server")?;
    holds(elsewhere.is_empty(), &elsewhere)
}

/// 7200 s or 600 s, then nine probes 75 s apart, each as late as its timer's
/// granule; the sysctl by which a detector works is over-written, too.
pub fn of_keepalive_time() -> Result<(), Failed> {
    let changed = impact("--sysctl net.ipv4.tcp_keepalive_time=600")?;
    let [(a, then, now), (b, by_sysctl_then, by_sysctl_now)] = changed.as_slice() else {
        return holds(false, &changed);
    };
    let right = a == "idle/detector=keepalive"
        && (7875.0..8020.0).contains(then)
        && (1275.0..1310.0).contains(now)
        && b == "idle/detector=keepalive-30-by-sysctl"
        && (40.0..43.0).contains(by_sysctl_then)
        && (610.0..630.0).contains(by_sysctl_now);
    holds(right, &changed)?;
    let same = impact("--sysctl net.ipv4.tcp_keepalive_time=7200 keepalive-60-20-3")?;
    holds(same.is_empty(), &same)
}
