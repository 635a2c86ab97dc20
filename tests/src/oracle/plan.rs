//! The parts of a generated case, before it is written as YAML.

use std::collections::BTreeMap;

use halfopen_predict::{Version, kernel};

use super::dice::Dice;

/// A case of one client and one server. One of them watches (`us`) while a fault hits the
/// other one (`them`) or the path between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `link`, `lan` or `routed`.
    pub network: &'static str,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// The server watches.
    pub us_server: bool,
    /// Keepalive.
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT, milliseconds.
    pub user_timeout: Option<u32>,
    /// The application's own time limit for a read.
    pub limit: Option<Limit>,
    /// The application's own beats, by both ends.
    pub heartbeat: Option<Heartbeat>,
    /// A cable with delay.
    pub delay: Option<Delay>,
    /// The router translates and tracks connections.
    pub nat: Option<Nat>,
    /// `net.ipv4.tcp_` ... of our host.
    pub sysctls: BTreeMap<&'static str, u32>,
    /// What is in flight.
    pub in_flight: InFlight,
    /// What happens.
    pub fault: Fault,
    /// When, milliseconds after the start.
    pub at: u32,
    /// The fault is healed this many milliseconds later.
    pub heals: Option<u32>,
}

/// Keepalive's settings, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// TCP_KEEPIDLE.
    pub idle: u32,
    /// TCP_KEEPINTVL.
    pub interval: u32,
    /// TCP_KEEPCNT.
    pub count: u32,
    /// By the host's sysctls.
    pub by_sysctl: bool,
}

/// An application's own limit, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// SO_RCVTIMEO.
    Read(u32),
    /// poll().
    Poll(u32),
}

/// Heartbeats, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// From beat to beat.
    pub every: u32,
    /// Silence for so long is too long.
    pub timeout: u32,
    /// The check interval, if it checks only at intervals.
    pub check_every: Option<u32>,
    /// So often in a row.
    pub misses: u32,
    /// Beats are answered.
    pub answered: bool,
    /// `client`, `server`, `both`.
    pub from: &'static str,
    /// `close`, `half_close`, `reset`.
    pub on_silence: &'static str,
}

/// A cable with delay from the beginning on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Milliseconds each way.
    pub ms: u32,
    /// Our cable, else theirs.
    pub ours: bool,
    /// `both`, `from`, `to`, seen from that host.
    pub direction: &'static str,
}

/// A router that translates, with the client inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat {
    /// How long it keeps an idle connection, seconds.
    pub idle: u32,
    /// `silence`, `reset`, `resume`.
    pub on_forgotten: &'static str,
}

/// What is in flight when the fault occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// Nothing.
    Nothing,
    /// Nothing; we wait in poll() without a limit.
    Polls,
    /// Data, written so many milliseconds after the fault.
    After {
        /// Milliseconds.
        ms: u32,
        /// How much.
        bytes: u32,
    },
    /// Data that was lost just before the fault.
    Before,
    /// So much that it fills the peer's window and our buffer: nobody reads.
    Full,
    /// connect() after the fault.
    Calling {
        /// Non-blocking.
        nonblocking: bool,
    },
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Their host loses power.
    Crash,
    /// The same, and so many milliseconds later the neighbour entry of whoever
    /// asks for them is flushed.
    CrashForgotten(u32),
    /// Nothing passes: to them, from them (`back`).
    Silence {
        /// What comes from them.
        back: bool,
        /// `wire` or `receiver`.
        at: &'static str,
        /// `nft` or `tc`.
        by: &'static str,
    },
    /// Our own host drops what we send, by `nft` or `tc`.
    OwnDrop(&'static str),
    /// A cable is cut.
    Cut {
        /// Ours, else theirs.
        ours: bool,
        /// The end at the host loses carrier.
        lost: bool,
        /// `both`, `from`, `to`, seen from that host.
        direction: &'static str,
    },
    /// A router answers our packets with this.
    Reject(&'static str),
    /// Our own route: `removed`, `unreachable`, `prohibit`, `blackhole`.
    OwnRoute(&'static str),
    /// The router's route to them.
    RoutersRoute(&'static str),
    /// Our address is gone, or theirs.
    Address {
        /// Ours, else theirs.
        ours: bool,
    },
    /// Our interface is `down` or `deleted`, or theirs.
    Interface {
        /// Ours, else theirs.
        ours: bool,
        /// The change.
        change: &'static str,
    },
    /// Their process is killed.
    Kill,
    /// Their process is stopped.
    Freeze,
    /// Their host is shut down, with so much grace in milliseconds.
    Shutdown(u32),
    /// Their host is back after so many milliseconds.
    Reboot(u32),
    /// So many packets with data get lost.
    Counted(u32),
    /// A router that remembers connections forgets them all.
    Forget,
}

impl Plan {
    /// The case of this number.
    pub fn generate(seed: u64, number: u64) -> Plan {
        let dice = &mut Dice::new(seed, number);
        let us_server = dice.percent(20);
        let in_flight = in_flight(dice, us_server);
        let network = dice.one_of(&["link", "lan", "routed"]);
        let fault = fault(dice, network == "routed");
        let mut plan = Plan {
            network,
            ipv6: dice.percent(40),
            us_server,
            keepalive: dice.percent(55).then(|| keepalive(dice)),
            user_timeout: dice.percent(30).then(|| dice.magnitude(300..=90_000)),
            limit: None,
            heartbeat: None,
            delay: None,
            nat: None,
            sysctls: BTreeMap::new(),
            in_flight,
            fault,
            at: dice.from(40..=2_500),
            heals: None,
        };
        if dice.percent(8) {
            plan.limit = Some(if dice.percent(50) {
                Limit::Read(dice.magnitude(50..=200_000))
            } else {
                Limit::Poll(dice.magnitude(50..=200_000))
            });
        }
        sysctls(dice, &mut plan.sysctls);
        if plan.can_heal() && dice.percent(15) {
            plan.heals = Some(dice.magnitude(300..=400_000));
        }
        plan.delay = dice.percent(25).then(|| delay(dice));
        plan.heartbeat = dice.percent(12).then(|| heartbeat(dice));
        if plan.network == "routed" && dice.percent(25) {
            plan.nat = Some(Nat {
                idle: dice.magnitude(1..=200),
                on_forgotten: dice.one_of(&["silence", "reset", "resume"]),
            });
            if dice.percent(40) {
                plan.fault = Fault::Forget;
            }
        }
        plan.put_right();
        plan
    }

    /// Removes combinations that have no meaning.
    pub fn put_right(&mut self) {
        if self.network != "routed"
            && matches!(self.fault, Fault::Reject(_) | Fault::RoutersRoute(_))
        {
            self.network = "routed";
        }
        if self.network != "routed" {
            self.nat = None;
        }
        if self.nat.is_none() && self.fault == Fault::Forget {
            self.fault = Fault::Crash;
        }
        // A program with a heartbeat waits in one poll() for everything.
        if matches!(
            self.in_flight,
            InFlight::Polls | InFlight::Full | InFlight::Calling { .. }
        ) {
            self.heartbeat = None;
        }
        if self.heartbeat.is_some() {
            self.limit = None;
        }
        if self.us_server && matches!(self.in_flight, InFlight::Calling { .. }) {
            self.us_server = false;
        }
        // Before there is a connection nobody can be told apart by it.
        if matches!(self.in_flight, InFlight::Calling { .. })
            && matches!(
                self.fault,
                Fault::Kill
                    | Fault::Freeze
                    | Fault::Shutdown(_)
                    | Fault::Counted(_)
                    | Fault::Forget
            )
        {
            self.fault = Fault::Crash;
        }
        if self.heals.is_some() && !self.can_heal() {
            self.heals = None;
        }
        if matches!(self.in_flight, InFlight::Polls | InFlight::Full) {
            self.limit = None;
        }
        // The window has to be full by then.
        if self.in_flight == InFlight::Full && self.at < 1_000 {
            self.at += 1_000;
        }
        // Nobody asked yet, so that nobody can forget.
        if matches!(self.in_flight, InFlight::Calling { .. })
            && matches!(self.fault, Fault::CrashForgotten(_))
        {
            self.fault = Fault::Crash;
        }
    }

    fn can_heal(&self) -> bool {
        matches!(
            self.fault,
            Fault::Silence { .. }
                | Fault::OwnDrop(_)
                | Fault::Cut { lost: false, .. }
                | Fault::Reject(_)
                | Fault::RoutersRoute(_)
        )
    }

    /// The first kernel that has all of its sysctls.
    pub fn since(&self) -> Version {
        let of = |name: &&str| match *name {
            "rto_max_ms" => kernel::RTO_MAX_SYSCTL,
            "rto_min_us" => kernel::RTO_MIN_SYSCTL,
            "syn_linear_timeouts" => kernel::SYN_LINEAR_TIMEOUTS,
            _ => kernel::OLDEST,
        };
        self.sysctls.keys().map(of).max().unwrap_or(kernel::OLDEST)
    }
}

fn in_flight(dice: &mut Dice, us_server: bool) -> InFlight {
    match dice.from(1..=100) {
        1..=28 => InFlight::Nothing,
        29..=33 => InFlight::Polls,
        34..=66 => InFlight::After {
            ms: if dice.percent(60) {
                0
            } else {
                dice.magnitude(1..=60_000)
            },
            bytes: if dice.percent(75) {
                dice.from(1..=1_000)
            } else {
                dice.from(3_000..=12_000)
            },
        },
        67..=78 => InFlight::Before,
        79..=84 => InFlight::Full,
        _ if us_server => InFlight::Nothing,
        _ => InFlight::Calling {
            nonblocking: dice.percent(25),
        },
    }
}

fn keepalive(dice: &mut Dice) -> Keepalive {
    Keepalive {
        idle: dice.magnitude(1..=3_600),
        interval: dice.magnitude(1..=120),
        count: dice.magnitude(1..=10),
        by_sysctl: dice.percent(30),
    }
}

fn delay(dice: &mut Dice) -> Delay {
    Delay {
        ms: dice.one_of(&[1, 5, 20, 50, 100, 300]),
        ours: dice.percent(50),
        direction: dice.one_of(&["both", "both", "from", "to"]),
    }
}

fn heartbeat(dice: &mut Dice) -> Heartbeat {
    let every = dice.magnitude(500..=30_000);
    Heartbeat {
        every,
        timeout: every + dice.magnitude(100..=60_000),
        check_every: dice.percent(25).then(|| dice.magnitude(300..=30_000)),
        misses: dice.one_of(&[1, 1, 2, 3]),
        answered: dice.percent(50),
        from: dice.one_of(&["client", "server", "both"]),
        on_silence: dice.one_of(&["close", "half_close", "reset"]),
    }
}

fn fault(dice: &mut Dice, routed: bool) -> Fault {
    let by = dice.one_of(&["nft", "tc"]);
    let change = dice.one_of(&["removed", "unreachable", "prohibit", "blackhole"]);
    let ours = dice.percent(50);
    match dice.from(1..=if routed { 110 } else { 90 }) {
        1..=14 => Fault::Crash,
        15..=19 => Fault::CrashForgotten(dice.magnitude(100..=3_000)),
        20..=33 => Fault::Silence {
            back: dice.percent(30),
            at: dice.one_of(&["wire", "wire", "receiver"]),
            by,
        },
        34..=40 => Fault::OwnDrop(by),
        41..=50 => Fault::Cut {
            ours,
            lost: dice.percent(30),
            direction: dice.one_of(&["both", "both", "from", "to"]),
        },
        51..=56 => Fault::OwnRoute(change),
        57..=59 => Fault::Address { ours },
        60..=65 => Fault::Interface {
            ours,
            change: dice.one_of(&["down", "deleted"]),
        },
        66..=70 => Fault::Kill,
        71..=73 => Fault::Freeze,
        74..=75 => Fault::Shutdown(dice.magnitude(100..=10_000)),
        76..=84 => Fault::Reboot(dice.magnitude(500..=300_000)),
        85..=90 => Fault::Counted(dice.from(1..=6)),
        91..=104 => Fault::Reject(dice.one_of(&[
            "net-unreachable",
            "host-unreachable",
            "port-unreachable",
            "admin-prohibited",
            "tcp-reset",
        ])),
        _ => Fault::RoutersRoute(change),
    }
}

fn sysctls(dice: &mut Dice, of: &mut BTreeMap<&'static str, u32>) {
    let mut sometimes = |share, name, low, high| {
        if dice.percent(share) {
            of.insert(name, dice.from(low..=high));
        }
    };
    sometimes(60, "retries2", 0, 10);
    sometimes(25, "syn_retries", 1, 7);
    sometimes(10, "syn_linear_timeouts", 0, 6);
    sometimes(8, "thin_linear_timeouts", 1, 1);
    sometimes(10, "keepalive_time", 1, 600);
    sometimes(10, "keepalive_intvl", 1, 75);
    sometimes(10, "keepalive_probes", 1, 12);
    sometimes(8, "sack", 0, 0);
    sometimes(8, "timestamps", 0, 0);
    sometimes(6, "retries1", 0, 5);
    sometimes(4, "orphan_retries", 0, 8);
    if dice.percent(12) {
        of.insert("early_retrans", dice.one_of(&[0, 4]));
    }
    if dice.percent(10) {
        of.insert("rto_min_us", dice.magnitude(5_000..=1_000_000));
    }
    if dice.percent(10) {
        of.insert("rto_max_ms", dice.magnitude(1_000..=120_000));
    }
}
