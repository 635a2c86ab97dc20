//! Cases that measure what is promised, and what their outcomes say.
//!
//! They are scenarios like any other: written as YAML, read by the ordinary
//! parser, run by whoever runs cases.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::{Path, Promises, Settings, Tuned};
use halfopen_outcome::record::{CallResult, Outcome, Status, reference_ns};
use halfopen_scenario::case::{Case, SignKind};
use halfopen_scenario::{self, InputErrors};

/// What a trial asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Is a crash noticed in time?
    Crash,
    /// Is an outage of the promised length ridden out?
    Outage,
    /// Does a single lost probe kill?
    LostProbe,
}

/// A case that answers a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The question.
    pub question: Question,
    /// What happens and when, as text.
    pub description: String,
    /// The case.
    pub case: Case,
}

/// What a trial showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The crash (or what was written after it) was noticed after this.
    Noticed(Duration),
    /// The crash was not noticed.
    Unnoticed,
    /// The connection lived, and carried data afterwards.
    Lived,
    /// The connection died this long after the fault.
    Died(Duration),
    /// Nothing that answers the question.
    Nothing(String),
}

impl Shown {
    /// Whether the promise was kept.
    pub fn keeps(&self, promises: &Promises) -> bool {
        match self {
            Shown::Noticed(after) => *after <= promises.notice_within,
            Shown::Lived => true,
            Shown::Unnoticed | Shown::Died(_) | Shown::Nothing(_) => false,
        }
    }
}

/// The trials of some settings. `prefix` makes their names unique.
///
/// # Errors
/// When promises are so long that no case can last that long.
pub fn trials(promises: &Promises, tuned: &Tuned, prefix: &str) -> Result<Vec<Trial>, InputErrors> {
    let mut script = Script {
        promises,
        tuned,
        prefix,
        descriptions: Vec::new(),
        text: head(&tuned.settings),
    };
    if promises.when.idle() {
        script.idle();
    }
    if promises.when.sending() {
        script.sending();
    }
    let Script {
        descriptions, text, ..
    } = script;
    let cases = halfopen_scenario::parse("trials", &text)?.cases;
    Ok(descriptions
        .into_iter()
        .zip(cases)
        .map(|((question, description), case)| Trial {
            question,
            description,
            case,
        })
        .collect())
}

fn head(settings: &Settings) -> String {
    let mut parts = Vec::new();
    if let Some(k) = settings.keepalive {
        parts.push(format!(
            "keepalive: {{ idle: {}s, interval: {}s, count: {} }}",
            k.idle, k.interval, k.count
        ));
    }
    if let Some(limit) = settings.user_timeout {
        parts.push(format!("user_timeout: {}ms", limit.as_millis()));
    }
    format!(
        "version: 1\ndetectors:\n  tuned: {{ {} }}\nscenarios:\n",
        parts.join(", ")
    )
}

struct Script<'a> {
    promises: &'a Promises,
    tuned: &'a Tuned,
    prefix: &'a str,
    descriptions: Vec<(Question, String)>,
    text: String,
}

/// Faults are applied after this time.
const SETTLED: Duration = Duration::from_millis(400);

impl Script<'_> {
    fn idle(&mut self) {
        let Some(k) = self.tuned.settings.keepalive else {
            return;
        };
        let idle = Duration::from_secs(k.idle.into());
        let before_probe = idle.saturating_sub(Duration::from_millis(20));
        // The wheel's lateness is less than an eighth of the time, and a tick.
        let after_probe = idle + idle / 8 + Duration::from_millis(100);
        let moments = [
            (Duration::from_millis(1), "just after a segment"),
            (idle / 2, "halfway to the first probe"),
            (before_probe, "just before the first probe"),
            (after_probe, "after a probe was answered"),
        ];
        for (by, when) in moments {
            self.crash(
                &format!("idle, crash {when}"),
                "{ exchange: hello, mark: said }, read",
                &format!(
                    "{{ after: said, by: {}, {} }}",
                    ms(by),
                    self.vanish("crash")
                ),
                by,
            );
        }
        if !self.promises.ride_out.is_zero() {
            for (by, when) in moments {
                let heal = format!(
                    "{{ after: said, by: {}, {} }}, {{ after: cut, by: {}, heal: cut, name: healed }}",
                    ms(by),
                    self.vanish("cut"),
                    ms(self.promises.ride_out)
                );
                self.outage(
                    Question::Outage,
                    &format!("idle, outage {when}"),
                    &format!(
                        "{{ exchange: hello, mark: said }}, {{ wait_for: healed }}, {{ sleep: {} }}, \
                         {{ exchange: still here }}",
                        ms(self.promises.notice_within)
                    ),
                    &heal,
                    by + self.promises.notice_within,
                );
            }
        }
        let lost = idle.saturating_sub(Duration::from_millis(500)).max(SETTLED);
        let after = idle + Duration::from_secs(2 * u64::from(k.interval) + 2);
        self.outage(
            Question::LostProbe,
            "idle, one probe is lost",
            &format!(
                "{{ exchange: hello, mark: said }}, {{ wait_for: drop }}, {{ sleep: {} }}, \
                 {{ exchange: still here }}",
                ms(after)
            ),
            &format!(
                "{{ after: said, by: {}, drop: {{ from: client, to: server, count: 1 }} }}",
                ms(lost)
            ),
            lost + after,
        );
    }

    fn sending(&mut self) {
        let settled = ms(SETTLED);
        self.crash(
            "sending, written just after the crash",
            "{ exchange: hello, mark: said }, { wait_for: crash }, { write: query }, read",
            &format!("{{ after: said, by: {settled}, {} }}", self.vanish("crash")),
            SETTLED,
        );
        self.crash(
            "sending, under way when the host crashed",
            "{ exchange: hello, mark: said }, { wait_for: lost }, { write: query }, read",
            &format!(
                "{{ after: said, by: {settled}, drop: {{ from: client, to: server }}, name: lost }}, \
                 {{ after: lost, by: 1ms, {} }}",
                self.vanish("crash")
            ),
            SETTLED,
        );
        if self.promises.path == Path::Neighbour {
            // Its entry is stale, or gone, when the data is written.
            self.crash(
                "sending, written after a minute of silence",
                "{ exchange: hello, mark: said }, { wait_for: crash }, { write: query }, read",
                "{ after: said, by: 1m, crash: server }",
                Duration::from_secs(60),
            );
            self.crash(
                "sending, to a neighbour that has to be asked for",
                "{ exchange: hello, mark: said }, { wait_for: gone }, { write: query }, read",
                &format!(
                    "{{ after: said, by: {settled}, crash: server }}, {{ after: crash, by: 1ms, \
                     neighbour: {{ host: client, change: flushed }}, name: gone }}"
                ),
                SETTLED,
            );
        }
        if self.promises.ride_out.is_zero() {
            return;
        }
        let outage = self.promises.ride_out;
        let cut = self.vanish("cut");
        // The wheel stands elsewhere each time.
        for (shift, what, fault) in [
            (0, "nothing passes", cut.as_str()),
            (61, "nothing passes, at another phase", &cut),
            (127, "nothing passes, at a third phase", &cut),
            (
                17,
                "only answers are lost",
                "drop: { from: server, to: client }, name: cut",
            ),
        ] {
            self.outage(
                Question::Outage,
                &format!("sending, {what}"),
                "{ exchange: hello, mark: said }, { wait_for: cut }, { exchange: query }, \
                 { exchange: still here }",
                &format!(
                    "{{ after: said, by: {}, {fault} }}, {{ after: cut, by: {}, heal: cut, name: \
                     healed }}",
                    ms(SETTLED + Duration::from_millis(shift)),
                    ms(outage)
                ),
                SETTLED + self.promises.notice_within,
            );
        }
        self.outage(
            Question::Outage,
            "sending, written in the middle of the outage",
            &format!(
                "{{ exchange: hello, mark: said }}, {{ wait_for: cut }}, {{ sleep: {} }}, \
                 {{ exchange: query }}, {{ exchange: still here }}",
                ms(outage / 2)
            ),
            &format!(
                "{{ after: said, by: {settled}, {cut} }}, {{ after: cut, by: {}, heal: cut, name: \
                 healed }}",
                ms(outage)
            ),
            SETTLED + outage + self.promises.notice_within,
        );
    }

    /// The fault that makes the peer vanish on this path; the event's name is `crash` or
    /// `cut`.
    fn vanish(&self, name: &str) -> String {
        match self.promises.path {
            Path::Silent => format!("drop: {{ from: client, to: server }}, name: {name}"),
            Path::Neighbour => format!("{name}: server"),
            Path::Unreachable => {
                format!(
                    "reject: {{ to: server, at: router, with: host-unreachable }}, name: {name}"
                )
            }
        }
    }

    fn crash(&mut self, description: &str, steps: &str, faults: &str, lasts: Duration) {
        let lasts = lasts + self.tuned.worst.noticed().max(self.promises.notice_within) * 2;
        self.scenario(Question::Crash, description, steps, faults, lasts);
    }

    fn outage(
        &mut self,
        question: Question,
        description: &str,
        steps: &str,
        faults: &str,
        lasts: Duration,
    ) {
        let worst = self.tuned.worst.noticed();
        let lasts = lasts + (self.promises.ride_out + worst) * 2;
        self.scenario(question, description, steps, faults, lasts);
    }

    fn scenario(
        &mut self,
        question: Question,
        description: &str,
        steps: &str,
        faults: &str,
        lasts: Duration,
    ) {
        let sysctls = self.tuned.settings.rto_max.map_or_else(String::new, |max| {
            format!(
                "    sysctls: {{ client: {{ net.ipv4.tcp_rto_max_ms: {} }} }}\n",
                max.as_millis()
            )
        });
        let _ = write!(
            self.text,
            "  {}-{}:
    about: {description}
    network: {}
    server: [listen, accept, echo]
    client: {{ detector: tuned, steps: [connect, {steps}] }}
    faults: [{faults}]
    watch: [client]
    clock: virtual
{sysctls}    give_up: {}s
",
            self.prefix,
            self.descriptions.len() + 1,
            if self.promises.path == Path::Unreachable {
                "routed"
            } else {
                "link"
            },
            lasts.as_secs() + 5
        );
        self.descriptions.push((question, description.into()));
    }
}

fn ms(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

impl Trial {
    /// What its outcome says.
    pub fn shown(&self, outcome: &Outcome) -> Shown {
        if let Status::NotRun(why) | Status::Failed(why) = &outcome.status {
            return Shown::Nothing(why.clone());
        }
        let Some(sign) = &outcome.first_sign else {
            return Shown::Nothing("no first sign".into());
        };
        let at = sign
            .since_fault_ns
            .map(|since| since + reference_ns(&outcome.faults));
        match (self.question, &sign.outcome, at) {
            (Question::Crash, SignKind::Unnoticed, _) => Shown::Unnoticed,
            // Whichever: EHOSTUNREACH when ARP has found out as well meanwhile.
            (Question::Crash, SignKind::Errno(_), Some(at)) => {
                Shown::Noticed(since(at, self.began_ns(outcome)))
            }
            (_, SignKind::Unnoticed, _) => self.lived(outcome),
            (Question::Outage | Question::LostProbe, SignKind::Errno(_), Some(at)) => {
                Shown::Died(since(at, reference_ns(&outcome.faults)))
            }
            (_, sign, _) => Shown::Nothing(format!("an unforeseen sign: {sign:?}")),
        }
    }

    /// The moment from which a crash has to be noticed: the crash, or what was
    /// written first that nobody acknowledges.
    fn began_ns(&self, outcome: &Outcome) -> i64 {
        let crash = outcome.faults.iter().rfind(|f| f.name == "crash");
        let fault = reference_ns(&outcome.faults);
        let written = outcome
            .endpoints
            .iter()
            .filter(|e| e.lane == "client")
            .flat_map(|e| e.processes.iter().flat_map(|p| &p.calls))
            .filter(|call| call.call == "write" && call.start_ns >= fault)
            .map(|call| call.start_ns)
            .min();
        // Data that was under way already counts from its write.
        written.unwrap_or_else(|| crash.map_or(fault, |f| f.effective_ns))
    }

    /// Whether the exchange after the fault completed, and the fault took effect.
    fn lived(&self, outcome: &Outcome) -> Shown {
        if self.question == Question::LostProbe {
            let is_lost_probe = |p: &&halfopen_outcome::record::Packet| {
                p.kind == "keepalive-probe" && p.delivered_ns.is_none()
            };
            if outcome.wire.packets.iter().filter(is_lost_probe).count() != 1 {
                return Shown::Nothing("not one probe was lost".into());
            }
        }
        let calls = outcome
            .endpoints
            .iter()
            .filter(|e| e.lane == "client")
            .flat_map(|e| e.processes.iter().flat_map(|p| &p.calls));
        let read: Vec<_> = calls.filter(|call| call.call == "read").collect();
        let whole = read
            .iter()
            .all(|call| matches!(call.result, CallResult::Value(n) if n > 0));
        let expected_reads = if self.description.starts_with("sending") {
            3
        } else {
            2
        };
        if whole && read.len() >= expected_reads {
            Shown::Lived
        } else {
            Shown::Nothing("the exchange after the fault did not end".into())
        }
    }
}

fn since(at: i64, began: i64) -> Duration {
    Duration::from_nanos((at - began).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Path, While, tune};
    use halfopen_predict::{KernelFacts, Version};

    #[test]
    fn every_story_is_a_scenario() {
        for (when, descriptions) in [(While::Idle, 9), (While::Sending, 9), (While::Both, 18)] {
            let promises = Promises {
                notice_within: Duration::from_secs(30),
                ride_out: Duration::from_secs(5),
                when,
                round_trip: Duration::from_millis(50),
                path: Path::Neighbour,
                kernels: vec![KernelFacts::new(Version(6, 12), 250)],
                middlebox_forgets: None,
            };
            let Answer::Found { tuned, .. } = tune(&promises) else {
                panic!("{when:?}: there are settings");
            };
            let trials = trials(&promises, &tuned, "a").unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(trials.len(), descriptions, "{when:?}");
            assert!(trials.iter().all(|t| t.case.about == t.description));
        }
    }
}
