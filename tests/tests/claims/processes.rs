//! P1 to P6: a process is killed, its host lives (UNP 5.12, 5.13, 5.10).

use halfopen_outcome::record::{CallResult, ExitKind};

use crate::see::{claim, returned, run};

#[test]
fn p1_netstat_shows_close_wait_and_fin_wait2() {
    claim(|| {
        let seen = run("process-killed-read-before-reset/family=ipv4");
        assert_eq!(
            seen.states("before kill", "client"),
            ["ESTABLISHED"],
            "{seen}"
        );
        assert_eq!(
            seen.states("after kill", "client"),
            ["CLOSE_WAIT"],
            "{seen}"
        );
        assert_eq!(seen.states("after kill", "server"), ["FIN_WAIT2"], "{seen}");
    });
}

#[test]
fn p2_read_returns_before_the_reset_arrives() {
    claim(|| {
        let seen = run("process-killed-read-before-reset/family=ipv6");
        let reset = seen
            .kind("RST")
            .next()
            .unwrap_or_else(|| panic!("no RST was sent{seen}"));
        assert_eq!(
            (reset.from.as_str(), reset.delivered_ns),
            ("server", None),
            "{seen}"
        );
        assert_eq!(
            seen.calls("client", "write")[1].result,
            CallResult::Value(5),
            "{seen}"
        );
        assert_eq!(
            seen.last_call("client"),
            ("read", &CallResult::Value(0)),
            "{seen}"
        );
    });
}

#[test]
fn p3_read_begins_after_the_reset_arrived() {
    claim(|| {
        let seen = run("process-killed-read-after-reset/family=ipv4");
        let reset = seen.kind("RST").find_map(|p| p.delivered_ns);
        let reset = reset.unwrap_or_else(|| panic!("no RST arrived{seen}"));
        let reads = seen.calls("client", "read");
        let read = reads.last().expect("the scenario ends with one");
        assert!(read.start_ns > reset, "{seen}");
        // The book: ECONNRESET. Linux, in CLOSE_WAIT: EPIPE, for write alone (tcp_reset()).
        assert_eq!(read.result, CallResult::Value(0), "{seen}");
    });
}

#[test]
fn p4_sigpipe_ends_the_process_in_its_second_write() {
    claim(|| {
        let seen = run("process-killed-write-after-reset-sigpipe");
        let client = seen.process("client", 0);
        let how = client.end.as_ref().map(|end| &end.how);
        assert_eq!(how, Some(&ExitKind::Killed("SIGPIPE".into())), "{seen}");
        assert_eq!(
            seen.last_call("client"),
            ("write", &CallResult::Blocked),
            "{seen}"
        );
    });
}

#[test]
fn p4_without_sigpipe_the_process_lives_on() {
    claim(|| {
        let seen = run("process-killed-write-after-reset-epipe");
        assert_eq!(seen.process("client", 0).end, None, "{seen}");
        let epipe = CallResult::Errno("EPIPE".into());
        assert_eq!(seen.last_call("client"), ("write", &epipe), "{seen}");
    });
}

#[test]
fn p6_parent_reaps_its_child_and_accepts_again() {
    claim(|| {
        let seen = run("forking-server-goes-on");
        let child = seen.process("server", 1);
        let how = child.end.as_ref().map(|end| &end.how);
        assert_eq!(how, Some(&ExitKind::Killed("SIGKILL".into())), "{seen}");
        assert_eq!(
            seen.process("server", 2).end,
            None,
            "the second child serves{seen}"
        );

        let waits = seen.calls("server", "waitpid");
        let reaped = waits
            .iter()
            .find(|c| matches!(c.result, CallResult::Value(pid) if pid > 0));
        let reaped = returned(reaped.unwrap_or_else(|| panic!("no child was reaped{seen}")));
        let accepts = seen.calls("server", "accept");
        let again = accepts.iter().any(|c| {
            matches!(c.result, CallResult::Value(_)) && c.end_ns.is_some_and(|at| at > reaped)
        });
        assert!(again, "{seen}");
        assert_eq!(
            seen.last_call("second"),
            ("read", &CallResult::Value(10)),
            "{seen}"
        );
    });
}
