//! The TCP states of a case's connections at the moment that a reader asks for.
//! Baselines keep them and snapshots show them.

use std::collections::BTreeMap;

use super::record::{Outcome, SocketState};

/// The connections' states, as netstat shows them: at the last `netstat` event of
/// the scenario, else shortly after the first fault.
/// `client ESTABLISHED`, `2 server CLOSE_WAIT`; empty when that moment was not
/// recorded.
pub fn states(case: &Outcome) -> Vec<String> {
    let fault = case.faults.iter().find(|f| f.is_fault);
    let moment = fault.map_or("end".to_owned(), |f| format!("after {}", f.name));
    let named = case.netstat.iter().rfind(|n| {
        case.faults
            .iter()
            .any(|f| f.what == "netstat" && f.name == n.moment)
    });
    let Some(netstat) = named.or_else(|| case.netstat.iter().find(|n| n.moment == moment)) else {
        return Vec::new();
    };
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for socket in &netstat.sockets {
        let state = match (socket.state.as_str(), owner(socket)) {
            ("LISTEN", _) if socket.recv_q == 0 => continue,
            ("LISTEN", _) => format!("LISTEN {} waiting", socket.recv_q),
            (state, "not accepted") => format!("{state} not accepted"),
            (state, _) => state.to_owned(),
        };
        *states
            .entry(format!("{} {state}", socket.host))
            .or_default() += 1;
    }
    states
        .into_iter()
        .map(|(state, n)| match n {
            1 => state,
            n => format!("{n} {state}"),
        })
        .collect()
}

/// Who owns a socket that no process has open: `not accepted` is a connection in
/// its listener's queue. A closed socket is never in one of these two states
/// (tcp_close_state()), so one without an inode has not been accepted yet.
pub fn owner(socket: &SocketState) -> &'static str {
    match (socket.owned, socket.state.as_str()) {
        (true, _) => "",
        (false, "ESTABLISHED" | "CLOSE_WAIT") => "not accepted",
        (false, _) => "orphan",
    }
}
