//! The JSON Schema of what `run --format json` writes: `halfopen schema run`. A test
//! holds outputs to it; no key of theirs is missing here.

use serde_json::{Map, Value, json};

/// JSON Schema (draft 2020-12) of a run, or of runs on several kernels.
pub fn schema() -> Value {
    let several = object(&[
        ("schema", json!({ "const": super::SCHEMA })),
        ("kernels", list(reference("run"))),
    ]);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "halfopen run",
        "anyOf": [reference("run"), several],
        "$defs": {
            "run": run(),
            "environment": environment(),
            "case": case(),
            "stated_sign": stated_sign(),
            "known": known(),
            "sign": sign(),
            "prediction": prediction(),
            "endpoint": endpoint(),
            "program": program(),
            "netstat": netstat(),
            "wire": wire(),
            "call_result": call_result(),
            "exit": one_key(&[("exited", integer()), ("killed", text())]),
        },
    })
}

/// How a document does not hold to a schema made of the words above: each place, and
/// what is wrong there. For tests.
#[doc(hidden)]
pub fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, document, "", &mut found);
    found
}

fn run() -> Value {
    let totals = [
        "cases",
        "as_expected",
        "observed",
        "differ",
        "known",
        "failed",
        "not_run",
        "outside",
    ];
    let totals: Vec<_> = totals.map(|key| (key, integer())).into();
    let rare = ["not_set_up", "disturbed", "fallback"].map(|key| (key, integer()));
    object(&[
        ("schema", json!({ "const": super::SCHEMA })),
        ("environment", reference("environment")),
        ("interrupted", truth()),
        ("elapsed_ns", integer()),
        ("totals", with(object(&totals), &rare)),
        ("cases", list(reference("case"))),
    ])
}

fn environment() -> Value {
    let always = object(&[
        ("kernel", text()),
        ("hz", or_null(integer())),
        ("time", json!({ "enum": ["real", "virtual"] })),
        ("congestion_control", text()),
        ("halfopen", text()),
        ("privileges", text()),
        ("sysctls", map(text())),
        ("overrides", map(map(text()))),
        ("connection_objects", map(integer())),
    ]);
    let wheel = object(&[("jiffies", integer()), ("tick_ns", integer())]);
    with(always, &[("wheel", wheel)])
}

fn case() -> Value {
    let recovery = object(&[
        ("heal", text()),
        ("healed_ns", or_null(integer())),
        ("lived", truth()),
        ("since_heal_ns", or_null(integer())),
        ("read_since_heal_ns", or_null(integer())),
    ]);
    let cost = object(&[
        ("packets", integer()),
        ("bytes", integer()),
        ("window_ns", integer()),
        ("packets_per_hour", number()),
        ("bytes_per_hour", number()),
    ]);
    let fault = object(&[
        ("name", text()),
        ("what", text()),
        ("is_fault", truth()),
        ("asked_ns", integer()),
        ("took_ns", integer()),
    ]);
    let verdicts = [
        "as_expected",
        "differs",
        "known",
        "observed",
        "not_set_up",
        "disturbed",
        "not_run",
        "failed",
    ];
    let always = object(&[
        ("id", text()),
        ("scenario", text()),
        ("axes", map(text())),
        ("source", list(text())),
        ("book", or_null(reference("stated_sign"))),
        ("expect", or_null(reference("stated_sign"))),
        ("notes", or_null(text())),
        ("first_sign", or_null(reference("sign"))),
        ("faults", list(fault)),
        ("endpoints", list(reference("endpoint"))),
        ("recovery", or_null(recovery)),
        ("netstat", list(reference("netstat"))),
        ("wire", reference("wire")),
        ("cost", or_null(cost)),
        ("prediction", or_null(reference("prediction"))),
        ("unpredictable", or_null(text())),
        ("verdict", json!({ "enum": verdicts })),
        ("surprises", list(text())),
        ("status", json!({ "enum": ["ran", "not_run", "failed"] })),
        ("reason", or_null(text())),
    ]);
    let lane_signs = object(&[
        ("lane", text()),
        ("signs", list(reference("sign"))),
        ("more", integer()),
    ]);
    let user_sees = object(&[
        ("lane", text()),
        ("what", text()),
        ("since_fault_ns", integer()),
    ]);
    let kernel_event = object(&[
        ("at_ns", integer()),
        ("host", or_null(text())),
        ("event", text()),
        ("what", text()),
    ]);
    let rare = [("lag_ns", integer()), ("overflows", list(text()))];
    let disturbed_try = with(object(&[("showed", text())]), &rare);
    with(
        always,
        &[
            ("lane_signs", list(lane_signs)),
            ("programs", list(reference("program"))),
            ("user_sees", user_sees),
            ("kernel_events", list(kernel_event)),
            ("lag_ns", integer()),
            ("overflows", list(text())),
            ("disturbed_tries", list(disturbed_try)),
        ],
    )
}

/// What every form of a sign has.
fn sign_keys() -> Vec<(&'static str, Value)> {
    let kinds = [
        "errno",
        "eof",
        "poll_hangup",
        "timeout",
        "signal",
        "exit",
        "heartbeat_lost",
        "unnoticed",
    ];
    vec![
        ("endpoint", or_null(text())),
        ("call", or_null(text())),
        ("outcome", json!({ "enum": kinds })),
        ("errno", or_null(text())),
        ("signal", or_null(text())),
    ]
}

fn stated_sign() -> Value {
    let mut keys = sign_keys();
    keys.extend(["earliest_ns", "latest_ns"].map(|key| (key, or_null(integer()))));
    with(object(&keys), &[("known", reference("known"))])
}

fn known() -> Value {
    let optional = [("bug", text()), ("shows", reference("stated_sign"))];
    with(object(&[("reason", text())]), &optional)
}

fn sign() -> Value {
    let mut keys = sign_keys();
    keys.extend(["since_fault_ns", "wire_evidence_ns"].map(|key| (key, or_null(integer()))));
    object(&keys)
}

fn prediction() -> Value {
    let mut keys = sign_keys();
    let span = || list(integer());
    keys.extend([
        ("earliest_ns", or_null(integer())),
        ("latest_ns", or_null(integer())),
        ("branches_ns", list(span())),
        ("first_byte_ns", or_null(span())),
        ("because", text()),
        ("rules", list(text())),
        ("outside", or_null(text())),
    ]);
    let mut other = sign_keys();
    other.push(("at_ns", list(span())));
    let share = || json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let others = list(with(object(&other), &[("share", share())]));
    with(
        object(&keys),
        &[("fallback", text()), ("others", others), ("share", share())],
    )
}

fn endpoint() -> Value {
    let call = object(&[
        ("call", text()),
        ("conn", or_null(text())),
        ("line", integer()),
        ("start_ns", integer()),
        ("end_ns", or_null(integer())),
        ("result", reference("call_result")),
    ]);
    let call = with(call, &[("limit_ns", integer())]);
    let summed = object(&[
        ("call", text()),
        ("line", integer()),
        ("result", text()),
        ("calls", integer()),
        ("first_ns", integer()),
        ("last_ns", integer()),
    ]);
    let end = object(&[("at_ns", integer()), ("how", reference("exit"))]);
    let process = object(&[
        ("number", integer()),
        ("calls", list(call)),
        ("end", or_null(end)),
    ]);
    let rare = [("calls_summed", list(summed)), ("thread", text())];
    let process = with(process, &rare);
    object(&[
        ("lane", text()),
        ("host", text()),
        ("boot", integer()),
        ("processes", list(process)),
    ])
}

fn call_result() -> Value {
    let several = one_key(&[
        ("value", integer()),
        ("errno", text()),
        ("ready", list(text())),
    ]);
    json!({ "anyOf": [several, { "enum": ["timed_out", "blocked"] }] })
}

fn program() -> Value {
    let line = || object(&[("at_ns", integer()), ("stderr", truth()), ("text", text())]);
    let signal = object(&[
        ("at_ns", integer()),
        ("process", integer()),
        ("signal", text()),
        ("kind", text()),
        ("sender", text()),
    ]);
    let observer = object(&[("stops", integer()), ("held_ns", integer())]);
    let set = object(&[
        ("keepalive", truth()),
        ("idle_ns", or_null(integer())),
        ("interval_ns", or_null(integer())),
        ("count", or_null(integer())),
        ("user_timeout_ns", or_null(integer())),
        ("receive_timeout_ns", or_null(integer())),
    ]);
    let detector = object(&[("conn", or_null(text())), ("text", text()), ("set", set)]);
    object(&[
        ("lane", text()),
        ("host", text()),
        ("boot", integer()),
        ("command", list(text())),
        ("lines", list(line())),
        ("lines_left_out", integer()),
        ("detectors", list(detector)),
        ("signals", list(signal)),
        ("signals_left_out", integer()),
        ("observer", observer),
        ("notes", list(line())),
    ])
}

fn netstat() -> Value {
    let queues = || ["recv_q", "send_q", "memory"].map(|key| (key, integer()));
    let mut socket = vec![
        ("host", text()),
        ("state", text()),
        ("local", text()),
        ("peer", text()),
        ("timer", text()),
        ("timer_ms", integer()),
        ("retransmits", integer()),
        ("owned", truth()),
    ];
    socket.extend(queues());
    let mut summed = vec![
        ("host", text()),
        ("state", text()),
        ("timer", text()),
        ("owned", truth()),
        ("sockets", integer()),
    ];
    summed.extend(queues());
    let held = object(&[("host", text()), ("descriptors", integer())]);
    let always = object(&[
        ("at_ns", integer()),
        ("moment", text()),
        ("sockets", list(object(&socket))),
        ("held", list(held)),
    ]);
    with(always, &[("sockets_summed", list(object(&summed)))])
}

fn wire() -> Value {
    let kinds = [
        "syn",
        "syn_ack",
        "fin",
        "rst",
        "data",
        "psh",
        "pure_ack",
        "keepalive_probes",
        "window_probes",
        "retransmissions",
        "arp",
        "ndp",
    ];
    let mut counts: Vec<_> = kinds.map(|kind| (kind, integer())).into();
    counts.push(("icmp", map(integer())));
    let packet = object(&[
        ("sent_ns", integer()),
        ("delivered_ns", or_null(integer())),
        ("cable", text()),
        ("from", text()),
        ("src", text()),
        ("dst", text()),
        ("kind", text()),
        ("flags", text()),
        ("len", integer()),
        ("frame", integer()),
    ]);
    // Of TCP alone, and of what was sent again.
    let rare = [
        ("seq", integer()),
        ("ack", integer()),
        ("window", integer()),
        ("retransmission", truth()),
    ];
    let packet = with(packet, &rare);
    let numbers = [
        "packets",
        "bytes",
        "retransmissions",
        "lost",
        "first_ns",
        "last_ns",
    ];
    let mut summed = vec![("from", text()), ("cable", text()), ("kind", text())];
    summed.extend(numbers.map(|key| (key, integer())));
    let always = object(&[
        ("counts", object(&counts)),
        ("packets", list(packet)),
        ("lost_by_capture", integer()),
    ]);
    with(always, &[("packets_summed", list(object(&summed)))])
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn truth() -> Value {
    json!({ "type": "boolean" })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

fn or_null(form: Value) -> Value {
    json!({ "anyOf": [form, { "type": "null" }] })
}

/// An object that has all of these keys and no others.
fn object(keys: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|(key, form)| ((*key).to_owned(), form.clone()))
        .collect();
    let required: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

/// The object with keys that it may have, too.
fn with(mut object: Value, keys: &[(&str, Value)]) -> Value {
    for (key, form) in keys {
        object["properties"][*key] = form.clone();
    }
    object
}

/// An object that has exactly one of these keys.
fn one_key(keys: &[(&str, Value)]) -> Value {
    let forms: Vec<Value> = keys
        .iter()
        .map(|key| object(std::slice::from_ref(key)))
        .collect();
    json!({ "anyOf": forms })
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = name.strip_prefix('#').and_then(|path| root.pointer(path));
        return check(root, target.unwrap_or(&Value::Null), value, at, found);
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let mut least: Option<Vec<String>> = None;
        for form in forms {
            let mut wrong = Vec::new();
            check(root, form, value, at, &mut wrong);
            if least.as_ref().is_none_or(|least| wrong.len() < least.len()) {
                least = Some(wrong);
            }
        }
        return found.extend(least.unwrap_or_default());
    }
    if schema
        .get("const")
        .is_some_and(|constant| constant != value)
        || schema["enum"]
            .as_array()
            .is_some_and(|words| !words.contains(value))
    {
        found.push(format!("{at}: {value} is not one of the values"));
    }
    let is_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !is_type {
        return found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        check(root, &schema["items"], item, &format!("{at}/-"), found);
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        let key = key.as_str().unwrap_or_default();
        if value.get(key).is_none() {
            found.push(format!("{at}: no `{key}`"));
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{key}");
        match (
            schema["properties"].get(key),
            &schema["additionalProperties"],
        ) {
            (Some(form), _) | (None, form @ Value::Object(_)) => {
                check(root, form, item, &at, found)
            }
            (None, Value::Bool(false)) => found.push(format!("{at}: not in the schema")),
            (None, _) => {}
        }
    }
}
