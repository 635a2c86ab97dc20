//! Placed items as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use halfopen_net::span::human_ns;

use super::items::{Lasts, What};
use super::layout::{Placed, ROW};
use crate::svg::{Drawing, escaped, shortened, text};

/// The column of times.
const CLOCK: f64 = 78.0;
/// Between two lifelines.
const CABLE: f64 = 236.0;
/// A character of the labels' font, at its size.
const CHARACTER: f64 = 6.25;
/// The longest label beside the outer lifelines, and on a cable.
const MOST_BESIDE: usize = 66;
const MOST_ON_CABLE: usize = 36;
/// The line of the hosts' names.
const HEAD: f64 = 34.0;
/// How far an arrow falls between its ends.
const FALL: f64 = 8.0;
/// Width of a call's box, and between two of the same host.
const BOX: f64 = 8.0;
const SLOT: f64 = 10.0;

struct Draw<'a> {
    hosts: &'a [String],
    /// The room for times, on the left.
    clock: f64,
    left: f64,
    right: f64,
    /// Boxes side by side at most, by host.
    slots: Vec<usize>,
    out: String,
}

/// Draws a ladder; times are shown since `zero`.
pub(super) fn draw(hosts: &[String], placed: &Placed, zero: i64, title: String) -> Drawing {
    let longest = |wanted: &dyn Fn(usize) -> bool| {
        let labels = placed
            .items
            .iter()
            .filter_map(|(_, item)| match &item.what {
                What::Text { host, label, .. }
                | What::Began { host, label, .. }
                | What::Returned { host, label, .. } => Some((*host, label.chars().count())),
                _ => None,
            });
        let states = placed.items.iter().flat_map(|(_, item)| match &item.what {
            What::States { hosts, .. } => hosts.as_slice(),
            _ => &[],
        });
        labels
            .chain(states.map(|(host, text)| (*host, text.chars().count())))
            .filter(|(host, _)| wanted(*host))
            .map(|(_, length)| length.min(MOST_BESIDE))
            .max()
            .unwrap_or(0) as f64
            * CHARACTER
    };
    let slots = slots(placed, hosts.len());
    let times = placed.items.iter().map(|(_, item)| item.at_ns - zero);
    let silences = placed.breaks.iter().map(|(.., gap)| *gap);
    // Two more for the mark before a silence.
    let widest = times
        .chain(silences)
        .map(|ns| human_ns(ns).chars().count() + 2);
    let clock = CLOCK.max(widest.max().unwrap_or(0) as f64 * CHARACTER + 6.0);
    let room = |host: usize| 22.0 + SLOT * slots[host] as f64;
    let last = hosts.len() - 1;
    let left = clock + (longest(&|host| host == 0) + room(0)).max(60.0);
    let right = match last {
        0 => 60.0,
        last => (longest(&|host| host == last) + room(last)).max(60.0),
    };
    let mut draw = Draw {
        hosts,
        clock,
        left,
        right,
        slots,
        out: String::new(),
    };
    draw.bands(placed);
    draw.lifelines(placed);
    draw.times(placed, zero);
    draw.items(placed);
    Drawing {
        width: draw.width(),
        height: HEAD + placed.height,
        body: draw.out,
        title,
    }
}

/// How many calls of a host were under way at the same time.
fn slots(placed: &Placed, hosts: usize) -> Vec<usize> {
    let (mut now, mut most) = (vec![0_usize; hosts], vec![0; hosts]);
    for (_, item) in &placed.items {
        match &item.what {
            What::Began { host, .. } => {
                now[*host] += 1;
                most[*host] = most[*host].max(now[*host]);
            }
            What::Returned { host, .. } => now[*host] = now[*host].saturating_sub(1),
            _ => {}
        }
    }
    most
}

impl Draw<'_> {
    fn x(&self, host: usize) -> f64 {
        self.left + CABLE * host as f64
    }

    fn width(&self) -> f64 {
        self.x(self.hosts.len() - 1) + self.right
    }

    /// Where a host's labels begin, and which way they go.
    fn beside(&self, host: usize) -> (f64, &'static str) {
        let away = 9.0 + SLOT * self.slots[host] as f64;
        match host {
            0 => (self.x(host) - away, " text-anchor=\"end\""),
            host => (self.x(host) + away, ""),
        }
    }

    /// What lasts behind everything.
    fn bands(&mut self, placed: &Placed) {
        let at: BTreeMap<usize, f64> = placed
            .items
            .iter()
            .filter_map(|(y, item)| match item.what {
                What::Fault { number, .. } => Some((number, *y)),
                _ => None,
            })
            .collect();
        for (y, item) in &placed.items {
            let What::Fault { lasts, .. } = item.what else {
                continue;
            };
            let end = match lasts {
                Lasts::No => continue,
                Lasts::Until(number) => at.get(&number).copied().unwrap_or(placed.height),
                Lasts::ToTheEnd => placed.height,
            };
            let _ = write!(
                self.out,
                "<rect class=\"lasting\" x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\"/>",
                self.clock,
                HEAD + y,
                self.width() - self.clock,
                (end - y).max(0.0)
            );
        }
    }

    fn lifelines(&mut self, placed: &Placed) {
        let bottom = HEAD + placed.height - 4.0;
        for (host, name) in self.hosts.iter().enumerate() {
            let x = self.x(host);
            let _ = write!(
                self.out,
                "<line class=\"life\" x1=\"{x:.0}\" y1=\"{:.0}\" x2=\"{x:.0}\" y2=\"{bottom:.0}\"/>",
                HEAD - 10.0
            );
            let width = name.chars().count() as f64 * 7.2 + 16.0;
            let _ = write!(
                self.out,
                "<rect class=\"host\" x=\"{:.0}\" y=\"4\" width=\"{width:.0}\" height=\"20\" rx=\"4\"/>",
                x - width / 2.0
            );
            text(
                &mut self.out,
                x,
                18.0,
                "name",
                " text-anchor=\"middle\"",
                name,
            );
        }
        for (from, to, gap) in &placed.breaks {
            let (from, to) = (HEAD + from, HEAD + to.max(from + 4.0));
            for host in 0..self.hosts.len() {
                let x = self.x(host);
                let _ = write!(
                    self.out,
                    "<line class=\"gap\" x1=\"{x:.0}\" y1=\"{from:.0}\" x2=\"{x:.0}\" y2=\"{to:.0}\"/>"
                );
            }
            let middle = (from + to) / 2.0 + 4.0;
            let words = format!("⋮ {}", human_ns(*gap));
            text(
                &mut self.out,
                self.clock - 6.0,
                middle,
                "silence",
                " text-anchor=\"end\"",
                &words,
            );
        }
    }

    /// The times of rows, as far as there is room.
    fn times(&mut self, placed: &Placed, zero: i64) {
        let mut taken: Vec<f64> = Vec::new();
        let silences = placed.breaks.iter();
        taken.extend(silences.map(|(from, to, _)| (from + to.max(from + 4.0)) / 2.0));
        let mut shown = String::new();
        // Events first: times count from them.
        let is_fault = |what: &What| matches!(what, What::Fault { .. });
        for pass in [true, false] {
            for (y, item) in &placed.items {
                if is_fault(&item.what) != pass || matches!(item.what, What::Arrival { .. }) {
                    continue;
                }
                let words = human_ns(item.at_ns - zero);
                if taken.iter().any(|at| (at - y).abs() < 15.0) || words == shown && !pass {
                    continue;
                }
                taken.push(*y);
                text(
                    &mut self.out,
                    self.clock - 6.0,
                    HEAD + y + 4.0,
                    "clock",
                    " text-anchor=\"end\"",
                    &words,
                );
                shown = words;
            }
        }
    }

    fn items(&mut self, placed: &Placed) {
        let mut flights: BTreeMap<usize, Flight> = BTreeMap::new();
        let mut boxes = Boxes::new(self.hosts.len());
        for (y, item) in &placed.items {
            let y = HEAD + y;
            match &item.what {
                What::Packet {
                    from,
                    to,
                    label,
                    class,
                    lost,
                    flight,
                } => {
                    let start = Flight {
                        from: *from,
                        to: *to,
                        y,
                        class,
                    };
                    match flight {
                        Some(number) => {
                            flights.insert(*number, start);
                        }
                        None => self.arrow(&start, y + FALL, *lost),
                    }
                    self.on_cable(*from, *to, y, class, label);
                }
                What::Arrival { flight } => {
                    if let Some(start) = flights.remove(flight) {
                        self.arrow(&start, y.max(start.y + FALL), false);
                    }
                }
                What::Text { host, label, class } => {
                    let x = self.x(*host);
                    if matches!(*class, "call" | "failed" | "first") {
                        self.call_box(*host, 0, y - 4.0, y + 4.0, class);
                    } else {
                        let _ = write!(
                            self.out,
                            "<circle class=\"dot {class}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"3\"/>"
                        );
                    }
                    self.label(*host, y, class, label);
                }
                What::Began {
                    host,
                    call,
                    label,
                    class,
                } => {
                    boxes.begin(*host, *call, y, class);
                    let class = if *class == "blocked" {
                        "blocked"
                    } else {
                        "begin"
                    };
                    self.label(*host, y, class, label);
                }
                What::Returned {
                    host,
                    call,
                    label,
                    class,
                } => {
                    if let Some((slot, from)) = boxes.end(*host, *call) {
                        self.call_box(*host, slot, from, y, class);
                    }
                    self.label(*host, y, class, label);
                }
                What::Fault { label, class, .. } => self.band(y, class, label),
                What::States { moment, hosts } => {
                    for (host, states) in hosts {
                        self.label(*host, y, "state", states);
                    }
                    let _ = write!(
                        self.out,
                        "<line class=\"moment\" x1=\"{:.0}\" x2=\"{:.0}\" y1=\"{:.0}\" y2=\"{:.0}\"><title>sockets {}</title></line>",
                        self.clock,
                        self.width(),
                        y - ROW / 2.0 + 1.0,
                        y - ROW / 2.0 + 1.0,
                        escaped(moment)
                    );
                }
                What::LeftOut(n) => self.band(
                    y,
                    "event",
                    &format!("{n} more events are left out: the JSON has them all"),
                ),
            }
        }
        let bottom = HEAD + placed.height - 6.0;
        for (host, slot, from, class) in boxes.open() {
            self.call_box(host, slot, from, bottom, class);
        }
    }

    fn label(&mut self, host: usize, y: f64, class: &str, label: &str) {
        let (x, anchor) = self.beside(host);
        // Beside a lifeline in the middle there is room up to the next one.
        let outer = host == 0 || host + 1 == self.hosts.len();
        let short = shortened(
            label,
            if outer {
                MOST_BESIDE
            } else {
                MOST_ON_CABLE - 3
            },
        );
        let (class, title) = (format!("l {class}"), label);
        if short == label {
            text(&mut self.out, x, y + 4.0, &class, anchor, label);
        } else {
            let _ = write!(
                self.out,
                "<text x=\"{x:.0}\" y=\"{:.0}\" class=\"{class}\"{anchor}><title>{}</title>{}</text>",
                y + 4.0,
                escaped(title),
                escaped(&short)
            );
        }
    }

    fn call_box(&mut self, host: usize, slot: usize, from: f64, to: f64, class: &str) {
        let outward = if host == 0 { -1.0 } else { 1.0 };
        let x = self.x(host) + outward * SLOT * slot as f64 - BOX / 2.0;
        let _ = write!(
            self.out,
            "<rect class=\"box {class}\" x=\"{x:.0}\" y=\"{from:.0}\" width=\"{BOX:.0}\" height=\"{:.0}\" rx=\"2\"/>",
            (to - from).max(4.0)
        );
    }

    fn band(&mut self, y: f64, class: &str, label: &str) {
        let _ = write!(
            self.out,
            "<rect class=\"band {class}\" x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\"/>",
            self.clock,
            y - ROW / 2.0,
            self.width() - self.clock,
            ROW
        );
        let middle = (self.clock + self.width()) / 2.0;
        text(
            &mut self.out,
            middle,
            y + 4.0,
            &format!("l {class}"),
            " text-anchor=\"middle\"",
            label,
        );
    }

    fn on_cable(&mut self, from: usize, to: usize, y: f64, class: &str, label: &str) {
        let middle = (self.x(from) + self.x(to)) / 2.0;
        let short = shortened(label, MOST_ON_CABLE);
        text(
            &mut self.out,
            middle,
            y - 0.5,
            &format!("l on {class}"),
            " text-anchor=\"middle\"",
            &short,
        );
    }

    fn arrow(&mut self, start: &Flight, end: f64, lost: bool) {
        let inset = if start.from < start.to { 5.0 } else { -5.0 };
        let (x1, mut x2) = (self.x(start.from) + inset, self.x(start.to) - inset);
        let mut y2 = end;
        if lost {
            // Ends in a cross on its way.
            x2 = x1 + (x2 - x1) * 0.8;
            y2 = start.y + (end - start.y) * 0.8;
        }
        let class = start.class;
        let lost_class = if lost { " lost" } else { "" };
        let _ = write!(
            self.out,
            "<line class=\"{class}{lost_class}\" x1=\"{x1:.0}\" y1=\"{:.0}\" x2=\"{x2:.0}\" y2=\"{y2:.1}\"/>",
            start.y
        );
        let tip = if start.from < start.to { -7.0 } else { 7.0 };
        let path = match lost {
            true => format!("M{:.0} {:.1}l8 8m0 -8l-8 8", x2 - 4.0, y2 - 4.0),
            false => format!(
                "M{:.0} {:.1}L{x2:.0} {y2:.1}L{:.0} {:.1}",
                x2 + tip,
                y2 - 4.0,
                x2 + tip,
                y2 + 3.0
            ),
        };
        let _ = write!(self.out, "<path class=\"tip {class}\" d=\"{path}\"/>");
    }
}

/// A packet that is under way.
struct Flight {
    from: usize,
    to: usize,
    y: f64,
    class: &'static str,
}

/// A long call that is under way.
#[derive(Clone, Copy)]
struct Open {
    call: usize,
    y: f64,
    class: &'static str,
}

/// The long calls that are under way, in slots beside the lifelines.
struct Boxes {
    hosts: Vec<Vec<Option<Open>>>,
}

impl Boxes {
    fn new(hosts: usize) -> Self {
        Boxes {
            hosts: vec![Vec::new(); hosts],
        }
    }

    fn begin(&mut self, host: usize, call: usize, y: f64, class: &'static str) {
        let slots = &mut self.hosts[host];
        let entry = Some(Open { call, y, class });
        match slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = entry,
            None => slots.push(entry),
        }
    }

    fn end(&mut self, host: usize, call: usize) -> Option<(usize, f64)> {
        let mut slots = self.hosts[host].iter_mut().enumerate();
        let (index, slot) = slots.find(|(_, slot)| slot.is_some_and(|open| open.call == call))?;
        slot.take().map(|open| (index, open.y))
    }

    /// Those that never returned: host, slot, height and class.
    fn open(self) -> Vec<(usize, usize, f64, &'static str)> {
        let hosts = self.hosts.into_iter().enumerate();
        hosts
            .flat_map(|(host, slots)| {
                let slots = slots.into_iter().enumerate();
                slots.filter_map(move |(slot, open)| open.map(|o| (host, slot, o.y, o.class)))
            })
            .collect()
    }
}
