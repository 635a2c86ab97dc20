//! Translates the events of a case that change the network into operations on a
//! lab, and undoes them. `case_run` calls it; signals to processes are sent there.

mod rule;

use halfopen_lab::BadLine;
pub use halfopen_lab::EffectiveAt;
pub use halfopen_scenario::case::describe;

use halfopen_lab::Lab;
use halfopen_lab::LabError;
use halfopen_scenario::case::{CableRef, EventAction, Family};
use rule::Rules;

/// How a change of the network is undone.
#[derive(Debug)]
#[non_exhaustive]
pub enum Undo {
    /// Reconnect the cable.
    Cut(CableRef),
    /// Remove the impairment.
    Impair(BadLine),
    /// Remove rules of nft and tc.
    Rules(Rules),
    /// Put the host's routes back.
    Routes(String),
    /// Put the host's addresses and routes back.
    Addresses(String),
    /// Set the host's interfaces up again.
    Interface(String),
    /// Not at all.
    Nothing,
    /// Let the host's neighbour entries age again.
    Neighbours(String),
}

impl Undo {
    /// The mechanism, where that was for the lab to choose.
    pub fn mechanism(&self) -> Option<&str> {
        match self {
            Undo::Impair(line) => Some(&line.mechanism),
            _ => None,
        }
    }
}

/// Puts in place what `action` needs later, where that takes time or may turn out
/// to be impossible on this machine.
///
/// # Errors
/// When the kernel lacks what it needs, or refuses.
pub fn prepare(lab: &mut Lab, action: &EventAction) -> Result<(), LabError> {
    let EventAction::Impair(impair) = action else {
        return Ok(());
    };
    let (near, far) = (&impair.cable.near, impair.cable.far.as_deref());
    lab.prepare_impairment(near, far, impair.direction, &impair.line, impair.by)
}

/// Applies `action` to the network. Events of other kinds are an error.
///
/// # Errors
/// When the kernel refuses, or for names that the lab does not have.
pub fn apply(
    lab: &mut Lab,
    family: Family,
    action: &EventAction,
) -> Result<(EffectiveAt, Undo), LabError> {
    Ok(match action {
        EventAction::Cut {
            cable,
            direction,
            carrier,
        } => (
            lab.cut(&cable.near, cable.far.as_deref(), *direction, *carrier)?,
            Undo::Cut(cable.clone()),
        ),
        EventAction::Impair(impair) => {
            let (near, far) = (&impair.cable.near, impair.cable.far.as_deref());
            let (at, line) = lab.impair(near, far, impair.direction, &impair.line, impair.by)?;
            (at, Undo::Impair(line))
        }
        EventAction::Drop(packets) => {
            let (at, rules) = Rules::add(lab, family, packets, None)?;
            (at, Undo::Rules(rules))
        }
        EventAction::Reject { rule, with } => {
            let (at, rules) = Rules::add(lab, family, rule, Some(*with))?;
            (at, Undo::Rules(rules))
        }
        EventAction::Route { host, change, to } => (
            lab.route(host, *change, to.as_deref(), family)?,
            Undo::Routes(host.clone()),
        ),
        EventAction::AddressRemoved { host } => (
            lab.remove_addresses(host, family)?,
            Undo::Addresses(host.clone()),
        ),
        EventAction::Interface { host, change } => {
            (lab.interface(host, *change)?, Undo::Interface(host.clone()))
        }
        EventAction::Neighbour { host, change } => (
            lab.neighbour(host, *change)?,
            Undo::Neighbours(host.clone()),
        ),
        EventAction::Forget { router } => (lab.forget_flows(router)?, Undo::Nothing),
        EventAction::Move {
            from,
            to,
            announced,
        } => (
            lab.move_address(from, to, family, *announced)?,
            Undo::Nothing,
        ),
        other => {
            return Err(LabError::Plan(format!(
                "{} is not done to a network",
                describe(other)
            )));
        }
    })
}

/// Undoes what [`apply`] did.
///
/// # Errors
/// When the kernel refuses.
pub fn heal(lab: &mut Lab, undo: Undo) -> Result<EffectiveAt, LabError> {
    match undo {
        Undo::Cut(cable) => lab.mend(&cable.near, cable.far.as_deref()),
        Undo::Impair(line) => lab.heal_impairment(&line),
        Undo::Rules(rules) => rules.remove(lab),
        Undo::Routes(host) => lab.restore_routes(&host),
        Undo::Addresses(host) => lab.restore_addresses(&host),
        Undo::Interface(host) => lab.restore_interface(&host),
        Undo::Neighbours(host) => lab.restore_neighbours(&host),
        Undo::Nothing => EffectiveAt::around(|| Ok(())),
    }
}
