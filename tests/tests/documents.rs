//! The documents that are generated from data are up to date, and the data agrees
//! with the kernel's rules. `UPDATE_DOCS=1 cargo test --test documents` writes them.

use halfopen_predict::{KernelFacts, Version, predict};
use halfopen_scenario::case::Case;
use halfopen_tests::documents::{published, rules, surprises};
use halfopen_tests::{catalogue, root};

fn shipped() -> Vec<Case> {
    halfopen_scenario::load(&catalogue())
        .expect("the catalogue is right")
        .cases
}

fn fixtures() -> Vec<Case> {
    let folder = root().join("fixtures/published");
    let entries = std::fs::read_dir(folder).expect("they are there");
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    let load = |file| halfopen_scenario::load(file).expect("they are right").cases;
    files.iter().flat_map(|file| load(file)).collect()
}

fn check(name: &str, text: &str) {
    let file = root().join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, text).expect("docs/ can be written");
        return;
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == text,
        "docs/{name} is stale; UPDATE_DOCS=1 cargo test --test documents"
    );
}

#[test]
fn the_rules_pages() {
    check("rules.md", &rules::text(&shipped()));
}

#[test]
fn the_surprises() {
    check("surprises.md", &surprises::text(&shipped()));
}

#[test]
fn what_was_published() {
    check("published.md", &published::text(&fixtures()));
}

/// Compares each published figure with the rules on every kernel of ci/kernels: the
/// sign, and the interval within what is known of Linux. A figure that differs from
/// Linux has a note that says why.
#[test]
fn published_figures_and_the_rules() {
    for case in fixtures() {
        let (book, expect) = (case.book.as_ref(), case.expect.as_ref());
        let (book, expect) = (book.expect("a figure"), expect.expect("what Linux does"));
        assert!(
            case.notes.is_some() || book == expect,
            "{}: nobody says why",
            case.id
        );
        for version in [Version(5, 10), Version(6, 1), Version(6, 12), Version(7, 3)] {
            let said = predict(&case, &KernelFacts::new(version, 250));
            let said = said.unwrap_or_else(|e| panic!("{}: {e}", case.id));
            assert_eq!(said.sign, expect.sign, "{} on {version}", case.id);
            let Some((earliest, latest)) = expect.after else {
                continue;
            };
            assert!(
                earliest <= said.earliest && said.latest <= latest,
                "{} on {version}: {:?} to {:?}",
                case.id,
                said.earliest,
                said.latest
            );
        }
    }
}

#[test]
fn the_readmes_rust_test_is_one_that_runs() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("it is there");
    let readme = read("README.md");
    let block = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let block = block.expect("README.md shows a test in Rust");
    assert!(
        read("tests/tests/readme.rs").ends_with(block),
        "tests/tests/readme.rs is another one than README.md shows"
    );
}

/// README.md shows some rows of the page that the nightly test makes anew.
#[test]
fn the_readme_shows_rows_of_the_programs_page() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("it is there");
    let page = read("docs/real-programs.md");
    let readme = read("README.md");
    let table = readme
        .split("<!-- programs:begin -->\n")
        .nth(1)
        .and_then(|rest| rest.split("<!-- programs:end -->").next());
    let rows: Vec<&str> = table.expect("README.md has the rows").lines().collect();
    assert!(rows.len() > 8, "{rows:?}");
    for row in rows {
        assert!(
            page.lines().any(|line| line == row),
            "docs/real-programs.md has no row\n{row}"
        );
    }
}
