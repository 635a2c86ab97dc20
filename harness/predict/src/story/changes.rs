//! What becomes of data under way when the network changes.

use std::time::Duration;

use super::World;
use super::line::Kind;
use super::process::Outgoing;
use super::socket::{ASKED, SEGMENT};
use crate::facts::{Fate, InFlight};
use crate::span::{Span, Spans};
use halfopen_scenario::case::NodeKind;

/// A window is full after this.
const FILLING: Duration = Duration::from_millis(800);

impl World<'_> {
    /// The network has changed: what is under way fares differently from now on.
    pub(super) fn network_changed(&mut self, change: Span) -> Result<(), String> {
        self.calls_again(change)?;
        for sock in 0..self.socks.len() {
            if !self.socks[sock].exists {
                continue;
            }
            self.note_trip(sock, change)?;
            // As it was until now.
            let entry_fails = self.entry_fails(sock);
            self.note_neighbour(sock, change)?;
            let to = self.socks[self.socks[sock].peer].host;
            if self.anew.get(to) == Some(&change.earliest) {
                self.socks[sock].quiet_end = None;
            }
            self.note_probes(sock, change)?;
            let filling = |since: Span| change.earliest < since.latest + FILLING;
            if self.socks[sock].closed.is_some_and(filling) {
                return Err("a fault while the peer's window fills".into());
            }
            let Some(outgoing) = self.socks[sock].outgoing.clone() else {
                continue;
            };
            if outgoing.flying.is_some() {
                // What becomes of it is found out where it is.
                continue;
            }
            let (from, to) = (
                self.socks[sock].host,
                self.socks[self.socks[sock].peer].host,
            );
            let fate = self.paths.there_and_back(from, to, Kind::Data, Kind::Ack)?;
            let silent = |f| {
                matches!(
                    f,
                    Fate::Lost | Fate::Gone | Fate::Unanswered | Fate::Unheard
                )
            };
            let fails = |f| matches!(f, Fate::Gone | Fate::Unheard);
            if fate == outgoing.fate || (silent(fate) && silent(outgoing.fate)) {
                // Even a filter that was about to let it through; or does so
                // after some packets.
                let through = self.first_through(sock, &outgoing, change.latest)?;
                let anew = self.anew.get(to) == Some(&change.earliest);
                let fall = match &outgoing.fall {
                    Some(fall) if fails(fate) && (anew || !fails(outgoing.fate)) => {
                        // Neighbour entries fail, too, from now on; or somebody
                        // else answers.
                        let several = outgoing.bytes > SEGMENT;
                        let facts = self.facts_for(sock, fate, InFlight::Before, several);
                        self.fall_of(sock, &facts, outgoing.sent)
                            .or(Some(fall.clone()))
                    }
                    other => other.clone(),
                };
                self.socks[sock].outgoing = Some(Outgoing {
                    through,
                    fate,
                    fall,
                    ..outgoing
                });
                continue;
            }
            self.check_reverts(&outgoing, entry_fails, change)?;
            let changed = match fate {
                Fate::Arrives | Fate::Reset => Outgoing {
                    through: through(&outgoing, entry_fails, change),
                    ..outgoing
                },
                _ if change.earliest <= outgoing.since.latest + Duration::from_millis(200)
                    || (silent(outgoing.fate)
                        && matches!(fate, Fate::Unresolved { .. } | Fate::NoCarrier)) =>
                {
                    let several = outgoing.bytes > SEGMENT;
                    let mut facts = self.facts_for(sock, fate, InFlight::Before, several);
                    facts.changed = change.since(outgoing.since.earliest).earliest;
                    let fall = self.fall_of(sock, &facts, outgoing.sent);
                    Outgoing {
                        fate,
                        fall,
                        through: None,
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

impl World<'_> {
    /// A router whose neighbour entry fails meanwhile answers with ICMP errors,
    /// and each takes back one back-off (RFC 6069): when the next try is due
    /// depends on how the router's requests and the tries fall together.
    fn check_reverts(
        &self,
        outgoing: &Outgoing,
        fails: Duration,
        change: Span,
    ) -> Result<(), String> {
        let nodes = &self.case.network.nodes;
        let routed = nodes.iter().any(|n| n.kind == NodeKind::Router);
        if routed && outgoing.fate == Fate::Gone && change.latest > outgoing.since.latest + fails {
            return Err(
                "the path comes back after a router's neighbour entry may have failed: its ICMP \
                 errors take back-off back at moments that are chance"
                    .into(),
            );
        }
        Ok(())
    }
}

/// The first try after a change, if TCP does not give up before.
fn through(outgoing: &Outgoing, fails: Duration, change: Span) -> Option<Span> {
    let tries: Vec<Span> = outgoing
        .fall
        .iter()
        .flat_map(|f| &f.attempts)
        .filter_map(Spans::hull)
        .map(|span| span.plus(outgoing.since))
        .collect();
    // A try that waits for a neighbour's address goes on once it is known.
    let waits = matches!(outgoing.fate, Fate::Gone | Fate::Unheard)
        && change.latest > outgoing.since.earliest + fails
        && tries
            .iter()
            .any(|t| t.earliest <= change.latest && t.latest + ASKED >= change.earliest);
    let earliest = tries.iter().find(|t| t.latest >= change.earliest)?;
    let latest = tries
        .iter()
        .find(|t| t.earliest >= change.latest)
        .unwrap_or(earliest);
    let from = if waits {
        change.earliest
    } else {
        earliest.earliest.max(change.earliest)
    };
    Some(Span::new(from, latest.latest))
}
