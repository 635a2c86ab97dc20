//! Pages and drawings made from measurements in virtual time are what the program
//! prints. INSTA_UPDATE=always writes them anew.

use halfopen_outcome::tolerance::{ANOTHER_PROGRAM, REAL_TIME};
use halfopen_tests::{page, program, root};
use libtest_mimic::Failed;

use crate::{kernel, same_build};

/// The case whose ladder README.md shows.
const LADDER: &str = "keepalive-peer-crashed/network=link,family=ipv4,detector_on=client";

pub fn ladder() -> Result<(), Failed> {
    let release = kernel()?.release;
    let drawings = tempfile::tempdir()?;
    let (case, folder) = (format!("={LADDER}"), drawings.path().display().to_string());
    let words = [
        "run", &case, "--time", "virtual", "--kernel", &release, "--svg", &folder,
    ];
    let ran = program::run(&program::halfopen(), &root(), &words);
    if ran.code != Some(0) {
        return Err(ran.to_string().into());
    }
    let file = format!("{}.svg", LADDER.replace('/', "--"));
    drawn(&drawings.path().join(file), "ladder.svg", &release)
}

/// Compares a drawing with that of docs/pictures, or replaces it.
fn drawn(new: &std::path::Path, name: &str, release: &str) -> Result<(), Failed> {
    let file = root().join("docs/pictures").join(name);
    let new = std::fs::read_to_string(new)?;
    if updates() {
        return Ok(std::fs::write(file, new)?);
    }
    let old = std::fs::read_to_string(&file)?;
    let differences = page::texts_differ(&old, &new, &tolerance(release));
    match differences.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "docs/pictures/{name} is stale; INSTA_UPDATE=always draws it anew\n{}",
            differences.join("\n")
        )
        .into()),
    }
}

fn updates() -> bool {
    std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always")
}

/// How far the times of a page may be from those of this build.
fn tolerance(release: &str) -> halfopen_outcome::tolerance::Tolerance {
    if same_build(release) {
        ANOTHER_PROGRAM
    } else {
        REAL_TIME
    }
}

/// Runs the command that a page names, by the real program, and holds the page
/// to it. INSTA_UPDATE=always writes the page anew.
pub fn shows(name: &str) -> Result<(), Failed> {
    let release = kernel()?.release;
    let file = root().join(name);
    let block = page::block(&file, page::GRID)?;
    let words = page::command(&block)?;
    // The README's grid is there as a drawing, too.
    let drawings = tempfile::tempdir()?;
    let svg = [String::from("--svg"), drawings.path().display().to_string()];
    let all: Vec<String> = words.iter().cloned().chain(svg).collect();
    let ran = program::run(&program::halfopen(), &root(), &all);
    if !matches!(ran.code, Some(0 | 1)) || ran.stdout.is_empty() {
        return Err(ran.to_string().into());
    }
    // A page says what was seen, not what could not be run here.
    if ran.stdout.contains("| not run |") {
        return Err(
            format!("some cases were not run\n  cure: ci/setup, ci/programs\n{ran}").into(),
        );
    }
    if name == "README.md" {
        drawn(&drawings.path().join("grid.svg"), "grid.svg", &release)?;
    }
    if updates() {
        return Ok(page::replace(&file, page::GRID, &ran.stdout)?);
    }
    let differences = page::differences(&block, &ran.stdout, &tolerance(&release));
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{name} is not what `halfopen {}` prints; INSTA_UPDATE=always writes it anew\n{}",
        words.join(" "),
        differences.join("\n")
    )
    .into())
}
