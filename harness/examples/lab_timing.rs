//! How long a lab takes: two hosts and the wire between them, up, one TCP
//! connection, down. Needs root or a user namespace.
//!
//! `cargo run --example lab_timing [ROUNDS [FAMILY...]]`

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use halfopen::lab::Lab;
use halfopen::scenario::case::Family;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let rounds: usize = args.next().map_or(Ok(30), |n| n.parse())?;
    let mut families: Vec<Family> = args
        .map(|f| {
            if f == "ipv6" {
                Family::Ipv6
            } else {
                Family::Ipv4
            }
        })
        .collect();
    if families.is_empty() {
        families.push(Family::Ipv4);
    }
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..rounds {
        let round = one(&families)?;
        let total = round.iter().sum();
        for (column, time) in times.iter_mut().zip(round.into_iter().chain([total])) {
            column.push(time);
        }
    }
    for (name, column) in ["up", "connect", "down", "total"]
        .into_iter()
        .zip(&mut times)
    {
        column.sort_unstable();
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        println!(
            "{name:8} median {:6.2} ms   min {:6.2}   max {:6.2}",
            ms(column[column.len() / 2]),
            ms(column[0]),
            ms(column[column.len() - 1]),
        );
    }
    Ok(())
}

fn one(families: &[Family]) -> Result<[Duration; 3], Box<dyn Error>> {
    let start = Instant::now();
    let lab = Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .families(families)
        .build()?;
    let up = start.elapsed();
    let server = (lab.address("server", families[0])?, 7000);
    let listener = lab.enter("server", || TcpListener::bind(server))??;
    let client = lab.enter("client", || TcpStream::connect(server))??;
    let connected = start.elapsed();
    drop((client, listener));
    drop(lab);
    Ok([up, connected - up, start.elapsed() - connected])
}
