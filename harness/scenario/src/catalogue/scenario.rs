//! Expands a scenario into its cases: one at every point of its matrix.

use super::table::{CLOCKS, FAMILIES, SCENARIO};
use indexmap::IndexMap;

use std::time::Duration;

use super::settings::{detector_on, give_up, plain, setting, texts, watch, watch_by_default};
use super::{check, matrix};
use crate::case::{Case, Clock, Detector, Family, Lane, Network, Sign};
use crate::lane::{self, Declared};
use crate::scene::{self, Marks, Scene};
use crate::yaml::{Axes, Decoder, Fields, Findings, Key, Node, Point, Problem, Span, Value, name};
use crate::{detector, event, network, sign, sysctl};

/// What a file declares for its scenarios.
pub struct Declarations {
    /// Detectors by name.
    pub detectors: IndexMap<String, Detector>,
    /// Networks by name. None: the file's declaration has a mistake.
    pub networks: IndexMap<String, Option<Network>>,
}

/// The cases of a scenario, or all its mistakes. `room` is how many more cases the
/// file may have.
pub fn scenario(
    declarations: &Declarations,
    key: &Key,
    node: &Node,
    room: usize,
) -> Result<Vec<Case>, Vec<Problem>> {
    let findings = Findings::default();
    let empty = Point::new();
    let no_axes = Axes::new();
    let dec = Decoder {
        findings: &findings,
        axes: &no_axes,
        point: &empty,
        id: "",
    };
    if let Err(refusal) = name::kebab(&key.name) {
        dec.problem(name::not_kebab(key.span, refusal));
    }
    let Some(mut fields) = dec.mapping(node, &SCENARIO) else {
        return Err(findings.into_problems(1));
    };
    // A missing key is shown at the scenario's name, not at its first key.
    fields.span = key.span;
    let (axes, valid) = matrix::axes(&dec, &fields);
    let points = match valid {
        true => matrix::points(&findings, &axes, &fields, room),
        false => None,
    };
    let Some(points) = points else {
        beside_the_matrix(&findings, declarations, key, &fields, &axes);
        return Err(findings.into_problems(1));
    };
    let mut cases = Vec::new();
    for point in &points {
        let id = id(&key.name, point);
        let dec = Decoder {
            findings: &findings,
            axes: &axes,
            point,
            id: &id,
        };
        if let Some(case) = case(&dec, declarations, key, &fields) {
            cases.push(case);
        }
    }
    // After other mistakes, parts were not decoded that may use axes and conditions.
    if !findings.any() && cases.len() == points.len() {
        for span in findings.unmet_conditions() {
            dec.problem(
                Problem::new(span, "this `when` matches no case")
                    .expected("values that occur together in the matrix"),
            );
        }
        for span in findings.unreachable_signs() {
            dec.problem(
                Problem::new(
                    span,
                    "this is never reached: an earlier sign always matches first",
                )
                .expected("the general sign after the special ones"),
            );
        }
        matrix::unused(&dec, &findings, &fields, false);
    } else {
        matrix::unused(&dec, &findings, &fields, true);
    }
    if findings.any() {
        Err(findings.into_problems(points.len()))
    } else {
        Ok(cases)
    }
}

/// Notes what is wrong besides the matrix, at its first point: the matrix cannot be
/// expanded. What has to do with axes may follow from that.
fn beside_the_matrix<'a>(
    findings: &Findings,
    declarations: &Declarations,
    key: &Key,
    fields: &Fields<'a>,
    axes: &Axes<'a>,
) {
    let firsts = axes
        .iter()
        .filter_map(|(axis, values)| Some((*axis, values.first()?)));
    let point: Point<'a> = firsts.collect();
    let trial = Findings::default();
    let dec = Decoder {
        findings: &trial,
        axes,
        point: &point,
        id: "",
    };
    case(&dec, declarations, key, fields);
    let of_axis = |span: &Span| {
        axes.values()
            .flat_map(|values| *values)
            .any(|v| v.span == *span)
    };
    for problem in trial.into_problems(1) {
        if !problem.message.contains("axis") && !of_axis(&problem.span) {
            findings.note(problem, "");
        }
    }
}

/// `scenario` or `scenario/axis=value,axis=value`.
fn id(scenario: &str, point: &Point<'_>) -> String {
    let axes: Vec<String> = point
        .iter()
        .filter_map(|(axis, node)| Some(format!("{axis}={}", plain(node)?)))
        .collect();
    if axes.is_empty() {
        scenario.to_owned()
    } else {
        format!("{scenario}/{}", axes.join(","))
    }
}

fn case<'a>(
    dec: &Decoder<'a, '_>,
    declarations: &Declarations,
    key: &Key,
    fields: &Fields<'a>,
) -> Option<Case> {
    let about = match fields.get("about") {
        None => Some(String::new()),
        Some(node) => dec.text(node, "one sentence on what happens"),
    };
    let notes = match fields.get("notes") {
        None => Some(None),
        Some(node) => dec.text(node, "text").map(Some),
    };
    let source = texts(dec, fields.get("source"));
    let give_up = give_up(dec, fields);
    let clock = fields
        .get("clock")
        .map_or(Some(Clock::Any), |node| dec.choose(node, "clock", &CLOCKS));
    let family = setting(dec, fields, "family").map_or(Some(Family::Ipv4), |node| {
        dec.choose(node, "address family", &FAMILIES)
    });
    let network = match setting(dec, fields, "network") {
        None => declarations.networks.get("link").cloned().flatten(),
        Some(node) if matches!(node.value, Value::Map(_)) => {
            dec.problem(
                Problem::new(node.span, "a network is used by its name")
                    .expected("a name such as `lan`")
                    .help("declare it under `networks:` at the top of the file, and name it here"),
            );
            None
        }
        // A network with a mistake of its own is known, but cannot be used.
        Some(node) => dec
            .known(
                node,
                "network",
                declarations.networks.keys().map(String::as_str),
            )
            .and_then(|name| declarations.networks.get(&name).cloned().flatten()),
    };
    let given = setting(dec, fields, "detector")
        .map(|node| detector::named(dec, &declarations.detectors, node));
    let declared = lane::declared(dec, fields)?;
    let names: Vec<String> = declared
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let given_to = detector_on(
        dec,
        fields,
        &names,
        matches!(&given, Some(Some((name, _))) if name != "none"),
    );
    let book = sign::sign(dec, fields.get("book"), &names, sign::Source::Book);
    let expect = sign::sign(dec, fields.get("expect"), &names, sign::Source::Expectation);
    let watch = watch(dec, fields, &names);
    let known = Known {
        about,
        source,
        book,
        expect,
        notes,
        family,
        watch,
        give_up,
        clock,
        names,
        given,
        given_to,
    };
    let Some(network) = network else {
        in_any_network(dec, declarations, key, fields, &known);
        return None;
    };
    in_network(dec, declarations, key, fields, known, network)
}

/// What a case consists of besides what refers to its network. None: a mistake was
/// noted.
#[derive(Clone)]
#[allow(clippy::option_option)]
struct Known {
    about: Option<String>,
    source: Option<Vec<String>>,
    book: Option<Option<Sign>>,
    expect: Option<Option<Sign>>,
    notes: Option<Option<String>>,
    family: Option<Family>,
    watch: Option<Vec<String>>,
    give_up: Option<Duration>,
    clock: Option<Clock>,
    names: Vec<String>,
    given: Option<Option<(String, Detector)>>,
    given_to: Option<Vec<String>>,
}

/// Notes what is wrong in whichever network: the one that the scenario names is not
/// known. Each network that there is is tried, and what all of them refuse is noted.
fn in_any_network<'a>(
    dec: &Decoder<'a, '_>,
    declarations: &Declarations,
    key: &Key,
    fields: &Fields<'a>,
    known: &Known,
) {
    let mut in_all: Option<Vec<Problem>> = None;
    for network in declarations.networks.values() {
        // A network with a mistake of its own may be the one that is meant.
        let network = match network {
            Some(network) => network.clone(),
            None => return,
        };
        let findings = Findings::default();
        let trial = Decoder {
            findings: &findings,
            ..*dec
        };
        in_network(&trial, declarations, key, fields, known.clone(), network);
        let here = findings.into_problems(1);
        in_all = Some(match in_all {
            None => here,
            Some(mut before) => {
                before.retain(|problem| here.iter().any(|other| other.span == problem.span));
                before
            }
        });
    }
    for problem in in_all.unwrap_or_default() {
        dec.problem(problem);
    }
}

fn in_network<'a>(
    dec: &Decoder<'a, '_>,
    declarations: &Declarations,
    key: &Key,
    fields: &Fields<'a>,
    known: Known,
    mut network: Network,
) -> Option<Case> {
    let Known {
        about,
        source,
        book,
        expect,
        notes,
        family,
        watch,
        give_up,
        clock,
        names,
        given,
        given_to,
    } = known;
    let declared = lane::declared(dec, fields)?;
    // Faults refer to it, so it is decoded first.
    let nat = fields
        .get("nat")
        .map(|node| network::nat(dec, &network, node));
    let nat_is_valid = !matches!(nat, Some(None));
    network.nats.extend(nat.flatten());
    let sysctls = sysctl::by_host(dec, &network, fields.get("sysctls"));
    let mut scene = Scene {
        network,
        // A mistake in the family is noted already; addresses are checked against one.
        family: family.unwrap_or(Family::Ipv4),
        lanes: names,
        marks: Marks::default(),
        nat_is_wrong: !nat_is_valid,
    };
    let given_is_valid = !matches!(given, Some(None));
    let lanes = lanes(
        dec,
        declarations,
        &mut scene,
        given.flatten(),
        given_to.as_deref().unwrap_or(&[]),
        declared,
        given_is_valid.then(|| fields.key("detector_on").unwrap_or(fields.span)),
    );
    if !nat_is_valid {
        return None;
    }
    let (events, timings) = event::events(dec, &mut scene, fields.get("faults"));
    scene.marks.check(dec);
    scene::check_timings(dec, &timings, give_up);
    let events = events?;
    let names = check::Names {
        lanes: &scene.lanes,
        network: &scene.network,
        events: &events,
    };
    let checks = check::checks(dec, fields.get("checks"), &names);
    given_to.filter(|_| given_is_valid)?;
    let mut case = Case {
        id: dec.id.to_owned(),
        scenario: key.name.clone(),
        axes: dec
            .point
            .iter()
            .filter_map(|(axis, node)| Some(((*axis).to_owned(), plain(node)?.to_owned())))
            .collect(),
        about: about?,
        source: source?,
        book: book?,
        expect: expect?,
        checks: checks?,
        notes: notes?,
        network: scene.network,
        family: family?,
        sysctls: sysctls?,
        lanes: lanes?,
        events,
        watch: watch?,
        give_up: give_up?,
        clock: clock?,
        line: key.span.line,
    };
    event::check_first_byte(
        dec,
        &case,
        fields.get("expect").or_else(|| fields.get("book")),
    )?;
    lane::open_inputs(&mut case);
    if case.watch.is_empty() {
        case.watch = watch_by_default(&case);
    }
    event::check_sleepers(dec, &case, fields.key("watch").unwrap_or(fields.span))?;
    Some(case)
}

fn lanes<'a>(
    dec: &Decoder<'a, '_>,
    declarations: &Declarations,
    scene: &mut Scene,
    given: Option<(String, Detector)>,
    given_to: &[String],
    declared: Vec<Declared<'a>>,
    senders_at: Option<Span>,
) -> Option<Vec<Lane>> {
    let mut lanes = Vec::new();
    let mut valid = true;
    for declared in declared {
        let given = given
            .clone()
            .filter(|_| given_to.iter().any(|name| name == declared.0));
        match lane::lane(dec, scene, &declarations.detectors, given, declared) {
            Some(decoded) => lanes.push(decoded),
            None => valid = false,
        }
    }
    if !valid {
        return None;
    }
    lane::find_servers(&mut lanes);
    lane::find_peers(dec, &mut lanes);
    let lanes: Vec<_> = lanes.into_iter().map(|decoded| decoded.lane).collect();
    if let Some(at) = senders_at {
        lane::check_senders(dec, at, &lanes)?;
    }
    Some(lanes)
}
