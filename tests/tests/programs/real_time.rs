//! programs.yaml in real time beside docs/real-programs.md.

use std::collections::BTreeMap;

use halfopen_tests::page;

use super::*;

/// The block of docs/real-programs.md with what was measured in real time.
const BLOCK: &str = "real";

/// The cells of a page's first table, by row and column.
type Cells<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

/// What programs.yaml shows here and now is what docs/real-programs.md has of virtual
/// time: the same signs. Times are compared there. INSTA_UPDATE=always writes what was
/// measured into the page.
#[test]
#[ignore = "it takes a quarter of an hour: ci/nightly"]
fn real_programs_show_the_same_signs_in_real_time() {
    let file = root().join("docs/real-programs.md");
    let in_virtual_time = page::block(&file, page::GRID).expect("it is there");
    let before = page::block(&file, BLOCK).expect("it is there");
    let words = page::command(&before).expect("it names its command");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = program::run(&halfopen(), &root(), &words);
    let (summary, _) = ran.stdout.split_once("\n### ").unwrap_or((&ran.stdout, ""));
    let (theirs, ours) = (cells(&in_virtual_time), cells(summary));
    assert!(!ours.is_empty(), "{ran}");
    let measured = ours.iter().filter(|(_, cell)| **cell != "not run");
    let pairs: Vec<_> = measured
        .map(|(place, cell)| (place, *cell, theirs.get(place).copied().unwrap_or("")))
        .collect();
    let differ = pairs.iter().filter(|(_, a, b)| kind(a) != kind(b));
    let differ: Vec<_> = differ.collect();
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        let furthest = pairs.iter().filter(|(_, a, b)| kind(a) == kind(b));
        let furthest = furthest.filter_map(|(place, a, b)| {
            let (a, b) = (page::timed(a)?.1, page::timed(b)?.1);
            Some((a.abs_diff(b), place))
        });
        let (apart, (row, column)) = furthest.max().expect("some have times");
        let compared = format!(
            "\nOf these {} cells {} show the sign of virtual time. Their times differ by at most \
             {} ({row}, {column}), as far as the tables show them.\n",
            pairs.len(),
            pairs.len() - differ.len(),
            halfopen_net::span::human(apart),
        );
        page::replace(&file, BLOCK, &format!("{summary}{compared}")).expect("written");
    }
    assert!(differ.is_empty(), "{differ:?}\n{ran}");
}

/// `ETIMEDOUT` of `ETIMEDOUT 20 s`, outside of its prediction (`!`) or not.
fn kind(cell: &str) -> &str {
    let cell = cell.trim_end_matches('!');
    page::timed(cell).map_or(cell, |(kind, _)| kind)
}

fn cells(text: &str) -> Cells<'_> {
    let table = text.lines().take_while(|line| line.starts_with('|'));
    let mut rows = table.map(|line| line.split('|').map(str::trim));
    let Some(header) = rows.next() else {
        return Cells::new();
    };
    let columns: Vec<&str> = header.collect();
    rows.filter(|row| !row.clone().any(|cell| cell == "---"))
        .flat_map(|row| {
            let row: Vec<&str> = row.collect();
            let name = row.get(1).copied().unwrap_or_default();
            let cells = columns.iter().zip(row).skip(2);
            cells
                .filter(|(column, _)| !column.is_empty())
                .map(|(column, cell)| ((name, *column), cell))
                .collect::<Vec<_>>()
        })
        .collect()
}
