//! Effects of a network change on data in flight.

use std::time::Duration;

use super::Simulator;
use super::connection::{RESOLUTION_TIME, SEGMENT};
use super::delays::Kind;
use super::state::Outgoing;
use crate::abort::facts::{Fate, InFlight};
use crate::span::{Span, Spans};
use halfopen_scenario::case::NodeKind;

/// A window is full after this time.
const FILL_TIME: Duration = Duration::from_millis(800);

impl Simulator<'_> {
    /// The network has changed: the fate of data in flight is computed again.
    pub(super) fn network_changed(&mut self, change: Span) -> Result<(), String> {
        self.update_connects(change)?;
        for sock in 0..self.socks.len() {
            if !self.socks[sock].exists {
                continue;
            }
            self.note_round_trip(sock, change)?;
            // By the state before this change.
            let entry_fails = self.entry_fails(sock);
            self.note_neighbour(sock, change)?;
            let to = self.socks[self.socks[sock].peer].host;
            if self.new_owners.get(to) == Some(&change.earliest) {
                self.socks[sock].idle_abort = None;
            }
            self.note_probes(sock, change)?;
            let filling = |since: Span| change.earliest < since.latest + FILL_TIME;
            if self.socks[sock].window_closed.is_some_and(filling) {
                return Err("a fault while the peer's window fills".into());
            }
            let Some(outgoing) = self.socks[sock].outgoing.clone() else {
                continue;
            };
            if outgoing.on_line.is_some() {
                // Its fate is determined hop by hop.
                continue;
            }
            let (from, to) = (
                self.socks[sock].host,
                self.socks[self.socks[sock].peer].host,
            );
            let fate = self.paths.exchange_fate(from, to, Kind::Data, Kind::Ack)?;
            let is_lost = |f| {
                matches!(
                    f,
                    Fate::Lost | Fate::NeighbourDead | Fate::Unanswered | Fate::ReturnDead
                )
            };
            let fails = |f| matches!(f, Fate::NeighbourDead | Fate::ReturnDead);
            if fate == outgoing.fate || (is_lost(fate) && is_lost(outgoing.fate)) {
                // A filter with a packet limit may have been about to let it pass, or may
                // do so after some packets.
                let delivered = self.first_delivered(sock, &outgoing, change.latest)?;
                let new_owners = self.new_owners.get(to) == Some(&change.earliest);
                let abort = match &outgoing.abort {
                    Some(abort) if fails(fate) && (new_owners || !fails(outgoing.fate)) => {
                        // From now on neighbour entries fail as well, or a new owner of the
                        // address answers.
                        let several = outgoing.bytes > SEGMENT;
                        let facts = self.facts_for(sock, fate, InFlight::Before, several);
                        self.abort_of(sock, &facts, outgoing.sent)
                            .or(Some(abort.clone()))
                    }
                    other => other.clone(),
                };
                self.socks[sock].outgoing = Some(Outgoing {
                    delivered,
                    fate,
                    abort,
                    ..outgoing
                });
                continue;
            }
            self.check_reverts(&outgoing, entry_fails, change)?;
            let changed = match fate {
                Fate::Arrives | Fate::Reset => Outgoing {
                    delivered: delivered(&outgoing, entry_fails, change),
                    ..outgoing
                },
                _ if change.earliest <= outgoing.since.latest + Duration::from_millis(200)
                    || (is_lost(outgoing.fate)
                        && matches!(fate, Fate::Unresolved { .. } | Fate::NoCarrier)) =>
                {
                    let several = outgoing.bytes > SEGMENT;
                    let mut facts = self.facts_for(sock, fate, InFlight::Before, several);
                    facts.changed = change.since(outgoing.since.earliest).earliest;
                    let abort = self.abort_of(sock, &facts, outgoing.sent);
                    Outgoing {
                        fate,
                        abort,
                        delivered: None,
                        ..outgoing
                    }
                }
                _ => return Err("a fault changes while data is under way".into()),
            };
            self.socks[sock].outgoing = Some(changed);
        }
        Ok(())
    }
}

impl Simulator<'_> {
    /// A router whose neighbour entry fails meanwhile answers with ICMP errors, and each
    /// reverts one back-off (RFC 6069): when the next attempt is due depends on how the
    /// router's requests and the attempts interleave.
    fn check_reverts(
        &self,
        outgoing: &Outgoing,
        fails: Duration,
        change: Span,
    ) -> Result<(), String> {
        let nodes = &self.case.network.nodes;
        let routed = nodes.iter().any(|n| n.kind == NodeKind::Router);
        if routed
            && outgoing.fate == Fate::NeighbourDead
            && change.latest > outgoing.since.latest + fails
        {
            return Err(
                "the path comes back after a router's neighbour entry may have failed: its ICMP \
                 errors take back-off back at moments that are chance"
                    .into(),
            );
        }
        Ok(())
    }
}

/// The first attempt after a change, if TCP does not give up before.
fn delivered(outgoing: &Outgoing, fails: Duration, change: Span) -> Option<Span> {
    let attempts: Vec<Span> = outgoing
        .abort
        .iter()
        .flat_map(|f| &f.attempts)
        .filter_map(Spans::hull)
        .map(|span| span.plus(outgoing.since))
        .collect();
    // An attempt that waits for a neighbour's address leaves once that is resolved.
    let queued = matches!(outgoing.fate, Fate::NeighbourDead | Fate::ReturnDead)
        && change.latest > outgoing.since.earliest + fails
        && attempts
            .iter()
            .any(|t| t.earliest <= change.latest && t.latest + RESOLUTION_TIME >= change.earliest);
    let earliest = attempts.iter().find(|t| t.latest >= change.earliest)?;
    let latest = attempts
        .iter()
        .find(|t| t.earliest >= change.latest)
        .unwrap_or(earliest);
    let from = if queued {
        change.earliest
    } else {
        earliest.earliest.max(change.earliest)
    };
    Some(Span::new(from, latest.latest))
}
