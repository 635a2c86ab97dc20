//! The sysctls of a host that decide what its sockets do, as a lab pins them.

use std::time::Duration;

use crate::facts::Fact;
use crate::kernel::{KernelFacts, Version};
use halfopen_scenario::case::{Case, Family, KeepaliveBy};

/// TCP_RTO_MIN.
pub const RTO_MIN: Duration = Duration::from_millis(200);
/// TCP_RTO_MAX where no sysctl says otherwise.
pub const RTO_MAX: Duration = Duration::from_secs(120);

/// Timeouts of conntrack for data that nobody acknowledges, whatever the state: the
/// simulation does not count what tcp_packet() counts for them.
const BY_DATA: [&str; 2] = ["max_retrans", "unacknowledged"];

/// The values of a host.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Sysctls {
    pub keepalive_time: Duration,
    pub keepalive_intvl: Duration,
    pub keepalive_probes: u32,
    pub retries1: u32,
    pub retries2: u32,
    pub orphan_retries: u32,
    pub syn_retries: u32,
    pub synack_retries: u32,
    pub syn_linear_timeouts: u32,
    pub abort_on_overflow: bool,
    pub syncookies: bool,
    pub max_syn_backlog: u32,
    pub fin_timeout: Duration,
    pub rto_min: Duration,
    pub rto_max: Duration,
    pub early_retrans: u32,
    pub sack: bool,
    pub timestamps: bool,
    pub thin_linear: bool,
    pub invalid_ratelimit: Duration,
    pub somaxconn: u32,
    pub ip_forward: bool,
    /// Seconds without a packet after which conntrack forgets, by state's name.
    pub conntrack: Vec<(String, u64)>,
    /// Keys that were set and that the simulation does not know.
    pub unknown: Vec<String>,
}

impl Sysctls {
    /// Those of a host that nobody has touched.
    pub fn defaults(version: Version) -> Self {
        let linear = Fact::SynLinearTimeouts.holds(version);
        Sysctls {
            keepalive_time: Duration::from_secs(7200),
            keepalive_intvl: Duration::from_secs(75),
            keepalive_probes: 9,
            retries1: 3,
            retries2: 15,
            orphan_retries: 0,
            syn_retries: 6,
            synack_retries: 5,
            syn_linear_timeouts: if linear { 4 } else { 0 },
            abort_on_overflow: false,
            syncookies: true,
            max_syn_backlog: 128,
            fin_timeout: Duration::from_secs(60),
            rto_min: RTO_MIN,
            rto_max: RTO_MAX,
            early_retrans: 3,
            sack: true,
            timestamps: true,
            thin_linear: false,
            invalid_ratelimit: Duration::from_millis(500),
            somaxconn: 4096,
            ip_forward: true,
            conntrack: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Those of a case's node: what detectors set by sysctl, then what the scenario sets.
    pub fn of(case: &Case, node: &str, kernel: KernelFacts) -> Self {
        let mut values = Sysctls::defaults(kernel.version);
        for lane in case.lanes.iter().filter(|lane| lane.host == node) {
            let keepalive = lane.detector.keepalive.as_ref();
            if let Some(k) = keepalive.filter(|k| k.by == KeepaliveBy::Sysctl) {
                values.keepalive_time = k.idle.unwrap_or(values.keepalive_time);
                values.keepalive_intvl = k.interval.unwrap_or(values.keepalive_intvl);
                values.keepalive_probes = k.count.unwrap_or(values.keepalive_probes);
            }
        }
        let nat = case.network.nats.iter().find(|nat| nat.router == node);
        for (state, time) in nat.iter().flat_map(|nat| &nat.timeouts) {
            values.set(&state.sysctl(), &time.as_secs().to_string(), kernel);
        }
        // Forwarding is switched by family.
        let other_family = match case.family {
            Family::Ipv4 => "net.ipv6.conf.all.forwarding",
            Family::Ipv6 => "net.ipv4.ip_forward",
        };
        for (of, set) in &case.sysctls {
            if of == node || of == "all" {
                for (key, value) in set.iter().filter(|(key, _)| *key != other_family) {
                    values.set(key, value, kernel);
                }
            }
        }
        values
    }

    fn set(&mut self, key: &str, value: &str, kernel: KernelFacts) {
        let Ok(n) = value.trim().parse::<u32>() else {
            self.unknown.push(key.to_owned());
            return;
        };
        let seconds = Duration::from_secs(n.into());
        let of_a_state = key.strip_prefix("net.netfilter.nf_conntrack_tcp_timeout_");
        if let Some(name) = of_a_state.filter(|name| !BY_DATA.contains(name)) {
            self.conntrack.retain(|(other, _)| other != name);
            self.conntrack.push((name.to_owned(), n.into()));
            return;
        }
        match key {
            "net.core.somaxconn" => self.somaxconn = n,
            "net.ipv4.ip_forward" | "net.ipv6.conf.all.forwarding" => self.ip_forward = n != 0,
            _ => match key.strip_prefix("net.ipv4.tcp_").unwrap_or_default() {
                "keepalive_time" => self.keepalive_time = seconds,
                "keepalive_intvl" => self.keepalive_intvl = seconds,
                "keepalive_probes" => self.keepalive_probes = n,
                "retries1" => self.retries1 = n,
                "retries2" => self.retries2 = n,
                "orphan_retries" => self.orphan_retries = n,
                "syn_retries" => self.syn_retries = n,
                "synack_retries" => self.synack_retries = n,
                "syn_linear_timeouts" => self.syn_linear_timeouts = n,
                "abort_on_overflow" => self.abort_on_overflow = n != 0,
                "syncookies" => self.syncookies = n != 0,
                "max_syn_backlog" => self.max_syn_backlog = n,
                "fin_timeout" => self.fin_timeout = seconds,
                "rto_min_us" => self.rto_min = Duration::from_micros(n.into()),
                "rto_max_ms" => {
                    // Kept in ticks, of which budgets are made (tcp_model_timeout()).
                    let wheel = kernel.wheel();
                    self.rto_max = wheel.span(wheel.ticks(Duration::from_millis(n.into())));
                }
                "early_retrans" => self.early_retrans = n,
                "sack" => self.sack = n != 0,
                "timestamps" => self.timestamps = n != 0,
                "thin_linear_timeouts" => self.thin_linear = n != 0,
                "invalid_ratelimit" => self.invalid_ratelimit = Duration::from_millis(n.into()),
                _ => self.unknown.push(key.to_owned()),
            },
        }
    }
}
