//! A rule in words, for recordings.

use super::hook::{Action, Hook};
use super::rule::{Match, tcp_flag};
use halfopen_net::{Family, RejectWith};

/// Who is told what was added to a filter and removed from it, and where.
pub(crate) type Note = Box<dyn Fn(&Hook, &str) + Send + Sync>;

/// `drop the first 2 packets (TCP, PSH)`.
pub(super) fn rule(rule: &Match, action: Action) -> String {
    let which = match (rule.count, rule.probability.filter(|p| *p < 1.0)) {
        (Some(1), None) => "the first packet".to_owned(),
        (Some(count), None) => format!("the first {count} packets"),
        (Some(count), Some(p)) => format!("{} % of packets, the first {count}", p * 100.0),
        (None, Some(p)) => format!("{} % of packets", p * 100.0),
        (None, None) => "packets".to_owned(),
    };
    let only = conditions(rule);
    let only = match only.is_empty() {
        true => String::new(),
        false => format!(" ({})", only.join(", ")),
    };
    match action {
        Action::Drop => format!("drop {which}{only}"),
        Action::Reject(with) => format!("reject {which}{only} with {}", error(with)),
    }
}

fn conditions(rule: &Match) -> Vec<String> {
    let mut only = Vec::new();
    let mut push = |text: Option<String>| only.extend(text);
    push(rule.family.map(|family| match family {
        Family::Ipv4 => "IPv4".to_owned(),
        Family::Ipv6 => "IPv6".to_owned(),
    }));
    push(rule.only_tcp().then(|| "TCP".to_owned()));
    for name in ["FIN", "SYN", "RST", "PSH", "ACK", "URG"] {
        let bit = tcp_flag(name).unwrap_or(0);
        push((rule.tcp_flags_set & bit != 0).then(|| name.to_owned()));
        push((rule.tcp_flags_clear & bit != 0).then(|| format!("no {name}")));
    }
    push(rule.src.map(|address| format!("from {address}")));
    push(rule.dst.map(|address| format!("to {address}")));
    push(rule.sport.map(|port| format!("from port {port}")));
    push(rule.dport.map(|port| format!("to port {port}")));
    push(
        rule.longer_than
            .map(|size| format!("longer than {size} bytes")),
    );
    only
}

fn error(with: RejectWith) -> &'static str {
    match with {
        RejectWith::NetUnreachable => "net-unreachable",
        RejectWith::PortUnreachable => "port-unreachable",
        RejectWith::HostUnreachable => "host-unreachable",
        RejectWith::AdminProhibited => "admin-prohibited",
        RejectWith::ProtocolUnreachable => "protocol-unreachable",
        RejectWith::TcpReset => "tcp-reset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_does_is_said() {
        let all = Match::default();
        assert_eq!(rule(&all, Action::Drop), "drop packets");
        let first = Match {
            count: Some(2),
            tcp_flags_set: 0x08,
            tcp_flags_clear: 0x02,
            dport: Some(7000),
            ..Match::default()
        };
        assert_eq!(
            rule(&first, Action::Reject(RejectWith::TcpReset)),
            "reject the first 2 packets (TCP, no SYN, PSH, to port 7000) with tcp-reset"
        );
        let some = Match {
            probability: Some(0.25),
            dst: "fd77::1".parse().ok(),
            ..Match::default()
        };
        assert_eq!(
            rule(&some, Action::Drop),
            "drop 25 % of packets (to fd77::1)"
        );
    }
}
