//! The faults of the grid. The client is the one that should notice.

/// A fault that makes the server permanently unreachable or ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its name on the command line and in the scenarios' names.
    pub name: &'static str,
    /// A heading for wide rows.
    pub title: &'static str,
    /// The network it needs.
    pub network: &'static str,
    /// Its events in the scenario language; all happen at once.
    pub events: &'static [&'static str],
    /// Other lines of the scenario.
    pub extra: &'static [&'static str],
}

const fn routed(name: &'static str, title: &'static str, events: &'static [&'static str]) -> Fault {
    Fault {
        name,
        title,
        network: "routed",
        events,
        extra: &[],
    }
}

const fn lan(name: &'static str, title: &'static str, events: &'static [&'static str]) -> Fault {
    Fault {
        network: "lan",
        ..routed(name, title, events)
    }
}

const fn standby(
    name: &'static str,
    title: &'static str,
    events: &'static [&'static str],
) -> Fault {
    Fault {
        network: WITH_STANDBY,
        extra: &["lanes: { standby: [listen, accept, echo] }"],
        ..routed(name, title, events)
    }
}

const fn nat(name: &'static str, title: &'static str, extra: &'static [&'static str]) -> Fault {
    Fault {
        extra,
        ..routed(name, title, &["forget: router"])
    }
}

/// The network that the grid declares itself.
pub const WITH_STANDBY: &str = "with-standby";

/// All faults: of the server's process and host, of the path, of the client's own
/// host, and of another host in the server's place.
pub const ALL: [Fault; 24] = [
    routed(
        "process-killed",
        "the server's process is killed",
        &["kill: server"],
    ),
    routed(
        "process-frozen",
        "the server's process is stopped",
        &["freeze: server"],
    ),
    routed(
        "host-shutdown",
        "the server's host is shut down",
        &["shutdown: server"],
    ),
    routed(
        "host-crash",
        "the server's host crashes",
        &["crash: server"],
    ),
    lan(
        "host-crash-lan",
        "a host on the same LAN crashes",
        &["crash: server"],
    ),
    routed(
        "host-reboot",
        "the host crashes, back after 20 s",
        &["reboot: { host: server, down_for: 20s }"],
    ),
    lan(
        "host-replaced",
        "the same, back with another MAC",
        &["reboot: { host: server, down_for: 20s, mac: new }"],
    ),
    routed(
        "router-crash",
        "the client's router crashes",
        &["crash: router"],
    ),
    routed(
        "cable-cut",
        "the cable is cut, the carrier stays",
        &["cut: client"],
    ),
    routed(
        "carrier-lost",
        "the client loses its carrier",
        &["cut: { cable: client, carrier: lost }"],
    ),
    routed(
        "path-silent",
        "a firewall drops both ways",
        &[
            "drop: { from: client, to: server }",
            "drop: { from: server, to: client }",
        ],
    ),
    routed(
        "lost-to-server",
        "what goes to the server is lost",
        &["drop: { from: client, to: server }"],
    ),
    routed(
        "lost-to-client",
        "what comes from the server is lost",
        &["drop: { from: server, to: client }"],
    ),
    routed(
        "own-firewall",
        "the client's own firewall drops",
        &["drop: { from: client, to: server, at: sender }"],
    ),
    routed(
        "own-route",
        "the client's route is removed",
        &["route: { host: client, change: removed }"],
    ),
    routed(
        "own-address",
        "the client's address is removed",
        &["address_removed: client"],
    ),
    routed(
        "icmp-host",
        "a router answers host unreachable",
        &["reject: { to: server, at: router, with: host-unreachable }"],
    ),
    routed(
        "icmp-net",
        "a router answers net unreachable",
        &["reject: { to: server, at: router, with: net-unreachable }"],
    ),
    routed(
        "icmp-prohibited",
        "a firewall answers prohibited",
        &["reject: { to: server, at: router, with: admin-prohibited }"],
    ),
    nat(
        "nat-silent",
        "a NAT forgets, and drops in silence",
        &["nat: { inside: client, on_forgotten: silence }"],
    ),
    nat(
        "nat-resets",
        "a NAT forgets, and answers RST",
        &["nat: { inside: client, on_forgotten: reset }"],
    ),
    standby(
        "address-moved",
        "the address moves, announced",
        &["move: { from: server, to: standby, announced: true }"],
    ),
    standby(
        "moved-quietly",
        "the address moves, nobody says so",
        &["move: { from: server, to: standby, announced: false }"],
    ),
    routed(
        "reset",
        "a middlebox answers RST",
        &["reject: { to: server, at: router, with: tcp-reset }"],
    ),
];
