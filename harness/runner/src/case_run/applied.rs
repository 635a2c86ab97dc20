//! The result of applying an event: when it took effect, when its mark is set, and
//! what follows from it later.

use super::agenda::{Boot, Task};
use crate::fault::EffectiveAt;
use halfopen_sys::clock::monotonic_ns;

/// What applying an event did.
pub(super) struct Applied {
    pub at: EffectiveAt,
    /// What does it, where that was for the lab to choose.
    pub mechanism: Option<String>,
    pub mark: MarkTime,
    /// What is to be done later.
    pub follow_up: Vec<(i64, Task)>,
}

/// When an event's mark is set.
pub(super) enum MarkTime {
    /// When the event took effect.
    Effective,
    /// At this moment.
    At(i64),
    /// By a task that follows.
    Later,
}

impl Applied {
    /// The whole event, done by now; it was asked for at `asked_ns`.
    pub fn now(asked_ns: i64) -> Self {
        Applied::at(EffectiveAt {
            asked_ns,
            effective_ns: monotonic_ns(),
        })
    }

    /// The whole event, done then.
    pub fn at(at: EffectiveAt) -> Self {
        Applied {
            at,
            mechanism: None,
            mark: MarkTime::Effective,
            follow_up: Vec::new(),
        }
    }

    /// A host lost power at `at` and boots again. It is built at once, while it is
    /// still silent, so that the cost of building does not add to the time it is down;
    /// its silence ends at its time.
    pub fn power_loss(at: EffectiveAt, boot: Boot) -> Self {
        let back_ns = boot.back_ns;
        Applied {
            mark: MarkTime::Later,
            follow_up: vec![
                (monotonic_ns(), Task::Boot(boot)),
                (back_ns, Task::EndSilence),
            ],
            ..Applied::at(at)
        }
    }
}
