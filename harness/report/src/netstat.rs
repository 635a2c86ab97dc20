//! The sockets at each recorded moment of a case, as text: part of `run --ladder`.

use std::fmt::Write as _;
use std::time::Duration;

use halfopen_outcome::record::{Netstat, SocketState};

use super::text;
use halfopen_net::span::{human, human_ns};

/// The moments in order, with aligned sockets; empty without any.
pub fn render(moments: &[Netstat]) -> String {
    let mut text = String::new();
    for moment in moments {
        let at = human_ns(moment.at_ns);
        let _ = writeln!(text, "netstat, {} ({at} after the start)", moment.moment);
        if moment.sockets.is_empty() {
            let _ = writeln!(text, "  no sockets");
        }
        let rows: Vec<[String; 7]> = moment.sockets.iter().map(row).collect();
        let width = |i: usize| {
            rows.iter()
                .map(|row| row[i].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        for row in &rows {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
        }
    }
    text
}

fn row(socket: &SocketState) -> [String; 7] {
    // On a listener the two queues have another meaning (tcp_diag_get_info()).
    let (received, sent) = match socket.state.as_str() {
        "LISTEN" => ("waiting", "backlog"),
        _ => ("recv-q", "send-q"),
    };
    let timer = match socket.timer.as_str() {
        "off" => String::new(),
        timer => {
            let fires = human(Duration::from_millis(socket.timer_ms.into()));
            format!("timer {timer} in {fires}, {} tries", socket.retransmits)
        }
    };
    [
        socket.host.clone(),
        socket.state.clone(),
        format!("{} > {}", socket.local, socket.peer),
        format!("{received} {}", socket.recv_q),
        format!("{sent} {}", socket.send_q),
        timer,
        text::owner(socket).to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_side_by_side() {
        let socket = |host: &str, state: &str, timer: &str| SocketState {
            host: host.into(),
            state: state.into(),
            local: "10.77.0.1:40000".into(),
            peer: "10.77.0.2:7000".into(),
            recv_q: 1,
            send_q: 0,
            timer: timer.into(),
            timer_ms: 60_000,
            retransmits: 0,
            owned: state != "FIN_WAIT2",
            memory: 0,
        };
        let sockets = vec![
            socket("client", "CLOSE_WAIT", "off"),
            socket("server", "FIN_WAIT2", "timewait"),
            socket("server", "LISTEN", "off"),
        ];
        let moment = Netstat {
            at_ns: 500_000_000,
            moment: "after kill".into(),
            sockets,
            fd_counts: vec![],
        };
        insta::assert_snapshot!(render(&[moment]));
        assert_eq!(render(&[]), "");
    }
}
