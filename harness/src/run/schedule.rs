//! Many cases at once: one thread a case, a few of them building at a time.
//!
//! A case mostly waits for timers, so all of them can wait together; but
//! building a lab and starting its processes is work, and work in one lab
//! would show as jitter in another one's handshake. So only as many cases as
//! there are processors are in their busy phase at a time.

use std::sync::{Condvar, Mutex, MutexGuard};

/// A counting semaphore.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    /// With so many slots; at least one.
    pub fn new(count: usize) -> Self {
        Slots {
            free: Mutex::new(count.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for a slot.
    pub fn take(&self) -> Slot<'_> {
        self.take_many(1)
    }

    /// Waits until so many slots are free at once. There must be as many.
    pub fn take_many(&self, count: usize) -> Slot<'_> {
        let mut free = self.lock();
        while *free < count {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *free -= count;
        Slot { of: self, count }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.free
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Slots that were taken together; free again when dropped.
#[derive(Debug)]
pub struct Slot<'a> {
    of: &'a Slots,
    count: usize,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.of.lock() += self.count;
        // Not one alone: it may be the one that waits for more than this.
        self.of.freed.notify_all();
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
            for _ in 0..20 {
                scope.spawn(|| {
                    let _slot = slots.take();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }
}
