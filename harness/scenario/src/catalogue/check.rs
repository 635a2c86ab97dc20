//! Decodes `checks:`, what is expected of a case besides its first sign.

use super::table::{CHECK, STATES};
use crate::case::{
    Check, Checked, Ended, Event, EventAction, Network, NodeKind, Quantity, SignKind, Which,
};
use crate::sign;
use crate::yaml::{Decoder, Fields, Node, Problem, Refusal, name, scalar};

const SUBJECT: &str =
    "`signs`, `ended`, or a number of `sockets`, `orphans`, `descriptors`, `send_q`, `recv_q`";

/// Where the names in checks come from.
pub struct Names<'n> {
    pub lanes: &'n [String],
    pub network: &'n Network,
    pub events: &'n [Event],
}

/// The checks whose `when` holds.
pub fn checks<'a>(
    dec: &Decoder<'a, '_>,
    node: Option<&'a Node>,
    names: &Names<'_>,
) -> Option<Vec<Check>> {
    let Some(node) = node else {
        return Some(Vec::new());
    };
    let example = "a list such as `- { at: later, host: server, orphans: 0 }`";
    let mut checks = Vec::new();
    let mut valid = true;
    for node in dec.list(node, example)? {
        let Some(fields) = dec.mapping(node, &CHECK) else {
            valid = false;
            continue;
        };
        let holds = dec.when(&fields);
        match check(dec, &fields, names) {
            Some(what) if holds => checks.push(Check {
                what,
                line: node.span.line,
            }),
            Some(_) => {}
            None => valid = false,
        }
    }
    valid.then_some(checks)
}

fn check<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>, names: &Names<'_>) -> Option<Checked> {
    let subjects = [
        "signs",
        "ended",
        "sockets",
        "orphans",
        "descriptors",
        "send_q",
        "recv_q",
    ];
    let given: Vec<&str> = subjects
        .into_iter()
        .filter(|subject| fields.key(subject).is_some())
        .collect();
    let [subject] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "this checks nothing".to_owned(),
            [first, second, ..] => format!("`{first}` and `{second}` in one check"),
            [_] => String::new(),
        };
        dec.problem(Problem::new(fields.span, message).expected(format!("one of {SUBJECT}")));
        return None;
    };
    let value = fields.get(subject)?;
    let of_a_lane = matches!(*subject, "signs" | "ended");
    let unknown = match of_a_lane {
        true => ["at", "gone_by", "host", "state"].as_slice(),
        false => ["lane"].as_slice(),
    };
    if let Some(span) = unknown.iter().find_map(|key| fields.key(key)) {
        let expected = if of_a_lane {
            "`lane`"
        } else {
            "`at` and `host`"
        };
        dec.problem(
            Problem::new(span, format!("this does not belong to `{subject}`"))
                .expected(format!("{expected} beside it")),
        );
        return None;
    }
    if of_a_lane {
        let lanes = || names.lanes.iter().map(String::as_str);
        let lane = dec
            .required(fields, "this check", "lane", "client")
            .and_then(|node| dec.known(node, "lane", lanes()));
        return Some(match *subject {
            "signs" => Checked::Signs {
                signs: signs(dec, value)?,
                lane: lane?,
            },
            _ => Checked::Ended {
                how: dec.scalar(value, "`running`, an exit status, or a signal", ended)?,
                lane: lane?,
            },
        });
    }
    sockets(dec, fields, subject, value, names)
}

/// `[ETIMEDOUT, EPIPE]`: errnos, or the words of signs.
fn signs<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Vec<SignKind>> {
    let list = dec.list(node, "a list of signs such as `[ETIMEDOUT, EPIPE]`")?;
    let read = |node| {
        dec.scalar(
            node,
            "an errno, a signal, `eof`, `timeout` and the like",
            sign,
        )
    };
    let signs: Vec<_> = list.iter().map(read).collect();
    signs.into_iter().collect()
}

fn sign(text: &str) -> Result<SignKind, Refusal> {
    Ok(match text {
        "eof" => SignKind::Eof,
        "hangup" => SignKind::PollHangup,
        "timeout" => SignKind::Timeout,
        "heartbeat_lost" => SignKind::HeartbeatLost,
        _ if text.starts_with("SIG") => {
            SignKind::Signal(sign::signal(text).map(|short| format!("SIG{short}"))?)
        }
        _ => SignKind::Errno(sign::errno(text)?),
    })
}

fn ended(text: &str) -> Result<Ended, Refusal> {
    if text == "running" {
        return Ok(Ended::Running);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return scalar::whole(text, 0, 255).map(Ended::Exited);
    }
    sign::signal(text).map(|short| Ended::Killed(format!("SIG{short}")))
}

fn sockets<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    subject: &str,
    value: &'a Node,
    names: &Names<'_>,
) -> Option<Checked> {
    let moment = match (fields.get("at"), fields.get("gone_by")) {
        (Some(at), None) => moment(dec, at, names).map(|at| (at, false)),
        (None, Some(by)) => moment(dec, by, names).map(|at| (at, true)),
        _ => {
            dec.problem(
                Problem::new(fields.span, "this check does not say when")
                    .expected("`at: MOMENT`, or `gone_by: MOMENT`: none from then on"),
            );
            None
        }
    };
    let host = dec
        .required(fields, "this check", "host", "server")
        .and_then(|node| dec.known(node, "host", names.network.names(&[NodeKind::Host])));
    let state = fields.optional("state", |node| dec.known(node, "state of a socket", STATES));
    let range = dec.scalar(value, "a number or an interval: `4` or `1..100`", range);
    let (Some((at, gone)), Some(range)) = (moment, range) else {
        return None;
    };
    if gone && range != (0, 0) {
        dec.problem(
            Problem::new(value.span, "what is gone is 0").expected("`0`, or `at:` instead"),
        );
        return None;
    }
    let quantity = match subject {
        "send_q" => Quantity::SendQ,
        "recv_q" => Quantity::RecvQ,
        "descriptors" => Quantity::Descriptors,
        _ => Quantity::Sockets,
    };
    let which = match (subject, state?) {
        ("orphans" | "descriptors", Some(_)) => {
            let span = fields.key("state").unwrap_or(fields.span);
            dec.problem(
                Problem::new(span, format!("`{subject}` in a state"))
                    .expected("`state` with sockets, send_q or recv_q"),
            );
            return None;
        }
        ("orphans", None) => Which::Orphans,
        (_, Some(state)) => Which::State(state),
        (_, None) => Which::All,
    };
    Some(Checked::Sockets {
        at,
        from_then_on: gone,
        host: host?,
        which,
        quantity,
        range,
    })
}

/// The name of a moment at which sockets are recorded.
fn moment<'a>(dec: &Decoder<'a, '_>, node: &'a Node, names: &Names<'_>) -> Option<String> {
    let mut moments = Vec::new();
    for event in names.events {
        if event.action == EventAction::Netstat {
            moments.push(event.name.clone());
        } else if event.is_fault() {
            moments.push(format!("before {}", event.name));
            moments.push(format!("after {}", event.name));
        }
    }
    moments.push("end".to_owned());
    let moments: Vec<&str> = moments.iter().map(String::as_str).collect();
    dec.scalar(node, &name::one_of(moments.iter().copied()), |text| {
        if moments.contains(&text) {
            return Ok(text.to_owned());
        }
        let add = format!("add `{{ at: 5s, netstat: , name: {text} }}` to `faults:`");
        Err(Refusal {
            message: format!("the sockets are not recorded at `{text}`"),
            help: name::did_you_mean(text, moments.iter().copied()).or(Some(add)),
        })
    })
}

fn range(text: &str) -> Result<(u64, u64), Refusal> {
    let number = |text: &str| scalar::whole(text.trim(), 0, u64::from(u32::MAX));
    let Some((least, most)) = text.split_once("..") else {
        return number(text).map(|exactly| (exactly, exactly));
    };
    let (least, most) = (number(least)?, number(most)?);
    if least > most {
        return Err(Refusal::with(
            format!("the interval `{text}` ends before it begins"),
            format!("write `{most}..{least}`"),
        ));
    }
    Ok((least, most))
}
