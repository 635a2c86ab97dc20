//! SIGKILL at random moments of a run.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::attempt::{Attempt, Who, nothing_left};
use crate::caller::{Caller, furnished};
use crate::random::Random;
use crate::witness;

/// How many kills the four tests of moments make together, unless
/// HALFOPEN_KILLS says otherwise.
const KILLS: usize = 25;

/// Into how many of a run's namespaces a witness is placed: of a thousand, as
/// many as do not take longer than the moment they are for.
const WITNESSES: usize = 24;

/// This test's share, of [`KILLS`].
fn share(of: usize) -> usize {
    let all = std::env::var("HALFOPEN_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    (all * of).div_ceil(KILLS)
}

/// Which namespaces a kill waits for, to watch them.
#[derive(Clone, Copy)]
enum Watch {
    /// Those that are there.
    WhatThereIs,
    /// Until there are some: a busy machine builds them later.
    Some,
}

/// What some kills did.
#[derive(Default)]
struct Toll {
    kills: usize,
    too_late: usize,
    witnesses: usize,
    slowest: Duration,
}

impl Toll {
    /// Kills a run by SIGKILL at this moment and looks for what is left.
    fn kill(
        &mut self,
        mut attempt: Attempt,
        who: Who,
        (moment, watch): (Duration, Watch),
        random: &mut Random,
        before: &Caller,
    ) -> Option<i32> {
        attempt.wait_until(moment);
        self.witnesses += match watch {
            Watch::WhatThereIs => witness::place(WITNESSES, random),
            Watch::Some => witness::place_some(WITNESSES, random),
        };
        // A process inside may not be there yet.
        while !attempt.signal(who, Signal::SIGKILL) && attempt.runs() {
            std::thread::sleep(ms(5));
        }
        let code = attempt.end().code;
        self.too_late += usize::from(matches!(code, Some(0 | 1)));
        let how = format!("SIGKILL to the {who:?} {moment:?} after the start");
        self.slowest = self.slowest.max(nothing_left(before, &how));
        self.kills += 1;
        code
    }

    /// Waits for the namespaces' end and tells what was seen.
    fn report(&self, moments: &str) {
        let waited = witness::all_gone();
        println!(
            "{} kills {moments} ({} of them too late): no process was left after {:.2} s, \
             none of {} watched namespaces {:.2} s after the last kill",
            self.kills,
            self.too_late,
            self.slowest.as_secs_f64(),
            self.witnesses,
            waited.as_secs_f64()
        );
    }
}

fn kill_between(name: &str, of: usize, from: Duration, to: Duration, watch: Watch) {
    let _guard = furnished();
    let mut random = Random::seeded(name);
    let before = Caller::now();
    let mut toll = Toll::default();
    for _ in 0..share(of) {
        let moment = random.between(from, to);
        let attempt = Attempt::start();
        toll.kill(
            attempt,
            Who::Supervisor,
            (moment, watch),
            &mut random,
            &before,
        );
    }
    toll.report(name);
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
#[ignore = "takes minutes: ci/test"]
fn sigkill_at_start_up() {
    kill_between("at start-up", 7, ms(0), ms(60), Watch::WhatThereIs);
}

#[test]
#[ignore = "takes minutes: ci/test"]
fn sigkill_while_labs_are_built() {
    kill_between("while labs are built", 8, ms(60), ms(2000), Watch::Some);
}

#[test]
#[ignore = "takes minutes: ci/test"]
fn sigkill_in_the_middle() {
    kill_between("in the middle", 6, ms(2000), ms(7000), Watch::Some);
}

/// Scenarios that end within seconds: a run of them is at its end soon.
const SHORT: [&str; 4] = ["run", "host-crash", "keepalive-peer", "process-killed"];

#[test]
#[ignore = "takes minutes: ci/test"]
fn a_whole_run() {
    let _guard = furnished();
    let before = Caller::now();
    let whole = Attempt::start_with(&SHORT, true);
    whole.wait_until(ms(1500));
    witness::place_some(WITNESSES, &mut Random::seeded("whole"));
    let ran = whole.end();
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    nothing_left(&before, "a whole run");
    // Each lab let its orphans go.
    let waited = witness::all_gone();
    println!("a whole run's namespaces were gone after {waited:?}");
}

/// The last cases are ending, others have gone.
#[test]
#[ignore = "takes minutes: ci/test"]
fn sigkill_near_the_end() {
    let _guard = furnished();
    let before = Caller::now();
    let began = Instant::now();
    let ran = Attempt::start_with(&SHORT, true).end();
    assert!(matches!(ran.code, Some(0 | 1)), "{ran}");
    let mut last = began.elapsed().mul_f64(0.97);

    let mut random = Random::seeded("near the end");
    let mut toll = Toll::default();
    let wanted = share(4);
    // The next run may be faster, when the machine has less to do.
    while toll.kills - toll.too_late < wanted {
        let late = toll.too_late;
        let moment = random.between(last.mul_f64(0.8), last);
        let at = (moment, Watch::WhatThereIs);
        let attempt = Attempt::start_with(&SHORT, false);
        toll.kill(attempt, Who::Supervisor, at, &mut random, &before);
        if toll.too_late > late {
            last = last.mul_f64(0.8);
        }
        assert!(toll.kills < 10 * wanted + 3, "too late too often");
    }
    toll.report("near the end");
}

/// QEMU ends with the run, and what was being saved of a guest does no harm: the next
/// run uses it or makes it anew.
#[test]
#[ignore = "needs QEMU and a kernel: ci/soak"]
fn nightly_sigkill_of_virtual_runs() {
    let _guard = furnished();
    let mut random = Random::seeded("virtual");
    let before = Caller::now();
    let above = tempfile::tempdir().expect("a directory");
    let states = above.path().join("states");
    let mut toll = Toll::default();
    for _ in 0..share(10) {
        let attempt = Attempt::start_virtual(&states);
        let moment = random.between(ms(0), ms(4000));
        attempt.wait_until(moment);
        attempt.signal(Who::Supervisor, Signal::SIGKILL);
        let ran = attempt.end();
        assert!(matches!(ran.code, None | Some(0)), "{ran}");
        toll.too_late += usize::from(ran.code.is_some());
        let how = format!("SIGKILL to a virtual run {moment:?} after the start");
        toll.slowest = toll.slowest.max(nothing_left(&before, &how));
        toll.kills += 1;
    }
    toll.report("of virtual runs");
    let ran = Attempt::start_virtual(&states).end();
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
#[ignore = "takes minutes: ci/test"]
fn sigkill_of_a_process_inside() {
    let _guard = furnished();
    let mut random = Random::seeded("inside");
    let before = Caller::now();
    let mut toll = Toll::default();
    for who in [Who::Init, Who::Runner] {
        let moment = random.between(ms(500), ms(3000));
        let at = (moment, Watch::WhatThereIs);
        let code = toll.kill(Attempt::start(), who, at, &mut random, &before);
        // As a shell tells it: 128 and the signal's number.
        assert_eq!(code, Some(137), "{who:?}");
    }
    toll.report("of a process inside");
}
