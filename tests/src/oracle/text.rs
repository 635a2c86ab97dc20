//! A plan as a scenario: the same language that people write.

use super::plan::{Fault, Heartbeat, InFlight, Limit, Plan};

/// So much fills every buffer between two programs.
const FULL: u32 = 24 << 20;

impl Plan {
    /// The scenario of this name, as it stands below `scenarios:`.
    pub fn text(&self, name: &str) -> String {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        let (us, them) = self.ends();
        let mut lines = vec![
            format!("  {name}:"),
            "    about: Made up by ci/oracle.".into(),
            format!("    network: {}", self.network),
            format!("    family: {family}"),
        ];
        if let Some(nat) = self.nat {
            lines.push(format!(
                "    nat: {{ inside: client, idle: {}s, on_forgotten: {} }}",
                nat.idle, nat.on_forgotten
            ));
        }
        if !self.sysctls.is_empty() {
            let all: Vec<String> = self
                .sysctls
                .iter()
                .map(|(name, value)| format!("net.ipv4.tcp_{name}: {value}"))
                .collect();
            lines.push(format!("    sysctls: {{ {us}: {{ {} }} }}", all.join(", ")));
        }
        lines.push(format!(
            "    {us}: {{ detector: d-{name}, steps: [{}] }}",
            self.our_steps()
        ));
        lines.push(match self.heartbeat {
            Some(_) => format!(
                "    {them}: {{ detector: h-{name}, steps: [{}] }}",
                self.their_steps()
            ),
            None => format!("    {them}: [{}]", self.their_steps()),
        });
        lines.push("    faults:".into());
        lines.extend(
            self.faults()
                .into_iter()
                .map(|fault| format!("      - {{ {fault} }}")),
        );
        lines.push(format!("    watch: [{us}]"));
        lines.push(format!("    give_up: {}s", self.give_up()));
        lines.push("    clock: virtual".into());
        lines.join("\n") + "\n"
    }

    /// Its detectors, as they stand below `detectors:`.
    pub fn detector(&self, name: &str) -> String {
        let mut parts = Vec::new();
        let heartbeat = self.heartbeat.map(heartbeat);
        let theirs = match &heartbeat {
            Some(heartbeat) => format!("  h-{name}: {{ {heartbeat} }}\n"),
            None => String::new(),
        };
        parts.extend(heartbeat);
        if let Some(k) = self.keepalive {
            let by = if k.by_sysctl { ", by: sysctl" } else { "" };
            parts.push(format!(
                "keepalive: {{ idle: {}s, interval: {}s, count: {}{by} }}",
                k.idle, k.interval, k.count
            ));
        }
        if let Some(ms) = self.user_timeout {
            parts.push(format!("user_timeout: {ms}ms"));
        }
        match self.limit {
            Some(Limit::Read(ms)) => parts.push(format!("read_timeout: {ms}ms")),
            Some(Limit::Poll(ms)) => parts.push(format!("poll: {ms}ms")),
            None => {}
        }
        format!("  d-{name}: {{ {} }}\n{theirs}", parts.join(", "))
    }

    /// Who looks on, and who does not.
    fn ends(&self) -> (&'static str, &'static str) {
        if self.us_server {
            ("server", "client")
        } else {
            ("client", "server")
        }
    }

    fn our_steps(&self) -> String {
        let begin = if self.us_server {
            "listen, accept"
        } else {
            "connect"
        };
        let meet = format!("{begin}, {{ exchange: hello }}");
        match self.in_flight {
            InFlight::Nothing => format!("{meet}, read"),
            InFlight::Polls => format!("{meet}, poll, read"),
            InFlight::After { ms: 0, bytes } => {
                format!("{meet}, {{ wait_for: fault }}, {{ write: {{ bytes: {bytes} }} }}, read")
            }
            InFlight::After { ms, bytes } => format!(
                "{meet}, {{ wait_for: fault }}, {{ sleep: {ms}ms }}, {{ write: {{ bytes: {bytes} }} }}, read"
            ),
            InFlight::Before => format!("{meet}, {{ wait_for: lost }}, {{ write: world }}, read"),
            InFlight::Full => format!("{meet}, {{ write: {{ bytes: {FULL} }} }}"),
            InFlight::Calling { nonblocking: false } => "{ wait_for: fault }, connect".into(),
            InFlight::Calling { nonblocking: true } => {
                "{ wait_for: fault }, { connect: { nonblocking: true } }".into()
            }
        }
    }

    fn their_steps(&self) -> String {
        let begin = if self.us_server {
            "connect"
        } else {
            "listen, accept"
        };
        if self.in_flight == InFlight::Full {
            // It answers once and never reads again.
            format!("{begin}, {{ read: 5 }}, {{ write: hello }}, {{ sleep: 23h }}")
        } else {
            format!("{begin}, echo")
        }
    }

    fn faults(&self) -> Vec<String> {
        let (us, them) = self.ends();
        let action = self.event_action(us, them);
        let when = if self.in_flight == InFlight::Before {
            "after: lost, by: 1ms".to_owned()
        } else {
            format!("at: {}ms", self.at)
        };
        let mut all = Vec::new();
        if let Some(delay) = self.delay {
            let cable = if delay.ours { us } else { them };
            all.push(format!(
                "at: 0s, impair: {{ cable: {cable}, direction: {}, delay: {}ms }}",
                delay.direction, delay.ms
            ));
        }
        if self.in_flight == InFlight::Before {
            all.push(format!(
                "at: {}ms, drop: {{ from: {us}, to: {them} }}, name: lost",
                self.at
            ));
        }
        all.push(format!("{when}, {action}, name: fault"));
        if let Fault::CrashForgotten(ms) = self.fault {
            let asks = if self.network == "routed" {
                "router"
            } else {
                us
            };
            all.push(format!(
                "after: fault, by: {ms}ms, neighbour: {{ host: {asks}, change: flushed }}"
            ));
        }
        if let Some(ms) = self.heals {
            all.push(format!("after: fault, by: {ms}ms, heal: all, name: healed"));
        } else if self.in_flight == InFlight::Before && self.lets_through() {
            // What was lost at first gets through, or finds what happened.
            all.push("after: fault, by: 1ms, heal: lost, name: passable".into());
        }
        all
    }

    /// Whether packets to them still arrive, or are to be answered by others.
    fn lets_through(&self) -> bool {
        matches!(
            self.fault,
            Fault::Kill
                | Fault::Freeze
                | Fault::Shutdown(_)
                | Fault::Reboot(_)
                | Fault::Counted(_)
                | Fault::Forget
                | Fault::Reject(_)
                | Fault::RoutersRoute(_)
        )
    }

    fn event_action(&self, us: &str, them: &str) -> String {
        match self.fault {
            Fault::Crash | Fault::CrashForgotten(_) => format!("crash: {them}"),
            Fault::Silence { back, at, by } => {
                let (from, to) = if back { (them, us) } else { (us, them) };
                format!("drop: {{ from: {from}, to: {to}, at: {at}, by: {by} }}")
            }
            Fault::OwnDrop(by) => {
                format!("drop: {{ from: {us}, to: {them}, at: sender, by: {by} }}")
            }
            Fault::Cut {
                ours,
                lost,
                direction,
            } => {
                let near = if ours { us } else { them };
                let carrier = if lost { "lost" } else { "kept" };
                let way = if lost { "both" } else { direction };
                format!("cut: {{ cable: {near}, carrier: {carrier}, direction: {way} }}")
            }
            Fault::Reject(with) => {
                format!("reject: {{ to: {them}, at: router, with: {with} }}")
            }
            Fault::OwnRoute(change) => format!("route: {{ host: {us}, change: {change} }}"),
            Fault::RoutersRoute(change) => {
                format!("route: {{ host: router, change: {change}, to: {them} }}")
            }
            Fault::Address { ours } => {
                format!("address_removed: {}", if ours { us } else { them })
            }
            Fault::Interface { ours, change } => {
                let host = if ours { us } else { them };
                format!("interface: {{ host: {host}, change: {change} }}")
            }
            Fault::Kill => format!("kill: {them}"),
            Fault::Freeze => format!("freeze: {them}"),
            Fault::Shutdown(ms) => format!("shutdown: {{ host: {them}, grace: {ms}ms }}"),
            Fault::Reboot(ms) => format!("reboot: {{ host: {them}, down_for: {ms}ms }}"),
            Fault::Forget => "forget: router".into(),
            Fault::Counted(n) => {
                format!("drop: {{ from: {us}, to: {them}, flags: [PSH], count: {n} }}")
            }
        }
    }

    /// Long enough for whatever ends it, seconds.
    fn give_up(&self) -> u32 {
        let keepalive = self.keepalive.map_or(0, |k| {
            let of = |name, own| self.sysctls.get(name).copied().unwrap_or(own);
            let idle = of("keepalive_time", k.idle).max(k.idle);
            let interval = of("keepalive_intvl", k.interval).max(k.interval);
            idle + interval * (of("keepalive_probes", k.count).max(k.count) + 1)
        });
        let retries2 = self.sysctls.get("retries2").copied().unwrap_or(15).min(15);
        // With tcp_rto_min_us at a second all waits are five times as long.
        let data = 2 * (1_u32 << retries2.min(9)) + retries2.saturating_sub(9) * 240 + 60;
        let data = if self.sysctls.contains_key("rto_min_us") {
            data * 4
        } else {
            data
        };
        let limit = self.user_timeout.unwrap_or(0) / 1000;
        let rest = (self.at + self.heals.unwrap_or(0)) / 1000
            + match self.fault {
                Fault::Reboot(ms) | Fault::Shutdown(ms) => ms / 500,
                _ => 0,
            };
        let calling = match self.in_flight {
            InFlight::Calling { .. } => 4 << self.sysctls.get("syn_retries").copied().unwrap_or(6),
            _ => 0,
        };
        // A line that is long makes the RTO so, too.
        let data = match self.delay {
            Some(delay) => data * (1 + delay.ms / 30),
            None => data,
        };
        let all = keepalive * 5 / 4 + 4 * limit + rest + data.max(calling) + 120;
        // Beats are work for the guest: half an hour of them is enough.
        let most = if self.heartbeat.is_some() {
            1_800
        } else {
            6 * 3600
        };
        all.min(most)
    }
}

fn heartbeat(beat: Heartbeat) -> String {
    let check = beat
        .check_every
        .map_or(String::new(), |ms| format!("check_every: {ms}ms, "));
    format!(
        "heartbeat: {{ every: {}ms, timeout: {}ms, {check}misses: {}, answered: {}, from: {}, \
         on_silence: {} }}",
        beat.every, beat.timeout, beat.misses, beat.answered, beat.from, beat.on_silence
    )
}
