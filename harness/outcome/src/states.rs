//! The connections' states at the moment that matters.

use std::collections::BTreeMap;

use super::record::{Outcome, SocketState};

/// The connections' states, as netstat shows them: at the last moment that the
/// scenario names by an event of its own, else shortly after the first fault.
/// `client ESTABLISHED`, `2 server CLOSE_WAIT`; empty when nobody looked.
pub fn states(case: &Outcome) -> Vec<String> {
    let fault = case.faults.iter().find(|f| f.is_fault);
    let moment = fault.map_or("end".to_owned(), |f| format!("after {}", f.name));
    let named = case.netstat.iter().rfind(|n| {
        case.faults
            .iter()
            .any(|f| f.what == "netstat" && f.name == n.moment)
    });
    let Some(look) = named.or_else(|| case.netstat.iter().find(|n| n.moment == moment)) else {
        return Vec::new();
    };
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for socket in &look.sockets {
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

/// Who holds a socket, when it is no process: `not accepted` is a connection
/// that waits in its listener's queue. What was closed is never in one of these
/// two states (tcp_close_state()), so without an inode nobody has had it yet.
pub fn owner(socket: &SocketState) -> &'static str {
    match (socket.owned, socket.state.as_str()) {
        (true, _) => "",
        (false, "ESTABLISHED" | "CLOSE_WAIT") => "not accepted",
        (false, _) => "orphan",
    }
}
