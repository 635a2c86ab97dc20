//! Reads the position of the kernel's timer wheel: `jiffies`, and when its ticks
//! are. Start times in virtual time and the environment's record need it.
//!
//! /proc/timer_list (root only) has both. Ticks are a fixed distance apart as
//! long as nothing slews the clock, as in a guest.

use halfopen_outcome::environment::WheelAt;

/// How often the file is read: a tick may pass while the file is written, which makes
/// `jiffies` one too large, never too small.
const READS: u32 = 4;

/// The position, at `hz` ticks a second; None where /proc/timer_list cannot be
/// read.
pub(crate) fn read(hz: u32) -> Option<WheelAt> {
    let tick = 1_000_000_000 / u64::from(hz.max(1));
    let all = (0..READS).filter_map(|_| {
        let text = std::fs::read_to_string("/proc/timer_list").ok()?;
        parse(&text, tick)
    });
    // The same moment of all of them: jiffies at clock 0.
    all.min_by_key(|at| i128::from(at.jiffies) - i128::from(at.tick_ns / tick))
}

fn parse(text: &str, tick: u64) -> Option<WheelAt> {
    let number = |line: &str| -> Option<u64> {
        let digits = |c: char| !c.is_ascii_digit();
        line.split(digits)
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    };
    let line = |start: &str| text.lines().find(|l| l.trim_start().starts_with(start));
    let now = number(line("now at ")?)?;
    let jiffies = number(line("jiffies:")?)?;
    // The tick's own timer: tick_sched_timer(), tick_nohz_handler() since 6.9.
    let mut lines = text.lines();
    lines.find(|l| l.contains(", tick_sched_timer,") || l.contains(", tick_nohz_handler,"))?;
    let next = number(lines.next()?.split("expires at").nth(1)?)?;
    let tick_ns = now - (now + tick - next % tick) % tick;
    Some(WheelAt { jiffies, tick_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Timer List Version: v0.9
now at 5601234567 nsecs

cpu: 0
active timers:
 #0: <0000000000000000>, tick_sched_timer, S:01
 # expires at 5604000000-5604000000 nsecs [in 2765433 to 2765433 nsecs]
  .last_tick      : 5600000000 nsecs
jiffies: 4294893697
";

    #[test]
    fn the_last_tick_has_the_number() {
        let at = parse(LIST, 4_000_000).expect("it is all there");
        assert_eq!(at.tick_ns, 5_600_000_000);
        assert_eq!(at.jiffies, 4_294_893_697);
    }
}
