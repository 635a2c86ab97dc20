//! B1 to B6, K7, K10: heartbeats, what piles up without them, what they cost
//! (article 4, TCPv1 23.1).

use halfopen_outcome::cost::{Cost, cost};
use halfopen_outcome::record::{CallResult, Netstat, SocketState};

use crate::see::{Seen, about, claim, run};

/// Bytes the server read after it had found the client silent, on that connection.
fn read_after_silence(seen: &Seen) -> i64 {
    let lost = &seen.calls("server", "heartbeat")[0];
    let lost_ns = lost.end_ns.unwrap_or_else(|| panic!("{seen}"));
    let calls = seen.calls("server", "read");
    let later = calls
        .iter()
        .filter(|c| c.start_ns >= lost_ns && c.conn == lost.conn);
    later
        .map(|c| {
            if let CallResult::Value(n) = c.result {
                n
            } else {
                0
            }
        })
        .sum()
}

fn look<'a>(seen: &'a Seen, moment: &str) -> &'a Netstat {
    let found = seen.0.netstat.iter().find(|n| n.moment == moment);
    found.unwrap_or_else(|| panic!("netstat was not called {moment}{seen}"))
}

fn on_server<'a>(look: &'a Netstat, state: &'a str) -> impl Iterator<Item = &'a SocketState> {
    look.sockets
        .iter()
        .filter(move |s| s.host == "server" && s.state == state)
}

#[test]
fn b1_silence_counts_from_the_last_beat_and_a_poller_adds_its_interval() {
    claim(|| {
        let seen = run("heartbeat-one-way/detector=one-way,fault=crash");
        let lost = &seen.calls("server", "heartbeat")[0];
        let lasted = lost.end_ns.unwrap_or_default() - lost.start_ns;
        assert!(
            about(lasted, 1.0),
            "the time limit, from the last beat{seen}"
        );
        assert!(
            seen.calls("client", "read").len() == 1,
            "no beat is answered{seen}"
        );
        // Its looks come every 700 ms from the accept() on: at 2.1 s, the third.
        let seen = run("heartbeat-one-way/detector=one-way-polled,fault=crash");
        let accepted = seen.calls("server", "accept")[0].end_ns.unwrap_or_default();
        let noticed = seen.calls("server", "heartbeat")[0]
            .end_ns
            .unwrap_or_default();
        assert!(about(noticed - accepted, 2.1), "{seen}");
    });
}

#[test]
fn b2_close_answers_with_a_reset_what_half_close_still_reads() {
    claim(|| {
        let seen = run("heartbeat-late/detector=one-way-then-close");
        assert_eq!(read_after_silence(&seen), 0, "{seen}");
        assert!(seen.kind("RST").any(|p| p.from == "server"), "{seen}");
        let seen = run("heartbeat-late/detector=one-way-then-half-close");
        let important = "important".len() as i64;
        assert!(
            read_after_silence(&seen) >= important,
            "what was under way{seen}"
        );
        assert_eq!(seen.kind("RST").count(), 0, "{seen}");
        assert_eq!(
            seen.calls("client", "connect").len(),
            2,
            "it connects again{seen}"
        );
    });
}

#[test]
fn b3_a_live_kernel_closes_in_order_and_a_dead_one_leaves_an_orphan() {
    claim(|| {
        let seen = run("heartbeat-client-dead/fault=freeze");
        assert_eq!(seen.states("closed", "server"), ["FIN_WAIT2"], "{seen}");
        assert_eq!(seen.states("closed", "client"), ["CLOSE_WAIT"], "{seen}");
        let seen = run("heartbeat-client-dead/fault=crash");
        assert_eq!(seen.states("closed", "server"), ["FIN_WAIT1"], "{seen}");
    });
}

#[test]
fn b4_each_restart_leaves_a_ghost_and_the_poll_takes_them_away() {
    claim(|| {
        for (fin, state, alive) in [(true, "CLOSE_WAIT", 0), (false, "ESTABLISHED", 1)] {
            let seen = run(&format!("heartbeat-ghosts/fin={fin}"));
            let ghosts = on_server(look(&seen, "ghosts"), state).count();
            assert_eq!(ghosts, 6 + alive, "{seen}");
            let rest = look(&seen, "laid-to-rest");
            assert_eq!(
                on_server(rest, "ESTABLISHED").count(),
                1,
                "the living one{seen}"
            );
            assert_eq!(on_server(rest, "CLOSE_WAIT").count(), 0, "{seen}");
        }
    });
}

#[test]
fn b5_the_newcomer_is_established_and_waits_to_be_accepted() {
    claim(|| {
        for (fault, ghosts) in [("kill", "CLOSE_WAIT"), ("crash", "ESTABLISHED")] {
            let seen = run(&format!(
                "ghosts-hold-every-slot/fault={fault},server-has=none"
            ));
            let riddle = look(&seen, "riddle");
            let held = on_server(riddle, ghosts).filter(|s| s.owned).count();
            assert_eq!(held, 8, "every slot{seen}");
            let here = riddle.sockets.iter().filter(|s| s.host == "newcomer");
            let here: Vec<_> = here.map(|s| (s.state.as_str(), s.local.as_str())).collect();
            let [("ESTABLISHED", address)] = here[..] else {
                panic!("{here:?}{seen}")
            };
            let there: Vec<_> = on_server(riddle, "ESTABLISHED")
                .filter(|s| !s.owned)
                .collect();
            let [there] = there[..] else {
                panic!("{there:?}{seen}")
            };
            assert_eq!(
                there.peer, address,
                "the same connection, and nobody has it{seen}"
            );
            assert_eq!(
                there.recv_q as usize,
                "let me in".len(),
                "read by nobody{seen}"
            );
            let queue: Vec<_> = on_server(riddle, "LISTEN")
                .map(|s| (s.recv_q, s.send_q))
                .collect();
            assert_eq!(queue, [(1, 128)], "one waits, of a backlog of 128{seen}");
            assert_eq!(seen.calls("server", "accept").len(), 8, "{seen}");
        }
        let seen = run("ghosts-hold-every-slot/fault=kill,server-has=one-way-polled");
        assert_eq!(
            seen.calls("server", "accept").len(),
            9,
            "a slot came free{seen}"
        );
    });
}

#[test]
fn b5_a_full_backlog_lets_one_more_in_and_drops_the_next_syn() {
    claim(|| {
        let seen = run("backlog-full");
        let full = look(&seen, "full");
        let queue: Vec<_> = on_server(full, "LISTEN")
            .map(|s| (s.recv_q, s.send_q))
            .collect();
        assert_eq!(queue, [(2, 1)], "{seen}");
        assert_eq!(seen.kind("SYN+ACK").count(), 2, "{seen}");
        assert!(
            full.sockets
                .iter()
                .any(|s| s.host == "client" && s.state == "SYN_SENT"),
            "{seen}"
        );
    });
}

#[test]
fn b6_a_frozen_program_s_kernel_goes_on_acknowledging_beats() {
    claim(|| {
        let seen = run("frozen-what-each-detector-sees/detector=one-way");
        let frozen = seen.fault("freeze").effective_ns;
        let beats = seen
            .kind("data")
            .filter(|p| p.from == "client" && p.sent_ns > frozen);
        let acks = seen
            .kind("ack")
            .filter(|p| p.from == "server" && p.sent_ns > frozen);
        let (beats, acks) = (beats.count(), acks.count());
        assert!(
            beats >= 8 && acks >= 8,
            "{beats} beats, {acks} acknowledgments{seen}"
        );
    });
}

/// The cost of a quiet case.
fn price(detector: &str, detector_on: &str) -> Cost {
    let id = format!("cost-of-quiet/detector={detector},detector_on={detector_on}");
    let seen = run(&id);
    cost(&seen.0).unwrap_or_else(|| panic!("{id} was not quiet{seen}"))
}

#[test]
fn k7_packets_an_hour_are_what_the_configuration_says() {
    claim(|| {
        for (detector, on, packets_a_second, frame) in [
            ("none", "client", 0.0, 0),
            ("user-timeout-2s", "both", 0.0, 0),
            // A probe and its answer.
            ("keepalive-1-1-2", "client", 2.0, 66),
            ("keepalive-1-1-2", "both", 4.0, 66),
            ("keepalive-2-1-3", "client", 1.0, 66),
            // A beat of one byte, and its acknowledgment.
            ("one-way-every-1s", "both", 2.0, 66),
            // The answer carries the acknowledgment; it is acknowledged itself.
            ("answered-every-1s", "both", 3.0, 66),
        ] {
            let cost = price(detector, on);
            let paper = packets_a_second * 3600.0;
            // Timers are late by up to a granule (32 ms below 2 s at HZ=250), and
            // a program's poll() by what the machine is busy with.
            let off = (cost.packets_per_hour() - paper).abs();
            assert!(off <= paper * 0.06, "{detector} on {on}: {cost:?}");
            let least = u64::from(cost.packets) * frame;
            assert!(
                (least..=least + u64::from(cost.packets)).contains(&cost.bytes),
                "{cost:?}"
            );
        }
    });
}

#[test]
fn k10_a_thousand_half_open_connections_and_what_frees_them() {
    claim(|| {
        let case = |detector| {
            run(&format!(
                "thousand-half-open-connections/detector={detector}"
            ))
        };
        let held = |look: &Netstat| {
            let held = look.fd_counts.iter().find(|h| h.host == "server");
            held.map_or(0, |h| h.descriptors)
        };
        for (detector, left, descriptors) in [
            ("none", Some("ESTABLISHED"), 1000),
            ("keepalive-1-1-2", None, 0),
            // close() sends a FIN to nobody: the kernel keeps what is left.
            ("one-way-1s-5s", Some("FIN_WAIT1"), 0),
            ("one-way-1s-5s-then-reset", None, 0),
        ] {
            let seen = case(detector);
            let (before, later) = (look(&seen, "before crash"), look(&seen, "end"));
            assert_eq!(
                on_server(before, "ESTABLISHED").filter(|s| s.owned).count(),
                1000
            );
            // What the process has open besides them: reports, keyboard, marks, listener.
            let own = held(before) - 1000;
            assert!((4..20).contains(&own), "{own} of its own");
            assert_eq!(held(later), descriptors + own, "{detector}");
            let states: Vec<_> = later
                .sockets
                .iter()
                .filter(|s| s.state != "LISTEN")
                .collect();
            assert_eq!(
                states.len(),
                if left.is_some() { 1000 } else { 0 },
                "{detector}"
            );
            assert!(
                states.iter().all(|s| Some(s.state.as_str()) == left),
                "{detector}"
            );
        }
    });
}
