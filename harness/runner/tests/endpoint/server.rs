//! Servers that go on accepting.

use halfopen_outcome::record::ExitKind;
use halfopen_runner::endpoint::protocol::Report;
use halfopen_scenario::case::Action;
use nix::sys::signal::Signal;

use crate::fixture::*;

#[test]
fn fork_server_reaps_a_killed_child_and_goes_on() {
    let serve = Action::Serve {
        fork: true,
        each: vec![step(Action::Echo)],
    };
    let exchange = || {
        step(Action::Exchange {
            data: text("hello"),
        })
    };
    let mut netns = TestNetns::new(&["up", "again"]);
    let (mut server, mut client) = start_pair(
        &mut netns,
        &lane(vec![listen(), step(serve)]),
        &lane(vec![
            connect(),
            exchange(),
            marked("served", read()),
            wait_for("again"),
            connect(),
            exchange(),
        ]),
    );
    // The child has to have echoed, and the parent to have announced its second
    // accept(): a child that ends earlier is reaped before that accept(), which is
    // then not interrupted. From the announcement on EINTR is certain, even when
    // SIGCHLD arrives before accept() blocks (see `interrupt_on_child_end`).
    let parent = server.endpoint.pid;
    server.wait_until("an echo, and the parent's return to accept()", |reports| {
        let starts = |wanted: &str, is_speaker: &dyn Fn(i32) -> bool| {
            let is_wanted = |r: &&Report| {
                matches!(r, Report::Start { pid, call, .. }
                    if call == wanted && is_speaker(*pid))
            };
            reports.iter().filter(is_wanted).count()
        };
        starts("read", &|pid| pid != parent) == 2 && starts("accept", &|pid| pid == parent) == 2
    });
    let victim = server.children()[0];
    server
        .endpoint
        .signal_child(victim, Signal::SIGKILL)
        .expect("the child lives");
    client.wait_for_mark("served");
    server.wait_until("a reaped child", |reports| {
        reports.iter().any(|r| {
            matches!(r, Report::Reaped { child, how, .. }
            if *child == victim && *how == ExitKind::Killed("SIGKILL".into()))
        })
    });
    netns.set("again");
    client.wait_for_done();
    server.wait_until("a second child", |reports| {
        reports
            .iter()
            .filter(|r| matches!(r, Report::Forked { .. }))
            .count()
            == 2
    });

    let parent = server.calls();
    for expected in ["accept listener = EINTR", "waitpid = ECHILD"] {
        assert!(
            parent.iter().any(|c| c == expected),
            "no {expected} in {parent:#?}"
        );
    }
    assert!(
        parent.contains(&format!("waitpid = {victim}")),
        "{parent:#?}"
    );
    assert_eq!(calls(&server.reports, victim)[0], "close listener = 0");
    let client = client.calls();
    assert!(client.contains(&"read = 0".to_owned()), "{client:?}");
    assert_eq!(client[client.len() - 2..], ["write #2 = 5", "read #2 = 5"]);
    // A process is reported before its own first report.
    let first = |who| server.reports.iter().position(|r| reporting_pid(r) == who);
    for child in server.children() {
        let known = server
            .reports
            .iter()
            .position(|r| matches!(r, Report::Forked { child: c, .. } if *c == child));
        assert!(known < first(child) || first(child).is_none());
    }
}

fn reporting_pid(report: &Report) -> i32 {
    match report {
        Report::Ready { pid }
        | Report::Start { pid, .. }
        | Report::End { pid, .. }
        | Report::Mark { pid, .. }
        | Report::Forked { pid, .. }
        | Report::Reaped { pid, .. }
        | Report::Done { pid, .. }
        | Report::Program { pid }
        | Report::Broken { pid, .. } => *pid,
        Report::ProgramReady
        | Report::Line { .. }
        | Report::Detector { .. }
        | Report::Thread { .. }
        | Report::Signal { .. }
        | Report::Observer(_)
        | Report::Note { .. } => 0,
    }
}

#[test]
fn server_without_fork_serves_one_after_the_other() {
    let serve = Action::Serve {
        fork: false,
        each: vec![step(Action::Echo)],
    };
    let visit = Action::Repeat {
        times: 3,
        steps: vec![
            connect(),
            step(Action::Exchange {
                data: text("hello"),
            }),
            close(),
        ],
    };
    let (mut server, mut client) = start_steps(
        vec![listen(), step(serve)],
        vec![step(visit), step(Action::Exit)],
    );
    assert_eq!(client.end(), ExitKind::Exited(0));
    let closed = |reports: &[Report], pid| calls(reports, pid).contains(&"close #3 = 0".to_owned());
    let pid = server.endpoint.pid;
    server.wait_until("a third close", |reports| closed(reports, pid));
    client.wait_until("its calls", |reports| closed(reports, client_pid(reports)));
}

fn client_pid(reports: &[Report]) -> i32 {
    reports.first().map_or(0, reporting_pid)
}

/// SIGCHLDs do not queue: one may stand for several children.
#[test]
fn no_child_stays_a_zombie() {
    const VISITS: u32 = 300;
    let serve = Action::Serve {
        fork: true,
        each: vec![step(Action::Echo)],
    };
    let visit = Action::Repeat {
        times: VISITS,
        steps: vec![
            connect(),
            step(Action::Exchange {
                data: text("hello"),
            }),
            close(),
        ],
    };
    let (mut server, mut client) = start_steps(vec![listen(), step(serve)], vec![step(visit)]);
    // Both at once: each reports more than a pipe holds, and blocks when nobody reads.
    std::thread::scope(|both| {
        both.spawn(|| client.wait_for_done());
        server.wait_until("a reaped child for each visit", |reports| {
            let reaped = |r: &&Report| matches!(r, Report::Reaped { .. });
            reports.iter().filter(reaped).count() == VISITS as usize
        });
    });
}
