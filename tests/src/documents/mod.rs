//! Documents that are made of data: the rules' pages, the surprises, what was
//! published. `UPDATE_DOCS=1 cargo test --test documents` writes them.

pub mod published;
pub mod rules;
pub mod surprises;

use halfopen_net::span::human;
use halfopen_predict::{KernelFacts, Prediction, Version};
use halfopen_scenario::case::{Sign, SignKind};

/// The kernel that documents speak of.
pub const KERNEL: KernelFacts = KernelFacts {
    version: Version(6, 12),
    hz: 250,
    phase: halfopen_predict::wheel::Phase::Unknown,
};

/// A sign in a cell of a table.
pub fn sign(kind: &SignKind) -> String {
    match kind {
        SignKind::Errno(name) => name.clone(),
        SignKind::Eof => "EOF".into(),
        SignKind::PollHangup => "hang-up (poll)".into(),
        SignKind::Timeout => "its own timeout".into(),
        SignKind::Signal(name) => name.clone(),
        SignKind::Exited(status) => format!("exit {status}"),
        SignKind::HeartbeatLost => "heartbeat lost".into(),
        SignKind::Unnoticed => "unnoticed".into(),
    }
}

/// What somebody said of a case.
pub fn said(said: &Sign) -> String {
    let kind = sign(&said.sign);
    match said.after {
        None => kind,
        Some((from, to)) if from == to => format!("{kind}, {}", human(from)),
        Some((from, to)) => format!("{kind}, {} to {}", human(from), human(to)),
    }
}

/// A prediction in a cell of a table.
pub fn predicted(prediction: &Prediction) -> String {
    let kind = sign(&prediction.sign);
    let spans: Vec<String> = prediction
        .intervals()
        .map(|span| {
            let (from, to) = (human(span.earliest), human(span.latest));
            if from == to {
                from
            } else {
                format!("{from} to {to}")
            }
        })
        .collect();
    if prediction.sign == SignKind::Unnoticed {
        kind
    } else {
        format!("{kind}, {}", spans.join(" or "))
    }
}

/// Text that stands in a cell.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
