//! Judges a scenario's checks: lanes' signs in order, how they ended, sockets at the
//! recorded moments. The runner calls it when a case has ended.

use super::first_sign::is_lane;
use super::record::{EndpointRecord, ExitKind, LaneSigns, Netstat, SocketState};
use super::states::owner;
use super::verdict::sign_text;
use halfopen_scenario::case::{Check, Checked, Ended, Quantity, SignKind, Which};

/// What the checks are held against.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What each watched lane showed.
    pub lane_signs: &'a [LaneSigns],
    /// Every process.
    pub endpoints: &'a [EndpointRecord],
    /// The sockets at the recorded moments.
    pub netstat: &'a [Netstat],
}

/// The checks that do not hold, as text with their lines.
pub fn failed(checks: &[Check], shown: &Shown<'_>) -> Vec<String> {
    let failed = |check: &Check| {
        let why = shown.differs(&check.what)?;
        Some(format!("the check on line {}: {why}", check.line))
    };
    checks.iter().filter_map(failed).collect()
}

impl Shown<'_> {
    fn differs(&self, what: &Checked) -> Option<String> {
        match what {
            Checked::Signs { lane, signs } => self.signs(lane, signs),
            Checked::Ended { lane, how } => self.ended(lane, how),
            Checked::Sockets {
                at,
                from_then_on,
                host,
                which,
                quantity,
                range,
            } => {
                let first = self.netstat.iter().position(|moment| moment.moment == *at);
                let Some(first) = first else {
                    return Some(format!("the case ended before `{at}`"));
                };
                let moments = match from_then_on {
                    true => &self.netstat[first..],
                    false => &self.netstat[first..=first],
                };
                moments.iter().find_map(|moment| {
                    let counted = count(moment, host, which, *quantity);
                    let right = (range.0..=range.1).contains(&counted);
                    let at = &moment.moment;
                    (!right).then(|| {
                        let expected = match range {
                            (least, most) if least == most => least.to_string(),
                            (least, most) => format!("{least} to {most}"),
                        };
                        let what = text(which, *quantity);
                        format!("expected {expected} {what} on {host} at `{at}`, saw {counted}")
                    })
                })
            }
        }
    }

    fn signs(&self, lane: &str, expected: &[SignKind]) -> Option<String> {
        let copies = self.lane_signs.iter().filter(|of| is_lane(&of.lane, lane));
        let copies: Vec<&LaneSigns> = copies.collect();
        if copies.is_empty() {
            return Some(format!("{lane} is not watched"));
        }
        let list = |signs: &mut dyn Iterator<Item = &SignKind>| {
            let signs: Vec<String> = signs.map(sign_text).collect();
            match signs.as_slice() {
                [] => "nothing".to_owned(),
                signs => signs.join(", then "),
            }
        };
        copies.iter().find_map(|of| {
            let seen = || of.signs.iter().map(|sign| &sign.outcome);
            let right = of.more == 0 && seen().eq(expected);
            (!right).then(|| {
                format!(
                    "expected {} to show {}, saw {}",
                    of.lane,
                    list(&mut expected.iter()),
                    list(&mut seen())
                )
            })
        })
    }

    fn ended(&self, lane: &str, expected: &Ended) -> Option<String> {
        let mut copies = self.endpoints.iter().filter(|e| is_lane(&e.lane, lane));
        copies.find_map(|endpoint| {
            let end = endpoint.processes.first()?.end.as_ref();
            let how = match end.map(|end| &end.how) {
                None => Ended::Running,
                Some(ExitKind::Exited(status)) => Ended::Exited(*status),
                Some(ExitKind::Killed(signal)) => Ended::Killed(signal.clone()),
            };
            let text = |how: &Ended| match how {
                Ended::Running => "to run to the end".to_owned(),
                Ended::Exited(status) => format!("to end with status {status}"),
                Ended::Killed(signal) => format!("to be ended by {signal}"),
            };
            (how != *expected).then(|| {
                let lane = &endpoint.lane;
                format!("expected {lane} {}, saw it {}", text(expected), text(&how))
            })
        })
    }
}

fn count(moment: &Netstat, host: &str, which: &Which, quantity: Quantity) -> u64 {
    if quantity == Quantity::Descriptors {
        let counts = moment.fd_counts.iter().filter(|count| count.host == host);
        return counts.map(|count| u64::from(count.descriptors)).sum();
    }
    let is_meant = |socket: &&SocketState| {
        socket.host == host
            && match which {
                Which::All => socket.state != "LISTEN",
                Which::State(state) => socket.state == *state,
                Which::Orphans => owner(socket) == "orphan" && socket.state != "TIME_WAIT",
            }
    };
    let meant = moment.sockets.iter().filter(is_meant);
    let of = |socket: &SocketState| match quantity {
        Quantity::SendQ => u64::from(socket.send_q),
        Quantity::RecvQ => u64::from(socket.recv_q),
        Quantity::Sockets | Quantity::Descriptors => 1,
    };
    meant.map(of).sum()
}

fn text(which: &Which, quantity: Quantity) -> String {
    let sockets = match which {
        Which::All => "sockets".to_owned(),
        Which::State(state) => format!("sockets in {state}"),
        Which::Orphans => "orphans".to_owned(),
    };
    match quantity {
        Quantity::Sockets => sockets,
        Quantity::SendQ => format!("bytes in Send-Q of {sockets}"),
        Quantity::RecvQ => format!("bytes in Recv-Q of {sockets}"),
        Quantity::Descriptors => "open descriptors".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FdCount, FirstSign, ProcessEnd, ProcessRecord};

    fn socket(state: &str, owned: bool, send_q: u32) -> SocketState {
        SocketState {
            host: "server".into(),
            state: state.into(),
            local: String::new(),
            peer: String::new(),
            recv_q: 0,
            send_q,
            timer: "off".into(),
            timer_ms: 0,
            retransmits: 0,
            owned,
            memory: 0,
        }
    }

    fn moment(name: &str, sockets: Vec<SocketState>) -> Netstat {
        Netstat {
            at_ns: 0,
            moment: name.into(),
            sockets,
            fd_counts: vec![FdCount {
                host: "server".into(),
                descriptors: 7,
            }],
        }
    }

    fn sockets(at: &str, from_then_on: bool, which: Which, quantity: Quantity, n: u64) -> Checked {
        Checked::Sockets {
            at: at.into(),
            from_then_on,
            host: "server".into(),
            which,
            quantity,
            range: (n, n),
        }
    }

    #[test]
    fn each_kind_of_check_holds_and_fails() {
        let netstat = [
            moment(
                "early",
                vec![socket("FIN_WAIT1", false, 9), socket("LISTEN", true, 0)],
            ),
            moment("late", vec![socket("FIN_WAIT1", false, 9)]),
            moment("end", vec![]),
        ];
        let sign = |errno: &str| FirstSign {
            endpoint: "client".into(),
            call: "read".into(),
            outcome: SignKind::Errno(errno.into()),
            errno: None,
            since_fault_ns: Some(1),
            wire_evidence_ns: None,
        };
        let lane_signs = [LaneSigns {
            lane: "client".into(),
            signs: vec![sign("ETIMEDOUT"), sign("EPIPE")],
            more: 0,
        }];
        let endpoints = [EndpointRecord {
            lane: "client".into(),
            host: "client".into(),
            boot: 0,
            program: false,
            processes: vec![ProcessRecord {
                number: 0,
                thread: None,
                calls: vec![],
                end: Some(ProcessEnd {
                    at_ns: 1,
                    how: ExitKind::Killed("SIGPIPE".into()),
                }),
            }],
        }];
        let shown = Shown {
            lane_signs: &lane_signs,
            endpoints: &endpoints,
            netstat: &netstat,
        };
        let signs = |names: &[&str]| Checked::Signs {
            lane: "client".into(),
            signs: names.iter().map(|n| SignKind::Errno((*n).into())).collect(),
        };
        let ended = |how| Checked::Ended {
            lane: "client".into(),
            how,
        };
        let state = || Which::State("FIN_WAIT1".into());
        for holds in [
            signs(&["ETIMEDOUT", "EPIPE"]),
            ended(Ended::Killed("SIGPIPE".into())),
            sockets("early", false, Which::All, Quantity::Sockets, 1),
            sockets("early", false, state(), Quantity::SendQ, 9),
            sockets("late", false, Which::Orphans, Quantity::Sockets, 1),
            sockets("end", true, Which::Orphans, Quantity::Sockets, 0),
            sockets("end", false, Which::All, Quantity::Descriptors, 7),
        ] {
            assert_eq!(shown.differs(&holds), None, "{holds:?}");
        }
        for (fails, said) in [
            (
                signs(&["ETIMEDOUT"]),
                "expected client to show ETIMEDOUT, saw ETIMEDOUT, then EPIPE",
            ),
            (signs(&[]), "expected client to show nothing"),
            (
                ended(Ended::Running),
                "to run to the end, saw it to be ended by SIGPIPE",
            ),
            (
                sockets("early", true, state(), Quantity::Sockets, 0),
                "expected 0 sockets in FIN_WAIT1 on server at `early`, saw 1",
            ),
            (
                sockets("never", false, Which::All, Quantity::Sockets, 0),
                "the case ended before `never`",
            ),
        ] {
            let why = shown.differs(&fails).unwrap_or_default();
            assert!(why.contains(said), "{said}: {why}");
        }
    }
}
