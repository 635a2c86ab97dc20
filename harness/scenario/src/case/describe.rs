//! Describes events as text, for tables and records.

use super::{
    Carrier, Direction, EventAction, InterfaceChange, Mechanism, NeighbourChange, PacketRule,
    Place, RejectWith, RouteChange,
};

/// What an event does, in the terms of the scenario language: `crash server`.
pub fn describe(action: &EventAction) -> String {
    match action {
        EventAction::Kill {
            lane,
            signal,
            child: false,
        } => format!("kill {lane} (SIG{signal})"),
        EventAction::Kill {
            lane,
            signal,
            child: true,
        } => {
            format!("kill the child of {lane} (SIG{signal})")
        }
        EventAction::Freeze { lane } => format!("freeze {lane}"),
        EventAction::Thaw { lane } => format!("thaw {lane}"),
        EventAction::Suspend { host } => format!("suspend {host}"),
        EventAction::Resume { host } => format!("resume {host}"),
        EventAction::Shutdown { host, grace } => format!("shut {host} down, grace {grace:?}"),
        EventAction::Crash { host } => format!("crash {host}"),
        EventAction::Reboot {
            host,
            down_for,
            same_mac,
            keeps_state,
        } => {
            let mac = if *same_mac { "" } else { ", new MAC" };
            let state = if *keeps_state { ", its state kept" } else { "" };
            format!("reboot {host}, down for {down_for:?}{mac}{state}")
        }
        EventAction::Restart {
            lane,
            times,
            every,
            fin,
        } => {
            let how = if *fin { "with FIN" } else { "without FIN" };
            match times {
                1 => format!("restart {lane} {how}"),
                _ => format!("restart {lane} {times} times, every {every:?}, {how}"),
            }
        }
        EventAction::Cut {
            cable,
            direction,
            carrier,
        } => {
            let far = cable
                .far
                .as_ref()
                .map(|f| format!("-{f}"))
                .unwrap_or_default();
            let way = match direction {
                Direction::Both => String::new(),
                Direction::From => format!(", what comes from {}", cable.near),
                Direction::To => format!(", what goes to {}", cable.near),
            };
            let carrier = match carrier {
                Carrier::Kept => String::new(),
                Carrier::Lost => format!(", {} loses its carrier", cable.near),
            };
            format!("cut the cable {}{far}{way}{carrier}", cable.near)
        }
        EventAction::Impair(impair) => {
            let near = &impair.cable.near;
            let far = impair
                .cable
                .far
                .as_ref()
                .map(|f| format!("-{f}"))
                .unwrap_or_default();
            let way = match impair.direction {
                Direction::Both => String::new(),
                Direction::From => format!(", what comes from {near}"),
                Direction::To => format!(", what goes to {near}"),
            };
            let line = impair.line.in_words();
            format!("impair the cable {near}{far}{way}: {line}")
        }
        EventAction::Heal { what } => match what {
            Some(what) => format!("heal {what}"),
            None => "heal everything".into(),
        },
        EventAction::Drop(rule) => format!("drop {}", packets(rule)),
        EventAction::Reject { rule, with } => {
            format!("reject {} with {}", packets(rule), reject_with(*with))
        }
        EventAction::Route { host, change, to } => {
            let to = to
                .as_ref()
                .map(|to| format!(" to {to}"))
                .unwrap_or_default();
            let change = match change {
                RouteChange::Removed => "removed",
                RouteChange::Unreachable => "unreachable",
                RouteChange::Prohibit => "prohibited",
                RouteChange::Blackhole => "a blackhole",
            };
            format!("{host}'s route{to} is {change}")
        }
        EventAction::AddressRemoved { host } => format!("{host}'s address is removed"),
        EventAction::Interface { host, change } => {
            let change = match change {
                InterfaceChange::Down => "goes down",
                InterfaceChange::Deleted => "is deleted",
            };
            format!("{host}'s interface {change}")
        }
        EventAction::Neighbour { host, change } => {
            let change = match change {
                NeighbourChange::Flushed => "flushed",
                NeighbourChange::Pinned => "pinned",
            };
            format!("{host}'s neighbour entries are {change}")
        }
        EventAction::Forget { router } => format!("{router} forgets all connections"),
        EventAction::Move {
            from,
            to,
            announced,
        } => {
            let said = if *announced {
                "announced"
            } else {
                "unannounced"
            };
            format!("{from}'s address moves to {to}, {said}")
        }
        EventAction::Type { lane, text } => format!("type `{text}` into {lane}"),
        EventAction::Netstat => "netstat".into(),
    }
}

fn packets(rule: &PacketRule) -> String {
    let mut text = String::from("packets");
    if !rule.flags.is_empty() || !rule.without.is_empty() {
        let without = rule.without.iter().map(|f| format!("no {f}"));
        let flags: Vec<String> = rule.flags.iter().cloned().chain(without).collect();
        text = format!("{} packets", flags.join("+"));
    }
    if let Some(count) = rule.count {
        text = format!("the first {count} {text}");
    }
    if let Some(p) = rule.probability {
        text = format!("{} % of {text}", p * 100.0);
    }
    for (word, value) in [("from", &rule.from), ("to", &rule.to)] {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    for (word, port) in [("source port", rule.sport), ("port", rule.dport)] {
        if let Some(port) = port {
            text.push_str(&format!(" {word} {port}"));
        }
    }
    let by = match rule.by {
        Mechanism::Nft => "nft",
        Mechanism::Tc => "tc",
    };
    let place = match &rule.place {
        Place::Wire(None) => "on the wire".to_owned(),
        Place::Wire(Some(node)) => format!("on the wire at {node}"),
        Place::Sender => "at the sender".into(),
        Place::Receiver => "at the receiver".into(),
        Place::Router(router) => format!("on {router}"),
    };
    format!("{text} {place} by {by}")
}

fn reject_with(with: RejectWith) -> &'static str {
    match with {
        RejectWith::NetUnreachable => "net-unreachable",
        RejectWith::HostUnreachable => "host-unreachable",
        RejectWith::PortUnreachable => "port-unreachable",
        RejectWith::ProtocolUnreachable => "protocol-unreachable",
        RejectWith::AdminProhibited => "admin-prohibited",
        RejectWith::TcpReset => "tcp-reset",
    }
}
