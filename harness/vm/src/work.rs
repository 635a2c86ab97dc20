//! The guest's side of a run: prepares namespaces and a first connection, then runs the
//! cases of the [`Request`] that the host has written. [`super::guest`] calls it in the
//! guest.

use std::net::{TcpListener, TcpStream};

use super::command;
use super::guest::Link;
use super::programs;
use super::protocol::{GuestMessage, Input};
use super::settings::NAMESPACES;
use super::size::needed_namespaces;
use halfopen_lab::Lab;
use halfopen_lab::LabError;
use halfopen_net::error::chain;
use halfopen_runner::{self, Stage};
use halfopen_scenario::case::{Case, Family};

/// Namespaces that [`warm_up`] uses: two hosts and the wire.
const WARM_UP_NAMESPACES: usize = 3;

/// Connects once, so that what the kernel does at its first connection is not done
/// within a case: for one, 6 ms to fill tables of random numbers
/// (__inet_hash_connect()).
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

/// Prepares what does not depend on the cases: as many namespaces as the kernel's
/// command line says, and a connection. Returns the number of namespaces.
fn prepare() -> usize {
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let namespaces = command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(NAMESPACES)?.parse().ok())
        .unwrap_or(0);
    halfopen_lab::internal::prepare_dedicated_machine(namespaces + WARM_UP_NAMESPACES);
    if let Err(e) = warm_up() {
        // A case fails for the same reason, and reports it.
        eprintln!(
            "halfopen guest: no connection before the cases: {}",
            chain(&e)
        );
    }
    namespaces
}

/// The guest's work: runs the cases, or the command, of its input. For [`super::guest::serve_if_guest`].
///
/// # Errors
/// When the input is not a request, or when no case can be run at all.
pub fn work(
    input: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    send: &mut dyn FnMut(&[u8]),
    link: &Link,
) -> Result<(), String> {
    let prepared = prepare();
    let input = input()?;
    let (request, rest) = postcard::take_from_bytes::<Input<Case>>(&input)
        .map_err(|e| format!("read the request: {e}"))?;
    let request = match request {
        Input::Cases(request) => request,
        Input::Command(request) => {
            let ended = command::serve(request, link)?;
            let ended = postcard::to_stdvec(&ended).map_err(|e| e.to_string())?;
            send(&ended);
            return Ok(());
        }
    };
    programs::unpack(rest).map_err(|e| format!("unpack the programs: {e}"))?;
    drop(input);
    let needed = needed_namespaces(&request.cases);
    halfopen_lab::internal::fill_pool(needed.saturating_sub(prepared));
    let options = halfopen_runner::Options {
        jobs: request.jobs,
        sysctls: request.sysctls,
        privileges: "root".into(),
        interrupt: None,
        virtual_time: request.virtual_time,
        explain: request.explain,
        ..halfopen_runner::Options::default()
    };
    let mut send_message = |message: &GuestMessage| {
        // Serializing plain data does not fail; the host reports a case whose message
        // is missing.
        let _ = postcard::to_stdvec(message).map(|bytes| send(&bytes));
    };
    let done = halfopen_runner::run_each(
        &request.cases,
        &options,
        &|_, ended| ended,
        &mut |index, stage| {
            send_message(&match stage {
                Stage::Started => GuestMessage::Started(index),
                Stage::Ended(ended) => GuestMessage::Ended(index, ended),
            });
        },
    )
    .map_err(|e| chain(&e))?;
    let environment = serde_json::to_string(&done.environment);
    send_message(&GuestMessage::Environment(
        environment.map_err(|e| e.to_string())?,
    ));
    Ok(())
}
