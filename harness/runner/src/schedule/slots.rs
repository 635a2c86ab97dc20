//! Limits how many cases do something at once: run, use descriptors, keep a
//! processor busy.
//!
//! A case mostly waits for timers, so many cases can wait together. But building a
//! lab and starting its processes takes processor time, and work in one lab would
//! show as jitter in the handshake of another. So only as many cases as there are
//! processors are in their busy phase at a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};

/// A counting semaphore that serves the lowest turn first.
///
/// A condition variable wakes its waiters in no particular order: when the longest
/// case has to wait, the whole run takes longer by that. And waking all of a
/// hundred waiters to let one of them continue is work.
#[derive(Debug)]
pub struct Slots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The waiting threads, and for how many slots, by turn.
    waiting: BTreeMap<usize, (usize, Thread)>,
}

impl Slots {
    /// With `count` slots; at least one.
    pub fn new(count: usize) -> Self {
        let state = State {
            free: count.max(1),
            waiting: BTreeMap::new(),
        };
        Slots {
            state: Mutex::new(state),
        }
    }

    /// Waits for a slot. No two waiting threads may have the same turn.
    pub fn take(&self, turn: usize) -> Slot<'_> {
        self.take_many(turn, 1)
    }

    /// Waits until `count` slots are free at once. There must be as many in all.
    pub fn take_many(&self, turn: usize, count: usize) -> Slot<'_> {
        let mut state = self.lock();
        state.waiting.insert(turn, (count, thread::current()));
        state.serve();
        while state.waiting.contains_key(&turn) {
            drop(state);
            thread::park();
            state = self.lock();
        }
        Slot { of: self, count }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    /// Gives slots to waiting threads in the order of their turns, while there are
    /// enough. A later one that wants fewer has to wait, too: otherwise one that
    /// wants many might wait for ever.
    fn serve(&mut self) {
        while let Some(next) = self.waiting.first_entry()
            && next.get().0 <= self.free
        {
            let (count, thread) = next.remove();
            self.free -= count;
            thread.unpark();
        }
    }
}

/// Slots taken together; free again when dropped.
#[derive(Debug)]
pub struct Slot<'a> {
    of: &'a Slots,
    count: usize,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.free += self.count;
        state.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn never_more_than_the_slots_at_once() {
        let slots = Slots::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for turn in 0..20 {
                let (slots, now, most) = (&slots, &now, &most);
                scope.spawn(move || {
                    let _slot = slots.take(turn);
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn the_lowest_turn_is_next() {
        let slots = Slots::new(1);
        let served = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let held = slots.take(0);
            for turn in [3, 1, 2] {
                let (slots, served) = (&slots, &served);
                scope.spawn(move || {
                    let _slot = slots.take(turn);
                    served.lock().expect("nobody panics here").push(turn);
                });
            }
            while slots.lock().waiting.len() < 3 {
                std::thread::yield_now();
            }
            drop(held);
        });
        assert_eq!(served.into_inner().expect("nobody panics here"), [1, 2, 3]);
    }
}
