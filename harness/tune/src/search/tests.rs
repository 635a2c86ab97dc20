use super::*;
use crate::{Path, While};
use halfopen_predict::{KernelFacts, Version};

const ALL_HZ: [u32; 3] = [100, 250, 1000];

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn promises(notice: f64, ride_out: f64, when: While, hz: &[u32]) -> Promises {
    Promises {
        notice_within: secs(notice),
        ride_out: secs(ride_out),
        when,
        round_trip: Duration::from_millis(40),
        path: Path::Neighbour,
        kernels: hz
            .iter()
            .map(|hz| KernelFacts::new(Version(6, 12), *hz))
            .collect(),
        middlebox_forgets: None,
    }
}

fn found(promises: &Promises) -> Option<Tuned> {
    match tune(promises) {
        Answer::Found { tuned, .. } => Some(tuned),
        Answer::Impossible(_) => None,
    }
}

/// Every value there is, without the search's shortcuts: the longest idle time.
/// `limits` suit data.
fn exhaustive(bounds: &Bounds<'_>, limits: &[Option<Duration>]) -> Option<u32> {
    let promises = bounds.promises;
    let most = u32::try_from(promises.notice_within.as_secs()).expect("small");
    let all = (1..=most).flat_map(|idle| {
        (1..=idle).flat_map(move |interval| {
            (2..=most + 1).map(move |count| Keepalive {
                idle,
                interval,
                count,
            })
        })
    });
    let keeps = |k: &Keepalive| {
        limits.iter().any(|limit| {
            bounds.noticed(*k, *limit) <= promises.notice_within
                && bounds
                    .ridden(*k, *limit)
                    .is_some_and(|ridden| ridden >= promises.ride_out)
        })
    };
    all.filter(keeps).map(|k| k.idle).max()
}

#[test]
fn while_idle_it_finds_what_trying_everything_finds() {
    for notice in [2.9, 3.1, 3.3, 4.0, 5.5, 8.0, 11.0, 14.2] {
        for ride_out in [0.0, 0.9, 1.0, 2.0, 3.7, 6.0, 9.0] {
            let promises = promises(notice, ride_out, While::Idle, &ALL_HZ);
            let bounds = Bounds::new(&promises, RTO_MAX);
            let best = exhaustive(&bounds, &[None]);
            let tuned = found(&promises);
            let idle = tuned.and_then(|t| t.settings.keepalive).map(|k| k.idle);
            assert_eq!(idle, best, "{notice} s, {ride_out} s");
        }
    }
}

#[test]
fn with_both_states_it_finds_no_less_than_trying_limits() {
    for (notice, ride_out) in [(4.0, 0.5), (5.0, 1.0), (6.0, 2.0), (9.0, 3.0), (7.0, 4.0)] {
        let promises = promises(notice, ride_out, While::Both, &[250]);
        let bounds = Bounds::new(&promises, RTO_MAX);
        let most = promises.notice_within.as_millis() as u64;
        let limits: Vec<_> = (1..=most / 250)
            .map(|n| Some(Duration::from_millis(n * 250)))
            .filter(|limit| {
                let reach = bounds.reach(Limit::UserTimeout(limit.expect("some")));
                reach.noticed <= promises.notice_within && reach.ridden >= promises.ride_out
            })
            .collect();
        let best = exhaustive(&bounds, &limits);
        let tuned = found(&promises);
        if let Some(best) = best {
            let k = tuned.and_then(|t| t.settings.keepalive);
            let k = k.unwrap_or_else(|| panic!("{notice} {ride_out}: there are settings"));
            // Values that hold without the user timeout as well are preferred.
            assert!(k.idle + 1 >= best, "{notice} {ride_out}: {k:?} {best}");
        }
        if let Some(tuned) = tuned {
            assert!(tuned.worst.noticed() <= promises.notice_within);
            assert!(tuned.worst.ridden() >= promises.ride_out);
        }
    }
}

#[test]
fn what_is_found_keeps_both_promises_by_its_own_bounds() {
    for when in [While::Idle, While::Sending, While::Both] {
        for (notice, ride_out) in [(30.0, 10.0), (60.0, 0.0), (10.0, 2.5), (120.0, 50.0)] {
            let promises = promises(notice, ride_out, when, &ALL_HZ);
            let tuned = found(&promises).unwrap_or_else(|| panic!("{when:?} {notice}"));
            assert!(tuned.worst.noticed() <= promises.notice_within, "{tuned:?}");
            assert!(tuned.worst.ridden() >= promises.ride_out, "{tuned:?}");
            assert_eq!(tuned.settings.keepalive.is_some(), when.idle());
            assert_eq!(tuned.settings.user_timeout.is_some(), when.sending());
        }
    }
}

#[test]
fn the_nearest_keep_one_promise_and_break_the_other() {
    for when in [While::Idle, While::Sending, While::Both] {
        for (notice, ride_out) in [(10.0, 10.0), (5.0, 20.0), (12.0, 11.0)] {
            let promises = promises(notice, ride_out, when, &ALL_HZ);
            let Answer::Impossible(none) = tune(&promises) else {
                panic!("{when:?} {notice} {ride_out}: nothing keeps both");
            };
            assert_eq!(none.breaks, Promise::RideOut);
            assert!(!none.because.is_empty());
            let patient = none.patient.expect("time enough").worst;
            assert!(patient.ridden() >= promises.ride_out, "{patient:?}");
            assert!(patient.noticed() > promises.notice_within, "{patient:?}");
            let quick = none.quick.expect("there is time for a probe").worst;
            assert!(quick.noticed() <= promises.notice_within, "{quick:?}");
            assert!(quick.ridden() < promises.ride_out, "{quick:?}");
        }
    }
}

#[test]
fn nothing_notices_within_three_seconds_by_whole_seconds() {
    let promises = promises(3.0, 0.0, While::Idle, &ALL_HZ);
    let Answer::Impossible(none) = tune(&promises) else {
        panic!("1 s + 2 x 1 s is more than 3 s");
    };
    assert_eq!(none.breaks, Promise::NoticeWithin);
    assert_eq!(none.quick, None);
    let fastest = none.patient.expect("the fastest").settings.keepalive;
    let fastest = fastest.map(|k| (k.idle, k.interval, k.count));
    assert_eq!(fastest, Some((1, 1, 2)));
}

#[test]
fn a_shorter_rto_makes_more_possible_where_the_kernel_has_it() {
    let mut promises = promises(15.0, 10.0, While::Both, &[250]);
    assert_eq!(found(&promises), None);
    promises.kernels = vec![KernelFacts::new(Version(6, 15), 250)];
    let tuned = found(&promises).expect("with TCP_RTO_MAX_MS");
    assert!(tuned.settings.rto_max.is_some());
    // One kernel without it is enough.
    promises.kernels.push(KernelFacts::new(Version(6, 12), 250));
    assert_eq!(found(&promises), None);
}

#[test]
fn programs_without_the_option_get_what_holds_for_them() {
    let promises = promises(60.0, 5.0, While::Both, &[250]);
    let Answer::Found { without, .. } = tune(&promises) else {
        panic!("there are settings");
    };
    let thirds = without.thirds.expect("a third of it is more than 5 s");
    assert!((15..30).contains(&thirds), "{thirds}");
    let retries = without.retries2.expect("a number of them");
    let bounds = Bounds::new(&promises, RTO_MAX);
    let reach = bounds.reach(Limit::Retries(retries));
    assert!(reach.noticed <= promises.notice_within && reach.ridden >= promises.ride_out);
}

#[test]
fn keepalive_comes_before_a_middlebox_forgets() {
    let mut promised = promises(3_000.0, 10.0, While::Idle, &[250]);
    let idle = |promised: &Promises| match tune(promised) {
        Answer::Found { tuned, .. } => tuned.settings.keepalive.map(|k| (k.idle, k.interval)),
        Answer::Impossible(why) => panic!("{why:?}"),
    };
    let (without, _) = idle(&promised).expect("keepalive");
    assert!(without > 2_000, "{without}");
    promised.middlebox_forgets = Some(Duration::from_secs(350));
    let (with, interval) = idle(&promised).expect("keepalive");
    assert!(with <= 310 && interval <= 310, "{with} {interval}");
    assert!(with > 250, "no shorter than it must be: {with}");
}

#[test]
fn given_settings_do_at_worst_what_found_ones_do() {
    let promised = promises(30.0, 10.0, While::Both, &[250]);
    let Answer::Found { tuned, .. } = tune(&promised) else {
        panic!("there are some");
    };
    let checked = check(&promised, tuned.settings);
    assert_eq!(checked.worst, tuned.worst);
    let hasty = Settings {
        user_timeout: Some(Duration::from_secs(2)),
        ..tuned.settings
    };
    assert!(check(&promised, hasty).worst.ridden() < promised.ride_out);
    let never_set = Settings {
        user_timeout: None,
        ..tuned.settings
    };
    assert!(check(&promised, never_set).worst.noticed() > Duration::from_secs(900));
}
