//! The guest's side of a run: what it prepares, and its cases.

use std::net::{TcpListener, TcpStream};

use super::order::{Order, Said};
use super::settings::NAMESPACES;
use super::size::needed_namespaces;
use halfopen_lab::Lab;
use halfopen_lab::LabError;
use halfopen_net::error::chain;
use halfopen_runner::{self, Stage};
use halfopen_scenario::case::{Case, Family};

/// Of [`warm_up`]: two hosts and the wire.
const WARM_UP_NAMESPACES: usize = 3;

/// Connects once, so that what the kernel does at its first connection is not done
/// within a case: 6 ms for tables of random numbers (__inet_hash_connect()), for one.
fn warm_up() -> Result<(), LabError> {
    let builder = Lab::builder().host("client").host("server");
    let lab = builder
        .cable("client", "server")
        .families(&[Family::Ipv4])
        .build()?;
    let server = (lab.address("server", Family::Ipv4)?, 7);
    let failed = |e| LabError::system("connect", e);
    let listener = lab.enter("server", || TcpListener::bind(server))?;
    let client = lab.enter("client", || TcpStream::connect(server))?;
    drop((client.map_err(failed)?, listener.map_err(failed)?));
    lab.leak_namespaces();
    Ok(())
}

/// What needs no case: namespaces, as many as the kernel's command line says, and a
/// connection. Returns how many namespaces there are.
fn prepare() -> usize {
    let words = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let number = words
        .split_whitespace()
        .find_map(|word| word.strip_prefix(NAMESPACES)?.parse().ok())
        .unwrap_or(0);
    halfopen_lab::internal::prepare_dedicated_machine(number + WARM_UP_NAMESPACES);
    if let Err(e) = warm_up() {
        // What is in the way of it is in the way of a case, which says so.
        eprintln!(
            "halfopen guest: no connection before the cases: {}",
            chain(&e)
        );
    }
    number
}

/// What a guest does: runs the cases it was given. For [`super::guest::serve_if_guest`].
///
/// # Errors
/// When it was given something else, or cannot run anything at all.
pub fn work(
    input: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    say: &mut dyn FnMut(&[u8]),
) -> Result<(), String> {
    let prepared = prepare();
    let order: Order<Case> =
        serde_json::from_slice(&input()?).map_err(|e| format!("read the cases: {e}"))?;
    let needed = needed_namespaces(&order.cases);
    halfopen_lab::internal::fill_pool(needed.saturating_sub(prepared));
    let options = halfopen_runner::Options {
        jobs: order.jobs,
        sysctls: order.sysctls,
        privileges: "root".into(),
        interrupt: None,
        virtual_time: order.virtual_time,
        ..halfopen_runner::Options::default()
    };
    let mut tell = |said: &Said| {
        // Plain data; what cannot be said is missed by the host.
        let _ = postcard::to_stdvec(said).map(|message| say(&message));
    };
    let done = halfopen_runner::run_each(
        &order.cases,
        &options,
        &|_, ended| ended,
        &mut |index, stage| {
            tell(&match stage {
                Stage::Started => Said::Started(index),
                Stage::Ended(ended) => Said::Ended(index, ended),
            });
        },
    )
    .map_err(|e| chain(&e))?;
    let environment = serde_json::to_string(&done.environment);
    tell(&Said::Environment(environment.map_err(|e| e.to_string())?));
    Ok(())
}
