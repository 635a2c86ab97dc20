//! Simpler variants of a plan, to reduce a case that disagrees with its prediction.

use std::collections::BTreeMap;

use super::plan::{Fault, InFlight, Keepalive, Plan};

impl Plan {
    /// Plans with one thing less, or one thing plainer, the greatest steps first.
    pub fn simpler(&self) -> Vec<Plan> {
        let mut all: Vec<Plan> = Vec::new();
        let mut with = |change: &dyn Fn(&mut Plan)| {
            let mut plan = self.clone();
            change(&mut plan);
            plan.put_right();
            if plan != *self && !all.contains(&plan) {
                all.push(plan);
            }
        };
        with(&|p| p.sysctls = BTreeMap::new());
        with(&|p| p.keepalive = None);
        with(&|p| p.user_timeout = None);
        with(&|p| p.limit = None);
        with(&|p| p.heals = None);
        with(&|p| p.heartbeat = None);
        with(&|p| p.nat = None);
        with(&|p| p.delay = None);
        with(&|p| p.network = "link");
        with(&|p| p.ipv6 = false);
        with(&|p| p.us_server = false);
        with(&|p| p.fault = Fault::Crash);
        with(&|p| p.in_flight = InFlight::Nothing);
        with(&|p| p.in_flight = InFlight::After { ms: 0, bytes: 1 });
        for name in self.sysctls.keys() {
            with(&|p| {
                p.sysctls.remove(name);
            });
        }
        with(&|p| p.at = 300);
        with(&|p| {
            if let InFlight::After { ms, bytes } = &mut p.in_flight {
                *bytes = 1;
                *ms /= 2;
            }
        });
        with(&|p| {
            if let Some(k) = &mut p.keepalive {
                *k = Keepalive {
                    by_sysctl: false,
                    count: k.count.div_ceil(2),
                    ..*k
                };
            }
        });
        with(&|p| {
            if let Some(k) = &mut p.keepalive {
                (k.idle, k.interval) = (k.idle.div_ceil(2), k.interval.div_ceil(2));
            }
        });
        with(&|p| p.user_timeout = p.user_timeout.map(|ms| ms.div_ceil(2)));
        with(&|p| p.heals = p.heals.map(|ms| ms.div_ceil(2)));
        with(&|p| {
            if let Some(delay) = &mut p.delay {
                (delay.ours, delay.direction) = (true, "both");
            }
        });
        with(&|p| {
            if let Some(beat) = &mut p.heartbeat {
                (beat.misses, beat.check_every) = (1, None);
            }
        });
        with(&|p| {
            if let Fault::Reboot(ms) | Fault::Shutdown(ms) | Fault::CrashForgotten(ms) =
                &mut p.fault
            {
                *ms = ms.div_ceil(2);
            }
        });
        all
    }
}
