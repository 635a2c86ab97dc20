//! Events: what the runner does to the lab during a case, and when.

use std::time::Duration;

use halfopen_net::{
    CableRef, Carrier, Direction, InterfaceChange, NeighbourChange, RejectWith, RouteChange,
};
use serde::{Deserialize, Serialize};

use super::{Impair, PacketRule};

/// Something the runner does at a moment of the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The mark that is set when it took effect: the name of its kind, or the given one.
    pub name: String,
    /// When it happens.
    pub when: When,
    /// What happens.
    #[serde(rename = "happening")]
    pub action: EventAction,
    /// Line in the file, 1-based.
    pub line: u32,
}

impl Event {
    /// Whether time counts from it.
    pub fn is_fault(&self) -> bool {
        self.action.is_fault() && !self.is_condition()
    }

    /// Whether it is there before anything is sent, and so belongs to the
    /// network: a line that is bad from the beginning.
    pub fn is_condition(&self) -> bool {
        self.when == When::At(Duration::ZERO) && matches!(self.action, EventAction::Impair(_))
    }
}

/// When an event happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long after the start of the lanes.
    At(Duration),
    /// So long after a mark.
    After {
        /// The mark's name.
        mark: String,
        /// How long after it.
        by: Duration,
    },
}

/// What the runner does to a lab, or looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// A signal to one process of a lane.
    Kill {
        /// The lane.
        lane: String,
        /// The signal's name: `KILL`, `TERM`.
        signal: String,
        /// The newest forked child instead of the lane's own process.
        child: bool,
    },
    /// SIGSTOP to every process of the lane.
    Freeze {
        /// The lane.
        lane: String,
    },
    /// SIGCONT to every process of the lane.
    Thaw {
        /// The lane.
        lane: String,
    },
    /// As init does: SIGTERM, grace, SIGKILL; then the host's network goes.
    Shutdown {
        /// The host.
        host: String,
        /// Time between SIGTERM and SIGKILL.
        grace: Duration,
    },
    /// Silence first, then death: no FIN and no RST escapes.
    Crash {
        /// The host.
        host: String,
    },
    /// Crash, then the same host again: same MAC, same addresses, listening lanes started again.
    Reboot {
        /// The host.
        host: String,
        /// Time between the crash and the network being up again.
        down_for: Duration,
        /// Keep the MAC address (a replacement machine has another one).
        same_mac: bool,
        /// A router with NAT comes back knowing the connections it knew.
        #[serde(default)]
        keeps_state: bool,
    },
    /// A lane ends and is started again, several times.
    Restart {
        /// The lane.
        lane: String,
        /// How often.
        times: u32,
        /// Time from one restart to the next.
        every: Duration,
        /// Its process is killed, and the kernel sends FIN for it; else its
        /// host loses power, and nobody does.
        fin: bool,
    },
    /// Nothing passes the cable.
    Cut {
        /// The cable.
        cable: CableRef,
        /// Which way nothing passes.
        direction: Direction,
        /// What the ends see of it.
        carrier: Carrier,
    },
    /// A cable goes bad: loss, delay, jitter and the like.
    Impair(Box<Impair>),
    /// Undo a cut, impair, drop, reject, route, address, interface or neighbour event, by its name; or all of them.
    Heal {
        /// The event's name; None: everything.
        what: Option<String>,
    },
    /// Packets that match vanish.
    Drop(PacketRule),
    /// Packets that match are answered with an error.
    Reject {
        /// Which packets and where.
        rule: PacketRule,
        /// With what.
        with: RejectWith,
    },
    /// A host's route changes.
    Route {
        /// The host or router.
        host: String,
        /// What becomes of it.
        change: RouteChange,
        /// The host it leads to; None: the default route and every connected one.
        to: Option<String>,
    },
    /// A host loses its addresses of the case's family.
    AddressRemoved {
        /// The host.
        host: String,
    },
    /// A host's interface goes down, or away.
    Interface {
        /// The host.
        host: String,
        /// Down or deleted.
        change: InterfaceChange,
    },
    /// A host's neighbour entries (ARP, NDP).
    Neighbour {
        /// The host or router.
        host: String,
        /// What becomes of them.
        change: NeighbourChange,
    },
    /// A router with NAT forgets every connection.
    Forget {
        /// The router.
        router: String,
    },
    /// A host's address moves to another host of its LAN.
    Move {
        /// Whose address it is, and which does without it from then on.
        from: String,
        /// Who has it from then on.
        to: String,
        /// The new owner says so to everybody: a gratuitous ARP, an
        /// unsolicited neighbour advertisement.
        announced: bool,
    },
    /// Text appears on a lane's keyboard. Not a fault.
    Type {
        /// The lane.
        lane: String,
        /// What is typed; a newline is added.
        text: String,
    },
    /// Sockets are looked at, as netstat would. Not a fault.
    Netstat,
}

impl EventAction {
    /// Whether it changes bytes of packets.
    pub fn corrupts(&self) -> bool {
        matches!(self, EventAction::Impair(impair) if impair.line.corrupt.is_some())
    }

    /// Whether this does something to the lab, so that time counts from it.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            EventAction::Type { .. }
                | EventAction::Netstat
                | EventAction::Thaw { .. }
                | EventAction::Heal { .. }
        )
    }
}
