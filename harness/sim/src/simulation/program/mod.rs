//! Programs: the lanes' scripts, step by step and call by call, as endpoints execute them.
//!
//! A script is an async function whose calls wait for the simulation. Only [`sys`] touches
//! the kernel's side.

mod beat;
mod connections;
mod event_loop;
mod io;
mod script;
mod serve;
mod sys;

use std::cell::RefCell;
use std::rc::Rc;

use super::{ProcessId, Sim, SockId, Task};
use halfopen_scenario::case::Step;
use script::Script;
use sys::Sys;

/// What a new process does.
pub(super) enum Start<'a> {
    /// The lane's script.
    Lane,
    /// A forked child serves a connection, and ends.
    Child {
        each: &'a [Step],
        sock: SockId,
        name: Option<String>,
    },
}

/// The task of a process.
pub(super) fn task<'a>(sim: Rc<RefCell<Sim<'a>>>, id: ProcessId, start: Start<'a>) -> Task<'a> {
    let sys = Sys::new(sim, id);
    Box::pin(async move {
        let lane = sys.lane();
        let mut script = Script::new(sys, lane);
        match start {
            Start::Lane => {
                script.run(&lane.steps).await;
            }
            Start::Child { each, sock, name } => {
                script.adopt(sock, name);
                script.run(each).await;
                script.sys.exit();
            }
        }
    })
}
