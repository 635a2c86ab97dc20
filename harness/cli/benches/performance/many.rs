//! Many labs alive at once: what each costs.

use std::error::Error;
use std::time::{Duration, Instant};

use super::arms::{connect_in, one_lab};
use super::numbers::{Targets, Times, heading, ratio};

const COUNTS: [usize; 3] = [1, 10, 100];

/// Until the kernel has taken the last round's namespaces down: it does so in
/// the background, at about a millisecond a lab.
fn quiet(labs: usize) {
    std::thread::sleep(Duration::from_millis(80 + 4 * labs as u64));
}

pub fn measure(rounds: usize, targets: &mut Targets) -> Result<(), Box<dyn Error>> {
    let mut times: [Times; 3] = Default::default();
    for _ in 0..rounds {
        for (count, column) in COUNTS.into_iter().zip(&mut times) {
            // One lab is over so soon that chance decides: several of them.
            for _ in 0..(10 / count).max(1) {
                column.push(cost(count)?);
                quiet(count);
            }
        }
    }
    heading("labs alive at once, each connected: time a lab");
    for (count, column) in COUNTS.iter().zip(&times) {
        column.row(&format!("{count}"));
    }
    let [one, ten, hundred] = times.map(|column| column.median());
    for (count, time) in [(10, ten), (100, hundred)] {
        let growth = ratio(time, one);
        targets.add(
            &format!("{count} labs at once: at most half more a lab"),
            format!("{growth:.2}"),
            growth <= 1.5,
        );
    }
    Ok(())
}

fn cost(count: usize) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut alive = Vec::with_capacity(count);
    for _ in 0..count {
        let lab = one_lab()?;
        let sockets = connect_in(&lab)?;
        alive.push((sockets, lab));
    }
    drop(alive);
    Ok(start.elapsed() / count as u32)
}
