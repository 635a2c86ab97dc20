//! The model of a line, measured.

use super::*;
use halfopen_net::{Loss, Mtu};

const MS: i64 = 1_000_000;

fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame
}

fn line(what: Impairment) -> Line {
    Line::new(what, 1)
}

fn dues(line: &mut Line, at_ns: i64, length: usize) -> Vec<i64> {
    let fate = line.fate(at_ns, &frame(length), 0);
    fate.copies.iter().map(|copy| copy.due_ns).collect()
}

#[test]
fn a_line_that_does_nothing_delivers_at_once() {
    assert_eq!(dues(&mut line(Impairment::default()), 5, 100), [5]);
}

#[test]
fn jitter_is_evenly_spread_around_the_delay() {
    let mut line = line(Impairment {
        delay: Some(Duration::from_millis(80)),
        jitter: Some(Duration::from_millis(20)),
        ..Impairment::default()
    });
    const N: usize = 10_000;
    let all: Vec<f64> = (0..N)
        .flat_map(|_| dues(&mut line, 0, 100))
        .map(|due| due as f64 / MS as f64)
        .collect();
    assert!(all.iter().all(|ms| (60.0..100.0).contains(ms)));
    let mean = all.iter().sum::<f64>() / N as f64;
    let variance = all.iter().map(|ms| (ms - mean).powi(2)).sum::<f64>() / N as f64;
    // Of an even spread: 20 / sqrt(3) = 11.55; five standard errors.
    assert!(
        (mean - 80.0).abs() < 5.0 * 11.55 / (N as f64).sqrt(),
        "{mean}"
    );
    assert!((variance.sqrt() - 11.55).abs() < 0.4, "{variance}");
}

#[test]
fn loss_is_within_its_binomial_interval_and_bursts_are_as_long_as_asked() {
    const N: usize = 100_000;
    for burst in [None, Some(4.0)] {
        let mut line = line(Impairment {
            loss: Some(Loss { rate: 0.05, burst }),
            ..Impairment::default()
        });
        let lost: Vec<bool> = (0..N)
            .map(|_| line.fate(0, &frame(100), 0).copies.is_empty())
            .collect();
        let count = lost.iter().filter(|lost| **lost).count() as f64;
        let length = burst.unwrap_or(1.0);
        // Bursts make the count vary by about twice their length more.
        let sigma = (N as f64 * 0.05 * 0.95 * 2.0 * length).sqrt();
        assert!((count - 5000.0).abs() < 5.0 * sigma, "{burst:?}: {count}");
        let bursts = lost.windows(2).filter(|w| !w[0] && w[1]).count() as f64;
        let mean = count / bursts;
        let expected = burst.unwrap_or(1.0 / 0.95);
        assert!((mean - expected).abs() < 0.25, "{burst:?}: {mean}");
    }
}

#[test]
fn a_rate_spaces_frames_and_a_full_queue_drops() {
    let mut line = line(Impairment {
        rate: Some(8_000_000),
        queue: Some(2),
        ..Impairment::default()
    });
    // 1000 bytes at 8 Mbit/s take a millisecond.
    assert_eq!(dues(&mut line, 0, 1000), [MS]);
    assert_eq!(dues(&mut line, 0, 1000), [2 * MS]);
    assert_eq!(line.fate(0, &frame(1000), 2), Fate::default());
    assert_eq!(dues(&mut line, 10 * MS, 500), [10 * MS + MS / 2]);
}

#[test]
fn what_is_not_delayed_overtakes() {
    let mut line = line(Impairment {
        delay: Some(Duration::from_millis(80)),
        reorder: Some(0.25),
        ..Impairment::default()
    });
    let all: Vec<i64> = (0..1000).flat_map(|_| dues(&mut line, 0, 100)).collect();
    assert!(all.iter().all(|due| [0, 80 * MS].contains(due)));
    let early = all.iter().filter(|due| **due == 0).count();
    assert!((182..=318).contains(&early), "{early}");
}

#[test]
fn duplicates_and_flipped_bits() {
    let mut line = line(Impairment {
        duplicate: Some(1.0),
        corrupt: Some(1.0),
        ..Impairment::default()
    });
    let fate = line.fate(7, &frame(60), 0);
    assert_eq!(fate.copies.len(), 2);
    for copy in fate.copies {
        assert_eq!(copy.due_ns, 7);
        let bit = copy.flipped.expect("every copy is hit");
        assert!((ETHERNET * 8..60 * 8).contains(&bit));
    }
}

#[test]
fn only_large_ip_packets_fall_into_the_hole() {
    let mut line = line(Impairment {
        mtu: Some(Mtu {
            size: 1400,
            icmp: false,
        }),
        ..Impairment::default()
    });
    assert_eq!(dues(&mut line, 0, 1414), [0]);
    assert_eq!(line.fate(0, &frame(1415), 0), Fate::default());
    let mut arp = frame(1415);
    arp[13] = 6;
    assert_eq!(line.fate(0, &arp, 0).copies.len(), 1);
}

#[test]
fn the_same_seed_does_the_same() {
    let fates = |seed| {
        let what = Impairment {
            loss: Some(Loss {
                rate: 0.5,
                burst: None,
            }),
            ..Impairment::default()
        };
        let mut line = Line::new(what, seed);
        let fate = |_| line.fate(0, &frame(60), 0).copies.len();
        (0..64).map(fate).collect::<Vec<_>>()
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
}
