//! How endpoints start and end.

use std::fs::{read_dir, read_link};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use halfopen_runner::endpoint::protocol::Report;
use halfopen_scenario::case::Action;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::*;

fn ready(reports: &[Report]) -> bool {
    matches!(reports, [Report::Ready { .. }, ..])
}

#[test]
fn an_endpoint_has_only_its_own_descriptors() {
    // A descriptor that some library forgot to make close-on-exec.
    let file = std::fs::File::open("/dev/zero").expect("every Linux has it");
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).expect("it is open");
    let netns = TestNetns::new(&["wanted", "unwanted"]);
    let mut endpoint = netns.spawn(&lane(vec![wait_for("wanted")]));
    endpoint.wait_until("ready", ready);
    let fds = read_dir(format!("/proc/{}/fd", endpoint.endpoint.pid)).expect("it lives");
    let fds: Vec<_> = fds
        .map(|fd| fd.expect("proc lists it").path())
        .filter(|fd| {
            !["0", "1", "2"]
                .iter()
                .any(|standard| fd.ends_with(standard))
        })
        .map(|fd| read_link(fd).expect("it lives"))
        .collect();
    // Reports, keyboard, lifeline, `start` and `wanted`; the plan is closed by now.
    assert_eq!(fds.len(), 5, "{fds:?}");
    assert!(
        fds.iter()
            .all(|fd| fd.to_string_lossy().starts_with("pipe:")),
        "{fds:?}"
    );
}

#[test]
fn a_hundred_endpoints_get_ready() {
    let netns = TestNetns::new(&[]);
    let lane = lane(vec![]);
    let mut endpoints: Vec<_> = (0..100).map(|_| netns.spawn(&lane)).collect();
    for endpoint in &mut endpoints {
        endpoint.wait_until("ready", ready);
    }
}

#[test]
fn dropping_an_endpoint_ends_its_children() {
    let mut netns = TestNetns::new(&["up"]);
    let serve = Action::Serve {
        fork: true,
        each: vec![step(Action::Drain)],
    };
    let mut server = netns.spawn(&lane(vec![listen(), step(serve)]));
    let mut client = netns.spawn(&lane(vec![wait_for("up"), connect(), read()]));
    netns.set("start");
    server.wait_for_mark("listening");
    netns.set("up");
    server.wait_until("a child's read", |reports| {
        reports
            .iter()
            .any(|r| matches!(r, Report::Start { call, .. } if call == "read"))
    });
    let child = server.children()[0];
    // The child of a killed server lives on, and so does its connection.
    server.endpoint.signal(Signal::SIGKILL).expect("it lives");
    server.end();
    std::thread::sleep(Duration::from_millis(50));
    assert!(lives(child));
    client
        .endpoint
        .read_reports(&mut client.reports)
        .expect("only reports come");
    assert!(matches!(client.reports.last(), Some(Report::Start { call, .. }) if call == "read"));
    drop(server);
    client.wait_for_done();
}

/// Zombies do not live: init reaps orphans when it comes to it.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

/// The pid of a process that has the pid `inside` in a sandbox of its own,
/// within this one.
fn seen_from_here(inside: i32) -> i32 {
    let own = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let depth = |status: &str| -> Option<Vec<i32>> {
        let line = status.lines().find_map(|l| l.strip_prefix("NSpid:"))?;
        line.split_whitespace()
            .map(|pid| pid.parse().ok())
            .collect()
    };
    let own = depth(&own).expect("Linux 4.1 and later").len();
    std::fs::read_dir("/proc")
        .expect("proc is mounted")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("status")).ok())
        .filter_map(|status| depth(&status))
        .find(|pids| pids.len() > own && pids.last() == Some(&inside))
        .and_then(|pids| pids.first().copied())
        .expect("it lives")
}

const CHILD: &str = "HALFOPEN_TEST_IS_RUNNER";

#[test]
fn endpoints_do_not_outlive_a_killed_runner() {
    if std::env::var_os(CHILD).is_some() {
        return be_runner();
    }
    let this = std::env::current_exe().expect("a test is a program");
    let mut runner = Command::new(this)
        .args([
            "--exact",
            "--nocapture",
            "lifetime::endpoints_do_not_outlive_a_killed_runner",
        ])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can be started again");
    let output = BufReader::new(runner.stdout.take().expect("it is piped"));
    let pids: Vec<i32> = output
        .lines()
        .map(|line| line.expect("the runner prints text"))
        .find_map(|line| {
            let (_, pids) = line.split_once("endpoints ")?;
            Some(
                pids.split(' ')
                    .map(|pid| pid.parse().expect("a pid"))
                    .collect(),
            )
        })
        .expect("the runner prints the pids it started");
    assert_eq!(pids.len(), 3);
    let pids: Vec<i32> = pids.into_iter().map(seen_from_here).collect();
    assert!(pids.iter().all(|&pid| lives(pid)));
    runner.kill().expect("it lives");
    runner.wait().expect("it is ours");
    let deadline = Instant::now() + Duration::from_secs(60);
    while pids.iter().any(|&pid| lives(pid)) {
        if Instant::now() > deadline {
            // What outlived its runner would outlive its test, too.
            for &pid in &pids {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            panic!("some of {pids:?} outlived their runner");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A runner with a frozen endpoint and a forked child, that never ends by itself.
fn be_runner() {
    let mut netns = TestNetns::new(&["up"]);
    let serve = Action::Serve {
        fork: true,
        each: vec![step(Action::Drain)],
    };
    let mut server = netns.spawn(&lane(vec![listen(), step(serve)]));
    let client = netns.spawn(&lane(vec![wait_for("up"), connect(), read()]));
    netns.set("start");
    server.wait_for_mark("listening");
    netns.set("up");
    server.wait_until("a child's read", |reports| {
        reports
            .iter()
            .any(|r| matches!(r, Report::Start { call, .. } if call == "read"))
    });
    client.endpoint.signal(Signal::SIGSTOP).expect("it lives");
    println!(
        "endpoints {} {} {}",
        server.endpoint.pid,
        server.children()[0],
        client.endpoint.pid
    );
    std::thread::sleep(Duration::from_secs(600));
}
