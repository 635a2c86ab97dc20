//! As many labs at once as there can be: the kernel's neighbour tables, which all
//! network namespaces share, do not overflow, and the caller keeps its entries.

use halfopen_lab::sandbox::{Overflows, neighbour_tables};

use crate::attempt::{Attempt, nothing_left};
use crate::caller::{Caller, furnished};

fn overflows() -> Vec<Option<Overflows>> {
    let tables = neighbour_tables().expect("this program is in a sandbox");
    tables.iter().map(|table| table.overflows()).collect()
}

#[test]
#[ignore = "takes minutes: ci/nightly"]
fn nightly_a_whole_grid_overflows_no_neighbour_table() {
    let _guard = furnished();
    let before = (Caller::now(), overflows());
    // Every cell is built and has its fault; most are not waited for.
    let ran = Attempt::start_with(&["grid", "--limit", "2s"], true).end();
    assert_eq!(ran.code, Some(0), "{ran}");
    nothing_left(&before.0, "a whole grid");
    assert_eq!(overflows(), before.1, "{ran}");
}
