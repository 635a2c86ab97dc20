//! What halfopen's other crates and this workspace's tests need and users of this
//! crate do not. Not covered by semantic versioning.

pub use crate::filter::{Clsact, PortRef, Side, TcRuleId};
pub use crate::sysctl::pinned;

/// Prepares a machine that runs this program alone, as a guest does: to be called
/// once, before the first lab and in the machine's first network namespace.
/// Pins there what new namespaces copy, and creates `namespaces` network
/// namespaces in advance.
pub fn prepare_dedicated_machine(namespaces: usize) {
    crate::sysctl::own_first_namespace();
    crate::namespace::root_netns::declare_root_netns();
    crate::namespace::root_netns::fill_pool(namespaces);
}

/// Creates so many more network namespaces in advance, after
/// [`prepare_dedicated_machine`].
pub fn fill_pool(namespaces: usize) {
    crate::namespace::root_netns::fill_pool(namespaces);
}
