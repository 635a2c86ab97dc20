//! The sysctls of a host that affect predictions, with the kernel's defaults.

use std::time::Duration;

use crate::kernel::{self, KernelFacts, Version};
use crate::retransmission::RTO_MIN;
use crate::timers::keepalive;
use halfopen_scenario::case::{Case, Detector, KeepaliveBy};

/// TCP_RTO_MAX where no sysctl says otherwise.
pub(crate) const RTO_MAX: Duration = Duration::from_secs(120);

/// The values of a host's sysctls that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Sysctls {
    pub keepalive_time: Duration,
    pub keepalive_intvl: Duration,
    pub keepalive_probes: u32,
    pub retries2: u32,
    pub syn_retries: u32,
    /// 0 before 6.5.
    pub syn_linear_timeouts: u32,
    /// 200 ms before 6.11.
    pub rto_min: Duration,
    /// 120 s before 6.15.
    pub rto_max: Duration,
    /// tcp_early_retrans 3 or 4, and tcp_sack.
    pub tail_loss_probe: bool,
    pub thin_linear: bool,
    pub orphan_retries: u32,
}

/// Keys that not every kernel has, and since when they are there.
const NEWER: [(&str, Version); 3] = [
    (
        "net.ipv4.tcp_syn_linear_timeouts",
        kernel::SYN_LINEAR_TIMEOUTS,
    ),
    ("net.ipv4.tcp_rto_min_us", kernel::RTO_MIN_SYSCTL),
    ("net.ipv4.tcp_rto_max_ms", kernel::RTO_MAX_SYSCTL),
];

/// Why a case cannot be run on this kernel: it sets what the kernel does not have.
pub(crate) fn missing_sysctl(case: &Case, kernel: KernelFacts) -> Option<String> {
    let set = |key: &str| case.sysctls.values().any(|keys| keys.contains_key(key));
    let is_missing = |(key, since): &&(&str, Version)| kernel.version < *since && set(key);
    let (key, since) = NEWER.iter().find(is_missing)?;
    let version = kernel.version;
    Some(format!(
        "Linux {version} has no {key}, which came with {since}"
    ))
}

impl Sysctls {
    /// Those of a kernel that nobody has touched.
    pub fn defaults(kernel: KernelFacts) -> Self {
        let linear = kernel.version >= kernel::SYN_LINEAR_TIMEOUTS;
        Sysctls {
            keepalive_time: Duration::from_secs(7200),
            keepalive_intvl: Duration::from_secs(75),
            keepalive_probes: 9,
            retries2: 15,
            syn_retries: 6,
            syn_linear_timeouts: if linear { 4 } else { 0 },
            rto_min: RTO_MIN,
            rto_max: RTO_MAX,
            tail_loss_probe: true,
            thin_linear: false,
            orphan_retries: 0,
        }
    }

    /// Those of a case's host: the detectors' that are set by sysctl, then the
    /// scenario's, as `run` writes them.
    pub fn of(case: &Case, host: &str, kernel: KernelFacts) -> Self {
        let mut values = Sysctls::defaults(kernel);
        for lane in case.lanes.iter().filter(|l| l.host == host) {
            let keepalive = lane.detector.keepalive.as_ref();
            let Some(k) = keepalive.filter(|k| k.by == KeepaliveBy::Sysctl) else {
                continue;
            };
            values.keepalive_time = k.idle.unwrap_or(values.keepalive_time);
            values.keepalive_intvl = k.interval.unwrap_or(values.keepalive_intvl);
            values.keepalive_probes = k.count.unwrap_or(values.keepalive_probes);
        }
        for (of, set) in &case.sysctls {
            if of == host || of == "all" {
                for (key, value) in set {
                    values.set(key, value, kernel);
                }
            }
        }
        values
    }

    /// Takes one value over; those that decide nothing here are left alone.
    fn set(&mut self, key: &str, value: &str, kernel: KernelFacts) {
        let (Some(name), Ok(n)) = (
            key.strip_prefix("net.ipv4.tcp_"),
            value.trim().parse::<u32>(),
        ) else {
            return;
        };
        let seconds = Duration::from_secs(n.into());
        match name {
            "keepalive_time" => self.keepalive_time = seconds,
            "keepalive_intvl" => self.keepalive_intvl = seconds,
            "keepalive_probes" => self.keepalive_probes = n,
            "retries2" => self.retries2 = n,
            "orphan_retries" => self.orphan_retries = n,
            "syn_retries" => self.syn_retries = n,
            "syn_linear_timeouts" if kernel.version >= kernel::SYN_LINEAR_TIMEOUTS => {
                self.syn_linear_timeouts = n;
            }
            "rto_min_us" if kernel.version >= kernel::RTO_MIN_SYSCTL => {
                self.rto_min = Duration::from_micros(n.into());
            }
            "rto_max_ms" if kernel.version >= kernel::RTO_MAX_SYSCTL => {
                // Kept in ticks, of which the budget is made (tcp_model_timeout()).
                let wheel = kernel.wheel();
                self.rto_max = wheel.span(wheel.ticks(Duration::from_millis(n.into())));
            }
            "early_retrans" => self.tail_loss_probe &= matches!(n, 3 | 4),
            "sack" => self.tail_loss_probe &= n != 0,
            "thin_linear_timeouts" => self.thin_linear = n != 0,
            _ => {}
        }
    }

    /// The keepalive settings of a socket with this detector, if it has
    /// keepalive on: its own options, else the sysctls.
    pub fn keepalive(&self, detector: &Detector) -> Option<keepalive::Settings> {
        let k = detector.keepalive.as_ref()?;
        let own = k.by == KeepaliveBy::Socket;
        let whole = |d: Duration| Duration::from_secs(d.as_nanos().div_ceil(1_000_000_000) as u64);
        let time = |option: Option<Duration>, sysctl| match option {
            Some(value) if own => whole(value),
            _ => sysctl,
        };
        Some(keepalive::Settings {
            idle: time(k.idle, self.keepalive_time),
            interval: time(k.interval, self.keepalive_intvl),
            count: k.count.filter(|_| own).unwrap_or(self.keepalive_probes),
            // 0 means none (tcp(7)).
            user_timeout: detector.user_timeout.filter(|t| !t.is_zero()),
        })
    }
}
