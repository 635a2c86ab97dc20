//! A network namespace with a loopback, endpoints in it, and their reports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use halfopen_lab::Namespace;
use halfopen_outcome::record::{CallResult, ExitKind};
use halfopen_runner::endpoint::protocol::Report;
use halfopen_runner::endpoint::{Endpoint, Mark, Spec, THIS_PROGRAM};
use halfopen_scenario::case::{Action, DEFAULT_PORT, Detector, Disposition, Lane, Payload, Step};
use nix::poll::{PollFd, PollFlags, PollTimeout};

/// Longer than anything here takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub struct TestNetns {
    pub namespace: Namespace,
    marks: BTreeMap<String, Mark>,
}

impl TestNetns {
    pub fn new(marks: &[&str]) -> Self {
        let namespace = Namespace::create("endpoint test").expect("the test's sandbox allows it");
        namespace
            .enter(loopback_up)
            .expect("may enter a namespace that it made");
        let marks = marks.iter().copied().chain(["start"]);
        let mark = |name: &str| {
            (
                name.to_owned(),
                Mark::new().expect("there are descriptors left"),
            )
        };
        TestNetns {
            namespace,
            marks: marks.map(mark).collect(),
        }
    }

    /// Starts an endpoint that waits for the mark `start`.
    pub fn spawn(&self, lane: &Lane) -> TestEndpoint {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let addresses = BTreeMap::from([("here".to_owned(), here)]);
        let marks = self
            .marks
            .iter()
            .map(|(name, mark)| (name.clone(), mark.reader()))
            .collect();
        let endpoint = Endpoint::spawn(&Spec {
            lane,
            namespace: Some(&self.namespace),
            addresses: &addresses,
            default_peer: Some("here"),
            own_address: here,
            marks: &marks,
            start: "start",
            program: Path::new(THIS_PROGRAM),
        })
        .expect("an endpoint starts");
        TestEndpoint {
            endpoint,
            reports: Vec::new(),
        }
    }

    pub fn set(&mut self, mark: &str) {
        self.marks
            .get_mut(mark)
            .expect("the test declares its marks")
            .set();
    }
}

fn loopback_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime on this thread");
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
        tokio::spawn(connection);
        let up = rtnetlink::LinkUnspec::new_with_index(1).up().build();
        handle
            .link()
            .set(up)
            .execute()
            .await
            .expect("lo is interface 1 everywhere");
    });
}

/// An endpoint and its reports so far.
pub struct TestEndpoint {
    pub endpoint: Endpoint,
    pub reports: Vec<Report>,
}

impl TestEndpoint {
    /// Reads reports until `enough`.
    pub fn wait_until(&mut self, what: &str, enough: impl Fn(&[Report]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !enough(&self.reports) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no {what} within {LIMIT:?}; reports: {:#?}",
                self.reports
            );
            let mut on = [PollFd::new(self.endpoint.reports(), PollFlags::POLLIN)];
            nix::poll::poll(&mut on, PollTimeout::from(100u16)).expect("poll on a pipe");
            let ended = self
                .endpoint
                .read_reports(&mut self.reports)
                .expect("only reports come");
            assert!(
                !ended || enough(&self.reports),
                "ended before {what}; reports: {:#?}",
                self.reports
            );
        }
    }

    pub fn wait_for_mark(&mut self, name: &str) {
        self.wait_until(name, |reports| {
            reports
                .iter()
                .any(|r| matches!(r, Report::Mark { mark, .. } if mark == name))
        });
    }

    pub fn wait_for_done(&mut self) {
        self.wait_until("done", |reports| {
            reports.iter().any(|r| matches!(r, Report::Done { .. }))
        });
    }

    /// The pids of its children so far.
    pub fn children(&self) -> Vec<i32> {
        let child = |r: &Report| match r {
            Report::Forked { child, .. } => Some(*child),
            _ => None,
        };
        self.reports.iter().filter_map(child).collect()
    }

    /// How it ended.
    pub fn end(&mut self) -> ExitKind {
        let mut on = [PollFd::new(self.endpoint.pidfd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(LIMIT).expect("a minute");
        assert_eq!(
            nix::poll::poll(&mut on, limit).expect("poll on a pidfd"),
            1,
            "it lives on"
        );
        self.endpoint
            .try_wait()
            .expect("nobody else reaps it")
            .expect("the pidfd reports it ended")
    }

    /// Its own finished calls, one line each: `read = 5`, `connect backup = ECONNREFUSED`.
    pub fn calls(&self) -> Vec<String> {
        calls(&self.reports, self.endpoint.pid)
    }
}

/// The finished calls of one process.
pub fn calls(reports: &[Report], of: i32) -> Vec<String> {
    let mut calls = Vec::new();
    let mut open = None;
    for report in reports {
        match report {
            Report::Start {
                pid,
                call,
                conn,
                at,
                ..
            } if *pid == of => {
                assert!(open.is_none(), "{call} began inside {open:?}");
                let conn = conn.as_ref().map(|c| format!(" {c}")).unwrap_or_default();
                open = Some((format!("{call}{conn}"), *at));
            }
            Report::End {
                pid,
                began,
                at,
                result,
                ..
            } if *pid == of => {
                let (call, reported_at) = open.take().expect("an end has a start");
                assert!(
                    reported_at <= *began && began <= at,
                    "{call}: {reported_at} {began} {at}"
                );
                let result = match result {
                    CallResult::Value(value) => value.to_string(),
                    CallResult::Errno(name) => name.clone(),
                    CallResult::Ready(events) => events.join(" "),
                    CallResult::TimedOut => "timed out".into(),
                    CallResult::Blocked => panic!("an endpoint cannot report this"),
                };
                calls.push(format!("{call} = {result}"));
            }
            _ => {}
        }
    }
    calls
}

/// A server and a client in one namespace; the client is started once the server listens.
pub fn start_pair(
    netns: &mut TestNetns,
    server: &Lane,
    client: &Lane,
) -> (TestEndpoint, TestEndpoint) {
    let client = Lane {
        steps: [&[wait_for("up")], &client.steps[..]].concat(),
        ..client.clone()
    };
    let mut server = netns.spawn(server);
    let client = netns.spawn(&client);
    netns.set("start");
    server.wait_for_mark("listening");
    netns.set("up");
    (server, client)
}

/// As [`start_pair`], with the usual lanes.
pub fn start_steps(server: Vec<Step>, client: Vec<Step>) -> (TestEndpoint, TestEndpoint) {
    start_pair(&mut TestNetns::new(&["up"]), &lane(server), &lane(client))
}

pub fn lane(steps: Vec<Step>) -> Lane {
    Lane {
        name: "endpoint".into(),
        host: "here".into(),
        count: 1,
        detector: Detector::default(),
        detector_name: "none".into(),
        sigpipe: Disposition::Ignore,
        sigterm: Disposition::Default,
        steps,
        program: None,
    }
}

pub fn step(action: Action) -> Step {
    Step {
        action,
        conn: None,
        mark: None,
        number: 0,
        line: 1,
    }
}

pub fn marked(mark: &str, step: Step) -> Step {
    Step {
        mark: Some(mark.into()),
        ..step
    }
}

pub fn on(conn: &str, step: Step) -> Step {
    Step {
        conn: Some(conn.into()),
        ..step
    }
}

pub fn listen() -> Step {
    marked(
        "listening",
        step(Action::Listen {
            port: DEFAULT_PORT,
            backlog: 16,
        }),
    )
}

pub fn accept() -> Step {
    step(Action::Accept { count: 1 })
}

pub fn connect_to(port: u16, nonblocking: bool) -> Step {
    step(Action::Connect {
        to: None,
        address: None,
        port,
        count: 1,
        nonblocking,
    })
}

pub fn connect() -> Step {
    connect_to(DEFAULT_PORT, false)
}

pub fn wait_for(mark: &str) -> Step {
    step(Action::WaitFor { mark: mark.into() })
}

pub fn text(text: &str) -> Payload {
    Payload::Text(text.into())
}

pub fn write(data: &str) -> Step {
    step(Action::Write { data: text(data) })
}

pub fn read() -> Step {
    step(Action::Read { bytes: 100 })
}

pub fn close() -> Step {
    step(Action::Close { linger: None })
}

pub fn sleep(millis: u64) -> Step {
    step(Action::Sleep {
        time: Duration::from_millis(millis),
    })
}
