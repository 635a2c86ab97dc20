//! Measures what joining, blocking and filtering a cable costs. Needs root.
//!
//! `cargo run --example filter_timing`

use std::time::{Duration, Instant};

use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_lab::internal::{Clsact, PortRef, Side};
use halfopen_lab::{Action, Filter, Hook, Match};

const ROUNDS: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        let ns = Namespace::create("wire")?;
        let (pa, pb) = runtime.block_on(veth(&ns))?;
        round(&mut times, &ns, &pa, &pb)?;
    }
    for (what, mut all) in times.0 {
        all.sort();
        println!(
            "{what:44} median {:>9.1?}  worst {:>9.1?}",
            all[all.len() / 2],
            all[all.len() - 1]
        );
    }
    Ok(())
}

fn round(t: &mut Times, ns: &Namespace, pa: &PortRef, pb: &PortRef) -> Result<(), LabError> {
    let mut filter = t.time("open", || Filter::open(ns))?;
    t.time("join one cable", || filter.join(&[(pa, pb)]))?;
    t.time("join it again", || filter.join(&[(pa, pb)]))?;
    t.time("block both ends", || {
        filter.block(&[("pa", true), ("pb", true)])
    })?;
    t.time("unblock both ends", || {
        filter.block(&[("pa", false), ("pb", false)])
    })?;
    let rule = Match {
        tcp_flags_set: 2,
        count: Some(3),
        ..Match::default()
    };
    let port = Hook::Port("pa".into());
    let id = t.time("add a rule", || {
        filter.add(port.clone(), &rule, Action::Drop)
    })?;
    t.time("read its counter", || filter.packets(id))?;
    t.time("remove it", || filter.remove(id))?;
    let id = t.time("add a rule at output", || {
        filter.add(Hook::Output, &rule, Action::Drop)
    })?;
    t.time("remove it from output", || filter.remove(id))?;
    t.time("a refused change", || {
        filter.add(Hook::Port("none".into()), &rule, Action::Drop)
    })
    .ok();
    t.time("close after a removal", || drop(filter));

    let lo = 1;
    let mut tc = t.time("tc: open", || Clsact::open(ns))?;
    let rule = Match {
        tcp_flags_set: 2,
        ..Match::default()
    };
    t.time("tc: prepare a device that is down", || tc.prepare(lo))?;
    t.time("tc: prepare it again", || tc.prepare(lo))?;
    let mut add =
        |t: &mut Times, what| t.time(what, || tc.add_drop(pa.ifindex, Side::Egress, &rule));
    let first = add(t, "tc: add a first rule (with qdisc)")?;
    let second = add(t, "tc: add a second rule")?;
    t.time("tc: remove a rule", || tc.remove(second))?;
    t.time("tc: remove the last rule", || tc.remove(first))?;
    Ok(())
}

/// Times by operation, in the order of first use.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<Duration>)>);

impl Times {
    fn time<R>(&mut self, what: &'static str, f: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = f();
        let took = start.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
        result
    }
}

async fn veth(ns: &Namespace) -> Result<(PortRef, PortRef), Box<dyn std::error::Error>> {
    let (connection, handle, _) = ns.enter(rtnetlink::new_connection)??;
    let worker = tokio::spawn(connection);
    let link = rtnetlink::LinkVeth::new("pa", "pb").up().build();
    handle.link().add(link).execute().await?;
    let port = |name: &str| -> Result<PortRef, Box<dyn std::error::Error>> {
        let ifindex = ns.enter(|| nix::net::if_::if_nametoindex(name))??;
        Ok(PortRef {
            name: name.to_owned(),
            ifindex,
        })
    };
    let ports = (port("pa")?, port("pb")?);
    let peer = rtnetlink::LinkUnspec::new_with_name("pb").up().build();
    handle.link().change(peer).execute().await?;
    worker.abort();
    Ok(ports)
}
