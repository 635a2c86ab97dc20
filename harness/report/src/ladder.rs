//! The packet ladder: one case as text, calls and packets on the hosts'
//! lifelines in the order of time.

use halfopen_outcome::record::{EndpointRecord, ExitKind, Outcome, Packet};

use super::text;
use halfopen_net::span::human_ns;

/// What part of a case a ladder shows, and how wide it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Columns of text.
    pub width: usize,
    /// Rows before the middle is left out.
    pub most_rows: usize,
    /// Leave out what happened well before the fault.
    pub from_fault: bool,
}

/// All of a case.
pub const WHOLE: View = View {
    width: 100,
    most_rows: usize::MAX,
    from_fault: false,
};

/// What shows why a case differs: the fault, what came after it, how it ended.
pub const EVIDENCE: View = View {
    width: 96,
    most_rows: 24,
    from_fault: true,
};

/// How much of the time before a fault belongs to the evidence: a packet in
/// flight, the call that was under way.
const BEFORE_FAULT_NS: i64 = 5_000_000;

/// A call that takes no longer is one row; a longer one has a row for its
/// start and a row for its return.
const AT_ONCE_NS: i64 = 1_000_000;

/// Width of the column of times.
const CLOCK: usize = 13;

/// Draws a case. Times are seconds since its first fault took effect, or since
/// its start when there was none.
pub fn render(outcome: &Outcome, view: &View) -> String {
    let fault = text::fault(outcome);
    let zero = fault.map_or(0, |fault| fault.effective_ns);
    let hosts = hosts(outcome);
    let mut rows = rows(outcome, &hosts);
    rows.sort_by_key(|row| row.at_ns);
    if let (true, Some(fault)) = (view.from_fault, fault) {
        let begin = fault.asked_ns - BEFORE_FAULT_NS;
        rows.retain(|row| row.at_ns >= begin || row.until_ns >= begin);
    }
    let canvas = Canvas::new(&hosts, view.width);
    let mut text = match fault {
        Some(fault) => format!(
            "times in seconds since the fault (`{}`, {} after the start)\n",
            fault.what,
            human_ns(fault.effective_ns)
        ),
        None => "times in seconds since the start\n".to_owned(),
    };
    text.push_str(&canvas.names(&hosts));
    let hidden = rows.len().saturating_sub(view.most_rows);
    let head = view.most_rows.div_ceil(2).min(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if hidden > 0 && index == head {
            text.push_str(&format!(
                "{:>CLOCK$}  ({hidden} more rows: run --ladder)\n",
                "..."
            ));
        }
        if hidden > 0 && (head..head + hidden).contains(&index) {
            continue;
        }
        let line = canvas.draw(&row.what);
        let seconds = (row.at_ns - zero) as f64 / 1e9;
        text.push_str(format!("{seconds:>+CLOCK$.6}  {line}").trim_end());
        text.push('\n');
    }
    let counts = text::counts(&outcome.wire.counts);
    if !counts.is_empty() {
        text.push_str(&format!("{:>CLOCK$}  {counts}\n", "sent:"));
    }
    text
}

struct Row {
    at_ns: i64,
    /// A call that began then and was under way until here. What blocked when
    /// the fault came belongs to the evidence, however early it began.
    until_ns: i64,
    what: Mark,
}

/// What a row draws. Hosts by index.
enum Mark {
    /// Words at a host's lifeline.
    At(usize, String),
    /// An arrow between two lifelines; a lost packet does not arrive.
    Arrow {
        from: usize,
        to: usize,
        label: String,
        lost: bool,
    },
    /// Words across all lifelines.
    Across(String),
}

/// The columns: nodes in the order of the path, the client's end on the left,
/// so that an arrow never jumps over a router.
fn hosts(outcome: &Outcome) -> Vec<String> {
    let mut cables: Vec<(&str, &str)> = Vec::new();
    for packet in &outcome.wire.packets {
        let cable = (packet.from.as_str(), far_end(packet));
        if !cables.contains(&cable) && !cables.contains(&(cable.1, cable.0)) {
            cables.push(cable);
        }
    }
    let mut hosts: Vec<String> = Vec::new();
    let mut waiting: Vec<&str> = cables.iter().flat_map(|(a, b)| [*a, *b]).collect();
    waiting.extend(outcome.endpoints.iter().map(|e| e.host.as_str()));
    // Ends of the path first, `client` before all.
    let ends = |name: &str| {
        cables
            .iter()
            .filter(|(a, b)| *a == name || *b == name)
            .count()
    };
    waiting.sort_by_key(|name| (*name != "client", ends(name)));
    // Depth first along the cables.
    waiting.reverse();
    while let Some(name) = waiting.pop() {
        if name.is_empty() || hosts.iter().any(|host| host == name) {
            continue;
        }
        hosts.push(name.to_owned());
        waiting.extend(cables.iter().filter(|(a, _)| *a == name).map(|(_, b)| *b));
        waiting.extend(cables.iter().filter(|(_, b)| *b == name).map(|(a, _)| *a));
    }
    hosts
}

/// The node at the other end of the cable a packet was put on.
fn far_end(packet: &Packet) -> &str {
    let (cable, from) = (packet.cable.as_str(), packet.from.as_str());
    let after = cable
        .strip_prefix(from)
        .and_then(|rest| rest.strip_prefix('-'));
    let before = cable
        .strip_suffix(from)
        .and_then(|rest| rest.strip_suffix('-'));
    after.or(before).unwrap_or("")
}

fn rows(outcome: &Outcome, hosts: &[String]) -> Vec<Row> {
    let index = |name: &str| hosts.iter().position(|host| host == name);
    let mut rows = Vec::new();
    for fault in &outcome.faults {
        rows.push(Row {
            until_ns: fault.effective_ns,
            at_ns: fault.effective_ns,
            what: Mark::Across(fault.what.clone()),
        });
    }
    for packet in &outcome.wire.packets {
        let (Some(from), Some(to)) = (index(&packet.from), index(far_end(packet))) else {
            continue;
        };
        let label = text::packet(packet);
        let lost = packet.delivered_ns.is_none();
        let (at_ns, what) = (
            packet.sent_ns,
            Mark::Arrow {
                from,
                to,
                label,
                lost,
            },
        );
        rows.push(Row {
            at_ns,
            until_ns: at_ns,
            what,
        });
    }
    for endpoint in &outcome.endpoints {
        if let Some(host) = index(&endpoint.host) {
            let row = |(at_ns, until_ns, words)| Row {
                at_ns,
                until_ns,
                what: Mark::At(host, words),
            };
            rows.extend(calls(endpoint).map(row));
        }
    }
    rows
}

/// Calls and ends of a lane's processes: when, until when, what.
fn calls(endpoint: &EndpointRecord) -> impl Iterator<Item = (i64, i64, String)> {
    endpoint.processes.iter().flat_map(|process| {
        let mut who = if endpoint.lane == endpoint.host {
            String::new()
        } else {
            format!("{}: ", endpoint.lane)
        };
        if process.number > 0 {
            who = format!("{}child {}: ", who, process.number);
        }
        let mut words = Vec::new();
        for call in &process.calls {
            let name = format!("{}()", call.call);
            match call.end_ns {
                Some(end) if end - call.start_ns <= AT_ONCE_NS => {
                    words.push((end, end, format!("{who}{}", text::call(call))));
                }
                Some(end) => {
                    words.push((call.start_ns, end, format!("{who}{name} ...")));
                    let took = human_ns(end - call.start_ns);
                    words.push((end, end, format!("{who}{} ({took})", text::call(call))));
                }
                None => {
                    let text = format!("{who}{name} never returned");
                    words.push((call.start_ns, i64::MAX, text));
                }
            }
        }
        if let Some(end) = &process.end {
            let how = match &end.how {
                ExitKind::Exited(status) => format!("exited with {status}"),
                ExitKind::Killed(signal) => format!("died of {signal}"),
            };
            words.push((end.at_ns, end.at_ns, format!("{who}{how}")));
        }
        words
    })
}

/// Where the lifelines are.
struct Canvas {
    lifelines: Vec<usize>,
    width: usize,
}

impl Canvas {
    fn new(hosts: &[String], width: usize) -> Self {
        let width = width.saturating_sub(CLOCK + 2).max(20);
        let gaps = hosts.len().saturating_sub(1).max(1);
        let lifelines = (0..hosts.len()).map(|i| i * (width - 1) / gaps).collect();
        Canvas { lifelines, width }
    }

    fn names(&self, hosts: &[String]) -> String {
        let mut line = vec![' '; self.width];
        for (i, host) in hosts.iter().enumerate() {
            self.write_at(&mut line, i, host, false);
        }
        let line: String = line.into_iter().collect();
        format!("{:CLOCK$}  {}\n", "", line.trim_end())
    }

    fn draw(&self, mark: &Mark) -> String {
        let mut line = vec![' '; self.width];
        for at in &self.lifelines {
            line[*at] = '|';
        }
        match mark {
            Mark::At(host, words) => self.write_at(&mut line, *host, words, true),
            Mark::Arrow {
                from,
                to,
                label,
                lost,
            } => self.arrow(&mut line, *from, *to, label, *lost),
            Mark::Across(words) => {
                let words = format!(" {words} ");
                return format!("{words:=^width$}", width = self.width);
            }
        }
        line.into_iter().collect()
    }

    /// Words beside a lifeline (or on it): to its right, for the last one to its left.
    fn write_at(&self, line: &mut Vec<char>, host: usize, words: &str, beside: bool) {
        let at = self.lifelines[host];
        let beside = usize::from(beside) * 2;
        let last = host > 0 && host + 1 == self.lifelines.len();
        let length = words.chars().count();
        let start = if last {
            (at + 1).saturating_sub(length + beside)
        } else {
            at + beside
        };
        // Long words write on past the right edge rather than lose their end.
        if line.len() < start + length {
            line.resize(start + length, ' ');
        }
        line.splice(start..start + length, words.chars());
    }

    fn arrow(&self, line: &mut [char], from: usize, to: usize, label: &str, lost: bool) {
        let (a, b) = (self.lifelines[from], self.lifelines[to]);
        let (left, right) = (a.min(b) + 1, a.max(b));
        if left >= right {
            return;
        }
        let shaft = &mut line[left..right];
        shaft.fill('-');
        let size = shaft.len();
        // A lost packet's shaft ends before its goal.
        let short = if lost { (size / 8).max(1) } else { 0 };
        if a < b {
            shaft[size - short..].fill(' ');
            shaft[size - 1 - short] = if lost { 'x' } else { '>' };
        } else {
            shaft[..short].fill(' ');
            shaft[short] = if lost { 'x' } else { '<' };
        }
        let label: Vec<char> = format!(" {label} ")
            .chars()
            .take(size.saturating_sub(2))
            .collect();
        let start = (size - label.len()) / 2;
        shaft[start..start + label.len()].copy_from_slice(&label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_outcome::record::Verdict;
    use halfopen_outcome::testing;

    #[test]
    fn a_crash() {
        let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
        insta::assert_snapshot!(render(&outcome, &WHOLE));
    }

    #[test]
    fn the_middle_is_left_out() {
        let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
        let view = View {
            most_rows: 4,
            from_fault: true,
            ..EVIDENCE
        };
        insta::assert_snapshot!(render(&outcome, &view));
    }

    #[test]
    fn evidence_shows_what_was_under_way() {
        let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
        let text = render(&outcome, &EVIDENCE);
        assert!(text.contains("read() never returned"), "{text}");
        assert!(!text.contains("connect()"), "{text}");
    }

    #[test]
    fn a_router_stands_between_the_hosts() {
        let mut outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
        for packet in &mut outcome.wire.packets {
            packet.cable = format!("{}-gw-1", packet.from);
        }
        assert_eq!(hosts(&outcome), ["client", "gw-1", "server"]);
        assert!(render(&outcome, &WHOLE).contains("SYN+ACK"));
    }

    #[test]
    fn nothing_recorded_is_drawn_too() {
        let text = render(&testing::failed(), &WHOLE);
        assert!(
            text.starts_with("times in seconds since the start"),
            "{text}"
        );
    }
}
