//! Writes a grid as a file of scenarios.

use std::fmt::Write as _;
use std::time::Duration;

use super::fault::WITH_STANDBY;
use super::{Detector, Ends, Fault};
use halfopen_net::duration::text as words;
use halfopen_scenario::case::{
    self, BeatWhen, HeartbeatSender, KeepaliveBy, OnSilence, SignOfLife, SocketOption,
};

/// When the fault happens: this long after the connection's last segment, however
/// long a busy machine takes to connect. The neighbour (ARP) entries are then still
/// reachable.
pub const FAULT_AT: Duration = Duration::from_secs(1);

/// When the client sends: late enough for the fault to be in effect on every
/// machine, and soon compared with every timer.
const SENDS_AT: Duration = Duration::from_millis(1_020);

/// Time to connect on a busy machine, because `give_up` counts from the start of a
/// case and not from its fault.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Detectors that can be one axis of the same scenario.
struct Group<'a> {
    /// What is added to the scenario's name.
    suffix: String,
    sysctls: &'a [(&'a str, &'a str)],
    ends: Ends,
    detectors: Vec<&'a Detector>,
}

/// The name of the scenario of a fault and a detector.
pub fn scenario_name(fault: &Fault, detector: &Detector) -> String {
    format!("{}{}", fault.name, suffix(detector))
}

fn suffix(detector: &Detector) -> String {
    match (detector.sysctls.is_empty(), detector.ends) {
        (true, Ends::Client) => String::new(),
        (true, Ends::Both) => "-heartbeats".to_owned(),
        (false, _) => format!("-{}", detector.name),
    }
}

fn groups(detectors: &[Detector]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for detector in detectors {
        let suffix = suffix(detector);
        match groups.iter_mut().find(|group| group.suffix == suffix) {
            Some(group) => group.detectors.push(detector),
            None => groups.push(Group {
                suffix,
                sysctls: detector.sysctls,
                ends: detector.ends,
                detectors: vec![detector],
            }),
        }
    }
    groups
}

/// The file of scenarios: each detector against each fault, idle and sending. A
/// case gives up `limit` after its fault.
pub fn file(
    detectors: &[Detector],
    faults: &[Fault],
    limit: Duration,
    virtual_time: bool,
) -> String {
    let mut text = String::from("version: 1\n\ndetectors:\n");
    for detector in detectors {
        let _ = writeln!(text, "  {}: {}", detector.name, detector.yaml);
    }
    if faults.iter().any(|fault| fault.network == WITH_STANDBY) {
        let _ = write!(
            text,
            "
networks:
  {WITH_STANDBY}:
    hosts: [client, server, standby]
    switches: [switch]
    cables: [[client, switch], [server, switch], [standby, switch]]
"
        );
    }
    text.push_str("\nscenarios:\n");
    let groups = groups(detectors);
    for fault in faults {
        for group in &groups {
            scenario(&mut text, fault, group, limit, virtual_time);
        }
    }
    text
}

fn scenario(
    text: &mut String,
    fault: &Fault,
    group: &Group<'_>,
    limit: Duration,
    virtual_time: bool,
) {
    let names: Vec<&str> = group.detectors.iter().map(|d| d.name.as_str()).collect();
    let on = match group.ends {
        Ends::Client => "client",
        Ends::Both => "both",
    };
    let _ = write!(
        text,
        "  {}{}:
    about: {}.
    matrix: {{ detector: [{}], while: [idle, sending] }}
    detector_on: {on}
    network: {}
",
        fault.name,
        group.suffix,
        sentence(fault.title),
        names.join(", "),
        fault.network,
    );
    for line in fault.extra {
        let _ = writeln!(text, "    {line}");
    }
    if !group.sysctls.is_empty() {
        let set: Vec<String> = group
            .sysctls
            .iter()
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        let _ = writeln!(text, "    sysctls: {{ client: {{ {} }} }}", set.join(", "));
    }
    let _ = write!(
        text,
        "    server: [listen, accept, echo]
    client:
      - connect: server
      - {{ write: hello, mark: connected }}
      - read: 100
      - {{ wait_for: struck, when: {{ while: sending }} }}
      - {{ write: request, when: {{ while: sending }} }}
      - read
    watch: [client]
    faults:
"
    );
    for (index, event) in fault.events.iter().enumerate() {
        let name = match index {
            0 => "fault".to_owned(),
            _ => format!("fault-{}", index + 1),
        };
        let _ = writeln!(
            text,
            "      - {{ after: connected, by: {}, {event}, name: {name} }}",
            words(FAULT_AT)
        );
    }
    // A netstat event, whose mark the client waits for. The mark of the fault itself
    // can be too late: that of a reboot is set when the host is back.
    let _ = writeln!(
        text,
        "      - {{ after: connected, by: {}, netstat: , name: struck }}",
        words(SENDS_AT)
    );
    let _ = writeln!(
        text,
        "    give_up: {}",
        words(FAULT_AT + limit + CONNECT_TIME)
    );
    if virtual_time {
        text.push_str("    clock: virtual\n");
    }
    text.push('\n');
}

fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// A detector as it would be written in a file.
pub fn detector(detector: &case::Detector) -> String {
    let mut parts = Vec::new();
    if let Some(keepalive) = &detector.keepalive {
        let mut own = Vec::new();
        own.extend(keepalive.idle.map(|t| format!("idle: {}", words(t))));
        own.extend(
            keepalive
                .interval
                .map(|t| format!("interval: {}", words(t))),
        );
        own.extend(keepalive.count.map(|n| format!("count: {n}")));
        if keepalive.by == KeepaliveBy::Sysctl {
            own.push("by: sysctl".to_owned());
        }
        parts.push(format!("keepalive: {}", mapping(&own)));
    }
    let times = [
        ("user_timeout", detector.user_timeout),
        ("read_timeout", detector.read_timeout),
        ("poll", detector.poll),
    ];
    for (key, time) in times {
        parts.extend(time.map(|time| format!("{key}: {}", words(time))));
    }
    if let Some(settings) = &detector.heartbeat {
        parts.push(format!("heartbeat: {}", mapping(&heartbeat(settings))));
    }
    parts.extend(detector.options.iter().filter_map(|option| match option {
        SocketOption::Syncnt(times) => Some(format!("syncnt: {times}")),
        SocketOption::RtoMax(time) => Some(format!("rto_max: {}", words(*time))),
        SocketOption::Linger(time) => time.map(|time| format!("linger: {}", words(time))),
        SocketOption::ReceiveBuffer(bytes) => Some(format!("receive_buffer: {bytes}")),
        // A detector has keys of their own for these.
        SocketOption::Keepalive(_)
        | SocketOption::KeepaliveIdle(_)
        | SocketOption::KeepaliveInterval(_)
        | SocketOption::KeepaliveCount(_)
        | SocketOption::UserTimeout(_)
        | SocketOption::ReadTimeout(_) => None,
    }));
    mapping(&parts)
}

/// Settings with their default values are left out.
fn heartbeat(heartbeat: &case::Heartbeat) -> Vec<String> {
    let mut own = vec![
        format!("every: {}", words(heartbeat.every)),
        format!("timeout: {}", words(heartbeat.timeout)),
    ];
    own.extend(
        heartbeat
            .check_every
            .map(|t| format!("check_every: {}", words(t))),
    );
    if heartbeat.misses != 1 {
        own.push(format!("misses: {}", heartbeat.misses));
    }
    own.extend(match heartbeat.from {
        HeartbeatSender::Client => None,
        HeartbeatSender::Server => Some("from: server".to_owned()),
        HeartbeatSender::Both => Some("from: both".to_owned()),
    });
    if heartbeat.answered {
        own.push("answered: true".to_owned());
    }
    own.extend(match heartbeat.when {
        BeatWhen::Always => None,
        BeatWhen::Idle => Some("when: idle".to_owned()),
        BeatWhen::Busy => Some("when: busy".to_owned()),
    });
    own.extend(heartbeat.counts.map(|counts| match counts {
        SignOfLife::Answer => "counts: answer".to_owned(),
        SignOfLife::Beat => "counts: beat".to_owned(),
        SignOfLife::AnyByte => "counts: any_byte".to_owned(),
        SignOfLife::OwnWrites => "counts: own_writes".to_owned(),
    }));
    own.extend(match heartbeat.on_silence {
        OnSilence::Close => None,
        OnSilence::HalfClose => Some("on_silence: half_close".to_owned()),
        OnSilence::Reset => Some("on_silence: reset".to_owned()),
        OnSilence::Nothing => Some("on_silence: nothing".to_owned()),
    });
    if let Some(again) = &heartbeat.reconnect {
        let limit = again
            .limit
            .map_or_else(String::new, |n| format!(", limit: {n}"));
        own.push(format!(
            "reconnect: {{ delay: {}, backoff: {}{limit} }}",
            words(again.delay),
            again.backoff
        ));
    }
    own
}

fn mapping(parts: &[String]) -> String {
    if parts.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_scenario::parse;

    /// Every detector that a file can declare is read back as it was.
    #[test]
    fn a_declared_detector_is_written_as_it_was_read() {
        let shipped = include_str!("../../../../scenarios.yaml");
        let detectors = parse("scenarios.yaml", shipped)
            .expect("it ships")
            .detectors;
        let mut again = String::from("version: 1\ndetectors:\n");
        for (name, one) in &detectors {
            let _ = writeln!(again, "  {name}: {}", detector(one));
        }
        again.push_str(
            "scenarios: { one: { about: x, server: [listen], client: [connect], give_up: 1s } }\n",
        );
        let read = parse("again", &again).unwrap_or_else(|e| panic!("{e}"));
        assert!(detectors.len() > 30);
        assert_eq!(read.detectors, detectors);
    }
}
