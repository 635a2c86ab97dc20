//! A case with the sysctls that were set for a run. Predictions of what ran, and
//! the variants whose impact is measured, are made of such cases.

use std::collections::BTreeMap;

use halfopen_scenario::case::Case;

/// Sysctls by host; `all` is every host.
pub type Sysctls = BTreeMap<String, BTreeMap<String, String>>;

/// The case with these sysctls over its own.
pub fn with_overrides(case: &Case, overrides: &Sysctls) -> Case {
    let mut case = case.clone();
    let nodes: Vec<String> = case.network.nodes.iter().map(|n| n.name.clone()).collect();
    for (host, values) in overrides {
        for node in nodes.iter().filter(|n| host == "all" || *n == host) {
            let own = case.sysctls.entry(node.clone()).or_default();
            own.extend(values.clone());
        }
    }
    case
}
