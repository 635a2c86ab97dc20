//! Decodes a lane that is a program, and finds which programs others connect to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::program_table::{PROGRAM, READY, STDIN};
use super::words;
use super::{Declared, Decoded};
use crate::case::{
    Action, Case, Detector, Disposition, EventAction, FOLDER, Input, Lane, NodeKind, Observe,
    Program, Ready, Step, all_steps,
};
use crate::scene::Scene;
use crate::sign;
use crate::yaml::{Decoder, Node, Problem, Refusal, Value, name, scalar};

const COMMAND: &str = "a command such as `[redis-cli, PING]`, or `\"redis-cli PING\"`";
const READINESS: &str = "`{ listening: 7000 }`, `{ output: TEXT }`, `{ after: 1s }` or `listening`";

/// Decodes a program. `given` is the scenario's detector if this lane gets it.
pub(super) fn program<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    given: Option<(String, Detector)>,
    (name, span, node): Declared<'a>,
) -> Option<Decoded> {
    let fields = dec.mapping(node, &PROGRAM)?;
    let host = super::host(dec, scene, &fields, name, span);
    if let Some((detector, _)) = given.filter(|(detector, _)| detector != "none") {
        dec.problem(
            Problem::new(
                span,
                format!("the lane `{name}` is a program, which sets its detector itself; `{detector}` cannot be given to it"),
            )
            .expected("the program's own options, or `sysctls:` of its host"),
        );
        return None;
    }
    let count = fields.get("count").map_or(Some(1), |node| {
        dec.scalar(node, "how many of it, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1000)
        })
    });
    let run = dec
        .needed(&fields, "run")
        .and_then(|node| command(dec, scene, node));
    let prepare = match fields.get("prepare") {
        None => Some(Vec::new()),
        Some(node) => dec
            .list(node, "a list of commands")?
            .iter()
            .map(|node| command(dec, scene, node))
            .collect(),
    };
    let ready = match fields.get("ready") {
        None => Some(None),
        Some(node) => ready(dec, node).map(Some),
    };
    let stop = match fields.get("stop") {
        None => Some(None),
        Some(node) => dec
            .scalar(node, "the name of a signal such as `INT`", sign::signal)
            .map(Some),
    };
    let cwd = match fields.get("cwd") {
        None => Some(None),
        Some(node) => path(dec, node).map(Some),
    };
    let files = match fields.get("files") {
        None => Some(Vec::new()),
        Some(node) => dec
            .list(node, "a list of paths")?
            .iter()
            .map(|node| path(dec, node))
            .collect(),
    };
    let user = match fields.get("user") {
        None => Some(None),
        Some(node) => dec.text(node, "a user's name or number").map(Some),
    };
    let env = match fields.get("env") {
        None => Some(BTreeMap::new()),
        Some(node) => env(dec, scene, node),
    };
    let stdin = fields
        .get("stdin")
        .map_or(Some(Input::Null), |node| stdin(dec, node));
    let observe = match fields.get("observe") {
        None => Some(Observe::default()),
        Some(node) => dec.scalar(node, "`calls` or `wire`", |text| match text {
            "calls" => Ok(Observe::Calls),
            "wire" => Ok(Observe::Wire),
            _ => Err(Refusal::new(format!("nothing is observed by `{text}`"))),
        }),
    };
    let lane = Lane {
        name: name.to_owned(),
        host: host?,
        count: count?,
        detector: Detector::default(),
        detector_name: "none".to_owned(),
        sigpipe: Disposition::Default,
        sigterm: Disposition::Default,
        steps: Vec::new(),
        program: Some(Program {
            run: run?,
            ready: ready?,
            stop: stop?,
            env: env?,
            cwd: cwd?,
            user: user?,
            stdin: stdin?,
            prepare: prepare?,
            files: files?,
            observe: observe?,
            echo: false,
        }),
    };
    Some(Decoded {
        lane,
        bare_connects: Vec::new(),
    })
}

fn command<'a>(dec: &Decoder<'a, '_>, scene: &Scene, node: &'a Node) -> Option<Vec<String>> {
    let words = match &node.value {
        Value::List(list) => list.iter().map(|node| text(dec, scene, node)).collect(),
        _ => {
            let text = text(dec, scene, node)?;
            match words::split(&text) {
                Ok(words) => Some(words),
                Err(refusal) => {
                    dec.problem(
                        Problem::new(node.span, refusal.message)
                            .expected(COMMAND)
                            .maybe_help(refusal.help),
                    );
                    None
                }
            }
        }
    }?;
    if words.first().is_none_or(|program| program.is_empty()) {
        dec.problem(Problem::new(node.span, "there is nothing to run").expected(COMMAND));
        return None;
    }
    Some(words)
}

/// A text with its axes replaced; `${host}` is left for the time when addresses
/// are known.
fn text<'a>(dec: &Decoder<'a, '_>, scene: &Scene, node: &'a Node) -> Option<String> {
    let Value::Scalar(text) = &node.value else {
        dec.problem(
            Problem::new(node.span, format!("{} where a word belongs", node.kind()))
                .expected("text; quote it if it looks like something else"),
        );
        return None;
    };
    let hosts = scene.network.names(&[NodeKind::Host]);
    let mut result = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        result.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            dec.problem(
                Problem::new(node.span, format!("`${{` without `}}` in `{text}`"))
                    .expected("`${host}`, `${axis}` or `${folder}`"),
            );
            return None;
        };
        if hosts.clone().any(|host| host == name) || name == "folder" {
            result.push_str(&format!("${{{name}}}"));
        } else if let Some(Value::Scalar(value)) = dec.axis(name).map(|node| &node.value) {
            result.push_str(value);
        } else {
            let known = || hosts.clone().chain(dec.axes.keys().copied());
            dec.problem(
                Problem::new(
                    node.span,
                    format!("`${{{name}}}` is neither a host nor an axis"),
                )
                .expected(name::one_of(known()))
                .maybe_help(name::did_you_mean(name, known())),
            );
            return None;
        }
        rest = after;
    }
    result.push_str(rest);
    if result.contains('\0') {
        dec.problem(
            Problem::new(node.span, "a zero byte, which no program can be given")
                .expected("text without it"),
        );
        return None;
    }
    Some(result)
}

fn path<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<String> {
    let Value::Scalar(text) = &node.value else {
        return dec.text(node, PATH);
    };
    // `${folder}` is no axis.
    if text.starts_with(FOLDER) {
        return Some(text.clone());
    }
    dec.scalar(node, PATH, |text| match text.starts_with('/') {
        true => plain(text),
        false => Err(Refusal::new(format!("`{text}` is a relative path"))),
    })
}

const PATH: &str = "a path from `/` or from `${folder}` on";

fn plain(text: &str) -> Result<String, Refusal> {
    match text {
        "" => Err(Refusal::new("this text is empty")),
        text if text.contains('\0') => Err(Refusal::new("a zero byte")),
        text => Ok(text.to_owned()),
    }
}

fn env<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: &'a Node,
) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (key, node) in dec.map(node, "a mapping from variables to their values")? {
        if key.name.is_empty() || key.name.contains(['=', '\0']) {
            dec.problem(
                Problem::new(key.span, format!("`{}` cannot be a variable", key.name))
                    .expected("a name without `=`"),
            );
            return None;
        }
        variables.insert(key.name.clone(), text(dec, scene, node)?);
    }
    Some(variables)
}

fn ready<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Ready> {
    if let Value::Scalar(_) = &node.value {
        return dec.scalar(node, READINESS, |text| match text {
            "listening" => Ok(Ready::Listening(None)),
            _ => Err(Refusal::new(format!("unknown readiness `{text}`"))),
        });
    }
    let fields = dec.mapping(node, &READY)?;
    let [(key, value)] = fields.entries else {
        dec.problem(
            Problem::new(
                node.span,
                format!("{} conditions in `ready`", fields.entries.len()),
            )
            .expected(READINESS),
        );
        return None;
    };
    match key.name.as_str() {
        "listening" => dec.scalar(value, "a port from 1 to 65535", |text| {
            scalar::whole(text, 1, u16::MAX).map(|port| Ready::Listening(Some(port)))
        }),
        "output" => dec.text(value, "part of a line").map(Ready::Output),
        "after" => dec
            .scalar(value, scalar::DURATION, scalar::positive)
            .map(Ready::After),
        _ => None,
    }
}

fn stdin<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Input> {
    let text = |node| dec.scalar(node, "text", |text| Ok(text.to_owned()));
    if let Value::Map(_) = &node.value {
        let fields = dec.mapping(node, &STDIN)?;
        let after: Option<Duration> = dec
            .needed(&fields, "after")
            .and_then(|node| dec.scalar(node, scalar::DURATION, scalar::duration));
        let text = dec.needed(&fields, "text").and_then(text);
        return Some(Input::At {
            after: after?,
            text: text?,
        });
    }
    text(node).map(Input::Text)
}

/// Programs that others connect to are waited for until they listen, unless they
/// say otherwise.
pub fn find_servers(lanes: &mut [Decoded]) {
    let lacking: Vec<usize> = (0..lanes.len())
        .filter(|index| {
            let program = lanes[*index].lane.program.as_ref();
            program.is_some_and(|program| program.ready.is_none())
        })
        .collect();
    for index in lacking {
        let host = lanes[index].lane.host.clone();
        let wanted = lanes
            .iter()
            .enumerate()
            .any(|(other, decoded)| other != index && connects_to(decoded, &host));
        if let Some(program) = lanes[index].lane.program.as_mut().filter(|_| wanted) {
            program.ready = Some(Ready::Listening(None));
        }
    }
}

/// Whether a lane speaks of a host: in a `connect`, or in a program's words.
fn connects_to(decoded: &Decoded, host: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let names = |text: &str| text.split(|c| !part_of_name(c)).any(|word| word == host);
    let lane = &decoded.lane;
    let bare = !decoded.bare_connects.is_empty() && lane.host != host;
    let program = lane.program.as_ref().filter(|_| lane.host != host);
    bare || steps_connect_to(&lane.steps, host) || program.is_some_and(|p| p.texts().any(names))
}

fn steps_connect_to(steps: &[Step], host: &str) -> bool {
    let connects = |step: &&Step| matches!(&step.action, Action::Connect { to: Some(to), .. } | Action::Pool { to: Some(to), .. } if to == host);
    all_steps(steps).iter().any(connects)
}

/// The input of programs that an event types into stays open.
pub fn open_inputs(case: &mut Case) {
    let typed: Vec<&str> = case
        .events
        .iter()
        .filter_map(|event| match &event.action {
            EventAction::Type { lane, .. } => Some(lane.as_str()),
            _ => None,
        })
        .collect();
    for lane in &mut case.lanes {
        if let Some(program) = &mut lane.program
            && program.stdin == Input::Null
            && typed.contains(&lane.name.as_str())
        {
            program.stdin = Input::Open;
        }
    }
}
