//! F1, E1: how connections begin and end.

use halfopen_outcome::record::CallResult;

use crate::see::{claim, run};

#[test]
fn f1_flags_of_a_whole_life() {
    claim(|| {
        let seen = run("orderly-close/family=ipv4");
        let flags = seen.flags();
        let opening = [("client", "S"), ("server", "SA"), ("client", "A")];
        assert_eq!(flags[..3], opening, "{seen}");
        assert!(seen.kind("data").all(|p| p.flags == "PA"), "{seen}");
        assert_eq!(seen.kind("data").count(), 2, "{seen}");
        let closing = [("client", "FA"), ("server", "FA"), ("client", "A")];
        assert_eq!(flags[flags.len() - 3..], closing, "{seen}");
        assert_eq!(seen.states("end", "client"), ["TIME_WAIT"], "{seen}");
    });
}

#[test]
fn f1_reset_with_ack_frees_the_connection() {
    claim(|| {
        for how in ["unread", "linger-0"] {
            let seen = run(&format!("close-with-unread-data/how={how}"));
            assert_eq!(seen.flags().last(), Some(&("client", "RA")), "{seen}");
            assert!(!seen.flags().iter().any(|(_, f)| f.contains('F')), "{seen}");
            for host in ["client", "server"] {
                assert!(seen.states("end", host).is_empty(), "{seen}");
            }
        }
    });
}

#[test]
fn f1_refused_connection_is_a_reset_with_ack() {
    claim(|| {
        let seen = run("connect-refused/family=ipv4,network=link");
        assert_eq!(seen.flags(), [("client", "S"), ("server", "RA")], "{seen}");
    });
}

#[test]
fn e1_nonblocking_connect_is_in_progress_then_so_error_tells() {
    claim(|| {
        for (port, so_error) in [
            (7000, CallResult::Value(0)),
            (7001, CallResult::Errno("ECONNREFUSED".into())),
        ] {
            let seen = run(&format!("connect-in-progress/port={port}"));
            let calls: Vec<_> = seen.process("client", 0).calls.iter().take(4).collect();
            let names: Vec<_> = calls.iter().map(|c| c.call.as_str()).collect();
            assert_eq!(names, ["socket", "connect", "poll", "getsockopt"], "{seen}");
            assert_eq!(
                calls[1].result,
                CallResult::Errno("EINPROGRESS".into()),
                "{seen}"
            );
            assert!(matches!(calls[2].result, CallResult::Ready(_)), "{seen}");
            assert_eq!(calls[3].result, so_error, "{seen}");
        }
    });
}
