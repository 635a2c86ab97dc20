//! Plans are computed, or refused. No root needed.

use super::{RoutePlan, Topology};
use halfopen_net::{Family, Network, Node, NodeKind};

fn network(nodes: &[(&str, NodeKind)], cables: &[(&str, &str)]) -> Network {
    Network {
        name: "test".into(),
        nodes: nodes
            .iter()
            .map(|(name, kind)| Node {
                name: (*name).into(),
                kind: *kind,
            })
            .collect(),
        cables: cables
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect(),
        nats: Vec::new(),
    }
}

use NodeKind::{Host, Router, Switch};

#[test]
fn a_chain_of_routers_has_shortest_routes() {
    let plan = network(
        &[("c", Host), ("r1", Router), ("r2", Router), ("s", Host)],
        &[("c", "r1"), ("r1", "r2"), ("r2", "s")],
    );
    let t = Topology::of(&plan, &[Family::Ipv4]).expect("a good plan");
    let routes = |n: usize| -> Vec<String> {
        let one = |r: &RoutePlan| format!("{}/{} via {}", r.destination.0, r.destination.1, r.via);
        t.nodes[n].routes.iter().map(one).collect()
    };
    assert_eq!(routes(0), ["0.0.0.0/0 via 10.77.1.2"]);
    assert_eq!(routes(1), ["10.77.3.0/24 via 10.77.2.3"]);
    assert_eq!(routes(2), ["10.77.1.0/24 via 10.77.2.2"]);
    assert_eq!(routes(3), ["0.0.0.0/0 via 10.77.3.3"]);
}

#[test]
fn a_switch_makes_one_segment_and_has_no_addresses() {
    let plan = network(
        &[("sw", Switch), ("a", Host), ("b", Host)],
        &[("a", "sw"), ("b", "sw")],
    );
    let t = Topology::of(&plan, &[Family::Ipv4, Family::Ipv6]).expect("a good plan");
    assert!(t.nodes[0].interfaces.iter().all(|i| i.addresses.is_empty()));
    let of = |n: usize| t.nodes[n].interfaces[0].addresses.clone();
    assert_eq!(of(1)[0].0.to_string(), "10.77.1.2");
    assert_eq!(of(2)[1].0.to_string(), "fd77:1::3");
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let refused = |nodes: &[(&str, NodeKind)], cables: &[(&str, &str)]| {
        Topology::of(&network(nodes, cables), &[Family::Ipv4])
            .err()
            .map(|e| e.to_string())
            .expect("refused")
    };
    let loops = refused(&[("a", Switch), ("b", Switch)], &[("a", "b"), ("a", "b")]);
    assert!(loops.contains("loop"), "{loops}");
    let twice = refused(&[("a", Host), ("s", Switch)], &[("a", "s"), ("a", "s")]);
    assert!(
        twice.contains("two cables") || twice.contains("loop"),
        "{twice}"
    );
    assert!(refused(&[("a", Host)], &[("a", "a")]).contains("itself"));
    assert!(refused(&[("a", Host)], &[("a", "b")]).contains("no node `b`"));
    assert!(refused(&[("wire", Host)], &[]).contains("wire"));
}
