//! The parts of the schema: detectors, networks, signs, lanes, steps, events.

use serde_json::{Map, Value, json};

use super::schema::{object, reference, words};

/// The definitions that [`super::schema`] refers to, by name.
pub fn definitions() -> Map<String, Value> {
    let duration =
        "A duration with units, largest first: 500ms, 2.5s, 1m30s. Units: us, ms, s, m, h, d.";
    let number = r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$";
    let parts = [
        (
            "axis",
            json!({ "type": "string", "pattern": r"^\$\{[a-z][a-z0-9_-]*\}$", "description": "The value of an axis of the matrix." }),
        ),
        (
            "name",
            json!({ "type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "description": "A name in kebab-case." }),
        ),
        ("scalar", json!({ "type": ["string", "number", "boolean"] })),
        (
            "duration",
            json!({ "description": duration, "anyOf": [{ "type": "string", "pattern": number }, { "$ref": "#/$defs/axis" }] }),
        ),
        (
            "number",
            json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "$ref": "#/$defs/axis" }] }),
        ),
        (
            "truth",
            json!({ "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/axis" }] }),
        ),
        (
            "when",
            json!({
                "description": "Only in the cases where each axis has this value, or one of these.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/scalar" }, { "type": "array", "items": { "$ref": "#/$defs/scalar" } }] },
            }),
        ),
        ("detector", detector()),
        ("network", network()),
        ("sign", sign()),
        ("known", known()),
        (
            "signs",
            json!({ "anyOf": [{ "$ref": "#/$defs/sign" }, { "type": "array", "items": { "$ref": "#/$defs/sign" } }] }),
        ),
        ("lane", lane()),
        (
            "steps",
            json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" } }),
        ),
        (
            "payload",
            json!({ "description": "Text, or a number of bytes.", "anyOf": [
            { "type": ["string", "number"] },
            object("Bytes to send.", &["bytes"], json!({ "bytes": { "$ref": "#/$defs/number" } })),
        ] }),
        ),
        ("step", step()),
        ("event", event()),
    ];
    parts
        .into_iter()
        .map(|(name, part)| (name.to_owned(), part))
        .collect()
}

fn detector() -> Value {
    let keepalive = object(
        "SO_KEEPALIVE. What is left out comes from the host's sysctls: 7200 s, 75 s, 9.",
        &[],
        json!({
            "idle": reference("duration", "Idle time before the first probe (TCP_KEEPIDLE), whole seconds up to 32767s."),
            "interval": reference("duration", "Time between probes (TCP_KEEPINTVL), whole seconds up to 32767s."),
            "count": { "type": "integer", "minimum": 1, "maximum": 255, "description": "Unanswered probes before the connection is given up (TCP_KEEPCNT; more than 127 only by sysctl)." },
            "by": { "enum": ["socket", "sysctl"], "description": "setsockopt() or the host's sysctls. Default: socket." },
        }),
    );
    let reconnect = object(
        "How a client connects again.",
        &["delay"],
        json!({
            "delay": reference("duration", "Time before the first try."),
            "backoff": { "type": "number", "minimum": 1, "maximum": 100, "description": "Each further wait is so many times the one before. Default: 1." },
            "limit": reference("number", "Tries in a row that may fail. Default: no limit."),
        }),
    );
    let heartbeat = object(
        "The application's own heartbeat. It beats while the lane waits in any step but `poll`.",
        &["every", "timeout"],
        json!({
            "every": reference("duration", "Time between two beats."),
            "timeout": reference("duration", "Silence that counts as a miss: since the last beat, or, when beats are answered, since the first beat without an answer."),
            "check_every": reference("duration", "The checker looks only so often. Default: when it is time."),
            "misses": reference("number", "Looks in a row that must find a miss before the peer is dead. Default: 1."),
            "from": words("Who sends. Default: client.", &["client", "server", "both"]),
            "answered": reference("truth", "Each beat is answered, and its sender checks; else its hearer does. Default: false."),
            "when": words("Beats always, or only when nothing else was sent for as long; then any byte is a sign of life. Default: always.", &["always", "idle"]),
            "on_silence": words("What is done with the connection. Default: close.", &["close", "half_close", "reset"]),
            "reconnect": { "description": "A client connects again when its connection is over: the delay, or more. Default: it does not.", "anyOf": [{ "$ref": "#/$defs/duration" }, reconnect] },
        }),
    );
    object(
        "How an endpoint notices a dead peer; empty: it does not.",
        &[],
        json!({
            "keepalive": keepalive,
            "user_timeout": reference("duration", "TCP_USER_TIMEOUT."),
            "read_timeout": reference("duration", "SO_RCVTIMEO."),
            "poll": reference("duration", "poll() with this limit before each read."),
            "heartbeat": heartbeat,
        }),
    )
}

fn network() -> Value {
    let names = |description: &str| json!({ "type": "array", "items": { "$ref": "#/$defs/name" }, "description": description });
    object(
        "Hosts, routers, switches, and the cables between them.",
        &["hosts", "cables"],
        json!({
            "hosts": names("They run lanes."),
            "routers": names("They forward IP between their cables."),
            "switches": names("Learning bridges."),
            "cables": {
                "description": "Cables by the names at their two ends.",
                "type": "array",
                "items": { "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "string" } },
            },
        }),
    )
}

fn sign() -> Value {
    let only = |description: &str| json!({ "const": true, "description": description });
    object(
        "What a call shows: exactly one of errno, eof, hangup, timeout, signal, heartbeat_lost, unnoticed.",
        &[],
        json!({
            "errno": { "type": "string", "pattern": "^E[A-Z0-9]+$", "description": "A call fails with this errno." },
            "eof": only("A read returns 0."),
            "hangup": only("A poll reports hang-up, error or end of input."),
            "timeout": only("A read or a poll runs into the application's own time limit."),
            "signal": { "type": "string", "description": "The process dies of this signal." },
            "heartbeat_lost": only("The application's heartbeat stays away for too long."),
            "unnoticed": only("Nobody notices before the case gives up."),
            "call": { "type": "string", "description": "The call that shows it." },
            "lane": { "type": "string", "description": "The lane that notices." },
            "after": { "type": "string", "description": "Time since the fault: 9m, or earliest and latest, 5s..6.2s." },
            "first_byte": { "type": "string", "description": "Time from the last heal until data of a connection older than the fault got through: 1.3s, or earliest and latest, 1s..1.5s." },
            "when": reference("when", "In a list: the cases this sign is for. The first that matches counts."),
            "known": reference("known", "Under `expect`: why something else is seen until it is mended."),
        }),
    )
}

fn known() -> Value {
    object(
        "A difference that is known and put up with: it is told, and does not fail a run.",
        &["reason"],
        json!({
            "reason": { "type": "string", "description": "Why it is put up with." },
            "bug": { "type": ["string", "number"], "description": "Where it is followed: a bug's number or address." },
            "shows": reference("sign", "What is seen meanwhile; anything else is no known difference. Default: anything."),
        }),
    )
}

fn lane() -> Value {
    let long = object(
        "A script that runs in its own process on a host.",
        &["steps"],
        json!({
            "on": { "type": "string", "description": "The host. Default: the one of the lane's name." },
            "count": reference("number", "How many processes run the script. Default: 1."),
            "detector": { "type": "string", "description": "The name of this lane's own detector." },
            "sigpipe": words("What SIGPIPE does to it. Default: default.", &["default", "ignore"]),
            "sigterm": words("What SIGTERM does to it. Default: default.", &["default", "ignore"]),
            "steps": reference("steps", "What it does, in order."),
        }),
    );
    json!({ "anyOf": [{ "$ref": "#/$defs/steps" }, long] })
}

fn step() -> Value {
    let bare = [
        "listen",
        "accept",
        "multiplex",
        "echo",
        "connect",
        "read",
        "drain",
        "poll",
        "keyboard",
        "half_close",
        "close",
        "exit",
    ];
    let nothing = |description: &str| json!({ "type": "null", "description": description });
    let long = object(
        "One verb, and what belongs to it.",
        &[],
        json!({
            "listen": object("socket(), bind(), listen().", &[], json!({
                "port": reference("number", "Default: 7000."),
                "backlog": reference("number", "Default: 128."),
            })),
            "accept": reference("number", "accept() so many connections."),
            "serve": { "description": "accept() for ever; each connection is served by these steps.", "anyOf": [
                { "$ref": "#/$defs/steps" },
                object("With or without a child per connection.", &["each"], json!({
                    "fork": reference("truth", "Fork a child per connection."),
                    "each": reference("steps", "The steps that serve one connection."),
                })),
            ] },
            "multiplex": { "description": "One process for all connections, by poll(); for ever.", "anyOf": [
                { "type": "null" },
                object("How many, and what is done with them.", &[], json!({
                    "slots": reference("number", "Connections at a time. Default: all."),
                    "echo": reference("truth", "Write back what was read. Default: true."),
                    "on_eof": words("What a read that returned 0 leads to. Default: close.", &["close", "ignore"]),
                })),
            ] },
            "echo": nothing("read() and write() the same back until end of file or an error."),
            "connect": { "description": "connect(); without a value, to the only other host that listens.", "anyOf": [
                { "type": ["string", "null"] },
                object("Where to, and how.", &[], json!({
                    "to": { "type": "string", "description": "The host." },
                    "address": { "type": "string", "description": "An address nobody has, instead of a host." },
                    "port": reference("number", "Default: 7000."),
                    "count": reference("number", "How many connections, one after the other. Default: 1."),
                    "nonblocking": reference("truth", "EINPROGRESS, poll(), then SO_ERROR."),
                })),
            ] },
            "exchange": reference("payload", "write(), then read() until as much came back."),
            "write": reference("payload", "write() until the kernel took everything."),
            "read": { "description": "One read() with a buffer of so many bytes.", "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/number" }] },
            "drain": nothing("read() until end of file or an error."),
            "poll": { "description": "poll() for input and hang-up.", "anyOf": [
                { "type": "null" },
                { "$ref": "#/$defs/duration" },
                object("With a limit, or on the keyboard too.", &[], json!({
                    "timeout": reference("duration", "Its limit. Default: for ever."),
                    "keyboard": reference("truth", "Wait on the keyboard, too."),
                })),
            ] },
            "keyboard": nothing("read() on the keyboard."),
            "half_close": nothing("shutdown(SHUT_WR)."),
            "close": { "description": "close().", "anyOf": [
                { "type": "null" },
                object("With SO_LINGER.", &["linger"], json!({ "linger": reference("duration", "Whole seconds; 0s sends RST.") })),
            ] },
            "sleep": reference("duration", "Let time pass."),
            "wait_for": { "type": "string", "description": "Wait until an event took effect or another lane set the mark." },
            "exit": nothing("The process ends."),
            "repeat": object("Do steps several times.", &["times", "steps"], json!({
                "times": reference("number", "How often."),
                "steps": reference("steps", "What."),
            })),
            "on": { "type": "string", "description": "The connection it is done on. Default: the newest one." },
            "as": { "type": "string", "description": "A name for the connection that connect or accept makes." },
            "mark": { "type": "string", "description": "A mark that is set once the step is done." },
            "when": reference("when", "Only in these cases."),
        }),
    );
    json!({ "anyOf": [{ "enum": bare }, long] })
}

fn event() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let or_text = |description: &str, long: Value| json!({ "description": description, "anyOf": [{ "type": "string" }, long] });
    let changed = |description: &str, changes: &[&str]| {
        object(
            description,
            &["host", "change"],
            json!({
                "host": text("Whose."),
                "change": words("What becomes of it.", changes),
            }),
        )
    };
    let mut route = changed(
        "A host's route changes.",
        &["removed", "unreachable", "prohibit", "blackhole"],
    );
    route["properties"]["to"] =
        text("The host it leads to. Default: the default route and every connected one.");
    let mut reject = rule("Packets that match are answered with an error.");
    let answers = [
        "net-unreachable",
        "host-unreachable",
        "port-unreachable",
        "protocol-unreachable",
        "admin-prohibited",
        "tcp-reset",
    ];
    reject["properties"]["with"] = words("With what.", &answers);
    reject["required"] = json!(["with"]);
    object(
        "Something the runner does: when, and one verb.",
        &[],
        json!({
            "at": reference("duration", "So long after the start."),
            "after": text("After this mark."),
            "by": reference("duration", "So long after the mark."),
            "name": text("The mark it sets. Default: its verb."),
            "when": reference("when", "Only in these cases."),
            "kill": or_text("A signal to a lane.", object("Which process, which signal.", &["lane"], json!({
                "lane": text("The lane."),
                "signal": text("Its name. Default: KILL."),
                "child": reference("truth", "The newest forked child instead."),
            }))),
            "freeze": text("SIGSTOP to every process of the lane."),
            "thaw": text("SIGCONT to every process of the lane."),
            "shutdown": or_text("SIGTERM, grace, SIGKILL, then the host's network goes.", object("Which host.", &["host"], json!({
                "host": text("The host."),
                "grace": reference("duration", "Time between SIGTERM and SIGKILL. Default: 5s."),
            }))),
            "crash": text("Silence, then death: no FIN and no RST escapes."),
            "reboot": or_text("Crash, then the same host again.", object("Which host.", &["host"], json!({
                "host": text("The host."),
                "down_for": reference("duration", "Default: 500ms."),
                "mac": words("Default: same.", &["same", "new"]),
                "state": words("What a router with `nat` knew of connections. Default: lost.", &["lost", "kept"]),
            }))),
            "restart": object("A lane ends and is started again.", &["lane", "fin"], json!({
                "lane": text("The lane."),
                "times": reference("number", "How often. Default: 1."),
                "every": reference("duration", "Time from one restart to the next. Default and least: 200ms."),
                "fin": reference("truth", "Its process is killed, and the kernel sends FIN; else its host loses power and comes back, and nobody does."),
            })),
            "cut": or_text("Nothing passes the cable.", object("Which cable, and how.", &["cable"], json!({
                "cable": cable(),
                "direction": words("Seen from the named end. Default: both.", &["both", "from", "to"]),
                "carrier": words("What the ends see. Default: kept.", &["kept", "lost"]),
            }))),
            "impair": impair(),
            "heal": text("Undo an event by its name, or `all`."),
            "drop": { "anyOf": [{ "type": "null" }, rule("Packets that match vanish.")] },
            "reject": reject,
            "route": route,
            "address_removed": text("The host loses its addresses."),
            "interface": changed("A host's interface.", &["down", "deleted"]),
            "neighbour": changed("A host's ARP and NDP entries.", &["flushed", "pinned"]),
            "forget": text("A router with `nat` forgets every connection."),
            "move": object("A host's address moves to another host of its LAN.", &["from", "to", "announced"], json!({
                "from": text("Whose address it is."),
                "to": text("Who has it from then on."),
                "announced": reference("truth", "The new owner says so to everybody: gratuitous ARP, unsolicited neighbour advertisement."),
            })),
            "type": object("Text appears on a lane's keyboard.", &["lane", "text"], json!({
                "lane": text("The lane."),
                "text": { "type": ["string", "number"], "description": "A line." },
            })),
            "netstat": { "description": "Sockets are looked at.", "anyOf": [{ "type": "null" }, { "type": "object", "maxProperties": 0 }] },
        }),
    )
}

fn impair() -> Value {
    let share = |description: &str| {
        let percent = json!({ "type": "string", "pattern": "^[0-9.]+ *%$" });
        json!({ "description": description, "anyOf": [percent, { "$ref": "#/$defs/axis" }] })
    };
    let loss = object(
        "Lost in bursts.",
        &["rate", "burst"],
        json!({
            "rate": share("This share of all packets."),
            "burst": reference("number", "So many in a row on average."),
        }),
    );
    let mtu = object(
        "What passes, and whether the sender is told.",
        &["size"],
        json!({
            "size": reference("number", "Bytes of the largest IP packet that passes."),
            "icmp": reference("truth", "ICMP fragmentation needed, ICMPv6 packet too big. Default: false."),
        }),
    );
    object(
        "A cable goes bad. At 0s: from before anybody connects, and time does not count from it.",
        &["cable"],
        json!({
            "cable": cable(),
            "direction": words("Seen from the named end. Default: both.", &["both", "from", "to"]),
            "by": words("What does it. Default: auto, netem where the kernel has it.", &["auto", "netem", "relay", "nft", "tc"]),
            "loss": { "description": "This share of the packets vanishes.", "anyOf": [share("Each by its own throw."), loss] },
            "delay": reference("duration", "Every packet is under way for so much longer."),
            "jitter": reference("duration", "The delay is anything from delay - jitter to delay + jitter."),
            "reorder": share("This share of the packets is not delayed, and overtakes those that are."),
            "duplicate": share("This share of the packets comes twice."),
            "corrupt": share("In this share of the packets one bit is flipped."),
            "rate": { "description": "Bits a second: 64kbit, 10mbit, 1gbit.", "type": "string" },
            "queue": reference("number", "With a rate: packets that may wait. Default: 1000."),
            "mtu": { "description": "Larger IP packets vanish.", "anyOf": [{ "$ref": "#/$defs/number" }, mtu] },
            "seed": reference("number", "Where the random numbers begin."),
        }),
    )
}

/// A cable, by what is at its ends.
fn cable() -> Value {
    json!({ "description": "A node with one cable, or the nodes at both ends.", "anyOf": [
        { "type": "string" },
        { "type": "array", "minItems": 2, "maxItems": 2, "items": { "type": "string" } },
    ] })
}

fn rule(description: &str) -> Value {
    let flags = |description: &str| json!({ "description": description, "type": "array", "uniqueItems": true, "items": { "enum": ["SYN", "ACK", "FIN", "RST", "PSH", "URG"] } });
    let text = |description: &str| json!({ "type": "string", "description": description });
    object(
        description,
        &[],
        json!({
            "from": text("Sent by this host."),
            "to": text("Sent to this host."),
            "at": { "description": "Where the packet is caught: wire, sender, receiver, or a router. Default: wire.", "anyOf": [
                { "type": "string" },
                object("On the cable at this node.", &["wire"], json!({ "wire": text("The node.") })),
            ] },
            "by": words("What catches it. Default: nft.", &["nft", "tc"]),
            "flags": flags("TCP flags that must be set."),
            "without": flags("TCP flags that must not be set."),
            "sport": reference("number", "TCP source port."),
            "dport": reference("number", "TCP destination port."),
            "count": reference("number", "Only the first so many packets."),
            "probability": { "description": "Only this share of the packets.", "anyOf": [{ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }, { "$ref": "#/$defs/axis" }] },
        }),
    )
}
