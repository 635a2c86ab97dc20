//! Inputs that nobody wrote, for what reads files: the fixtures, changed by chance. Each
//! input follows from a seed and a number, so it can be made again. See ci/fuzz.
//!
//! Coverage does not guide the changes, as libFuzzer's would be: that needs a nightly
//! toolchain, and the project's is stable.

use std::path::Path;

use halfopen_predict::{KernelFacts, Version, predict};

use crate::oracle::dice::Dice;
use crate::oracle::plan::Plan;
use crate::oracle::trial::document;
use crate::root;

/// What is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Scenarios, and their cases to the predictor.
    Scenarios,
    /// Generated cases that are right, but for a number, to the predictor.
    Predictions,
    /// Baselines.
    Baselines,
    /// Files of sysctl.conf(5).
    Sysctls,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 4] = [
        Target::Scenarios,
        Target::Predictions,
        Target::Baselines,
        Target::Sysctls,
    ];

    /// Feeds it a text. A panic is a finding, and so is one that takes long.
    pub fn feed(self, text: &str) {
        match self {
            Target::Scenarios | Target::Predictions => {
                match halfopen_scenario::parse("fuzz.yaml", text) {
                    Ok(parsed) => predict_some(&parsed.cases),
                    Err(errors) => drop(errors.to_string()),
                }
            }
            Target::Baselines => {
                if let Err(errors) = halfopen_outcome::baseline::read(Path::new("fuzz"), text) {
                    drop(errors.to_string());
                }
            }
            Target::Sysctls => {
                if let Err(errors) = halfopen_scenario::sysctl_conf::parse("fuzz.conf", text) {
                    drop(errors.to_string());
                }
            }
        }
    }
}

/// How many cases of a file are predicted: a matrix may have thousands.
const MOST_CASES: usize = 4;

fn predict_some(cases: &[halfopen_scenario::case::Case]) {
    for case in cases.iter().take(MOST_CASES) {
        for version in [Version(5, 10), Version(7, 1)] {
            let _ = predict(case, &KernelFacts::new(version, 250));
        }
    }
}

/// Texts to begin with.
pub struct Corpus {
    scenarios: Vec<String>,
    baselines: Vec<String>,
    sysctls: Vec<String>,
}

const SYSCTLS: &str = "\
# what we want
net.ipv4.tcp_keepalive_time = 600
-net/ipv4/tcp_retries2=8
; vm.swappiness = 10
net.ipv4.conf.eth0.rp_filter = 1
net.ipv4.tcp_rmem = 4096 131072 6291456
";

const BASELINE: &str = "\
version: 1
series:
  - kernel: \"6.12\"
    hz: 250
    clock: virtual
    cases:
      killed:
        definition: 0123456789abcdef
        sign: { eof: true, call: read, after: 0s }
        states: [\"client ESTABLISHED\"]
";

impl Corpus {
    /// The checkout's fixtures, catalogue and programs.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load() -> std::io::Result<Self> {
        let mut scenarios = Vec::new();
        for file in ["scenarios.yaml", "programs.yaml"] {
            scenarios.extend(one_by_one(&std::fs::read_to_string(root().join(file))?));
        }
        for file in ["fixtures/impact.yaml", "fixtures/reports.yaml"] {
            scenarios.push(std::fs::read_to_string(root().join(file))?);
        }
        scenarios.extend(texts_in("fixtures/bad")?);
        let mut baselines = texts_in("fixtures/bad-baselines")?;
        baselines.push(BASELINE.into());
        Ok(Corpus {
            scenarios,
            baselines,
            sysctls: vec![SYSCTLS.into()],
        })
    }

    /// The input of this number: for which target, and its text.
    pub fn input(&self, seed: u64, number: u64) -> (Target, String) {
        let dice = &mut Dice::new(seed, number);
        // Scenarios are what people write.
        let target = match dice.from(1..=10) {
            1..=5 => Target::Scenarios,
            6..=7 => Target::Predictions,
            8..=9 => Target::Baselines,
            _ => Target::Sysctls,
        };
        let texts = match target {
            Target::Scenarios => &self.scenarios,
            Target::Predictions => return (target, generated(seed, number, dice)),
            Target::Baselines => &self.baselines,
            Target::Sysctls => &self.sysctls,
        };
        let mut text = one(texts, dice).to_owned();
        for _ in 0..dice.from(1..=6) {
            text = changed(&text, texts, dice);
        }
        (target, text)
    }
}

/// A case that is right, with up to three numbers changed.
fn generated(seed: u64, number: u64, dice: &mut Dice) -> String {
    let plan = Plan::generate(seed, number);
    let mut text = document(std::iter::once(("it", &plan)));
    for _ in 0..dice.from(0..=3) {
        text = with_another_number(&text, dice);
    }
    text
}

/// Short files of the kind that the corpus of a target needs.
fn texts_in(folder: &str) -> std::io::Result<Vec<String>> {
    const LONGEST: usize = 8 << 10;
    let entries = std::fs::read_dir(root().join(folder))?;
    let mut files: Vec<_> = entries.collect::<Result<Vec<_>, _>>()?;
    // In an order that is the same everywhere.
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut texts = Vec::new();
    for file in files {
        let bytes = std::fs::read(file.path())?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.len() <= LONGEST {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Each scenario of a file as a file of its own, with what stands before all of them.
fn one_by_one(file: &str) -> Vec<String> {
    let Some((head, scenarios)) = file.split_once("\nscenarios:\n") else {
        return vec![file.to_owned()];
    };
    let mut found: Vec<String> = Vec::new();
    for line in scenarios.lines() {
        let begins = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        if begins {
            found.push(format!("{head}\nscenarios:\n"));
        }
        if let Some(last) = found.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    found
}

fn one<'a>(texts: &'a [String], dice: &mut Dice) -> &'a str {
    let last = u32::try_from(texts.len()).unwrap_or(1).max(1) - 1;
    texts
        .get(dice.from(0..=last) as usize)
        .map_or("", String::as_str)
}

/// A text with one change.
fn changed(text: &str, others: &[String], dice: &mut Dice) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let line = |dice: &mut Dice, lines: &[&str]| {
        let last = u32::try_from(lines.len()).unwrap_or(1).max(1) - 1;
        dice.from(0..=last) as usize
    };
    let at = line(dice, &lines);
    match dice.from(1..=8) {
        1 if !lines.is_empty() => {
            lines.remove(at);
        }
        2 if !lines.is_empty() => lines.insert(at, lines[at]),
        3 if !lines.is_empty() => {
            let to = line(dice, &lines);
            lines.swap(at, to);
        }
        // A line of another file, as it is indented there.
        4 => {
            let other: Vec<&str> = one(others, dice).lines().collect();
            if !other.is_empty() {
                lines.insert(at.min(lines.len()), other[line(dice, &other)]);
            }
        }
        5 => return with_another_word(text, one(others, dice), dice),
        6 => return with_another_number(text, dice),
        7 => return with_a_sign(text, dice),
        _ => {
            // Half of it, and the rest of another.
            lines.truncate(at);
            let other: Vec<&str> = one(others, dice).lines().collect();
            let from = line(dice, &other).min(other.len());
            lines.extend(&other[from..]);
        }
    }
    lines.join("\n") + "\n"
}

/// A text in which one word is another one.
fn with_another_word(text: &str, other: &str, dice: &mut Dice) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let words = |text: &str| -> Vec<(usize, String)> {
        let found = text.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        found.map(|word| (start(word), word.to_owned())).collect()
    };
    let (ours, theirs) = (words(text), words(other));
    if ours.is_empty() || theirs.is_empty() {
        return text.to_owned();
    }
    let pick = |dice: &mut Dice, of: &[(usize, String)]| {
        let last = u32::try_from(of.len() - 1).unwrap_or(0);
        of[dice.from(0..=last) as usize].clone()
    };
    let (start, word) = pick(dice, &ours);
    let (_, new) = pick(dice, &theirs);
    format!("{}{new}{}", &text[..start], &text[start + word.len()..])
}

/// A text in which one number is another one.
fn with_another_number(text: &str, dice: &mut Dice) -> String {
    const NUMBERS: [&str; 12] = [
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "127",
        "255",
        "65536",
        "2147483648",
        "4294967296",
        "9223372036854775808",
        "99999999999999999999",
    ];
    let starts: Vec<usize> = (text.char_indices())
        .filter(|&(at, c)| {
            c.is_ascii_digit() && !text[..at].ends_with(|c: char| c.is_ascii_digit())
        })
        .map(|(at, _)| at)
        .collect();
    if starts.is_empty() {
        return text.to_owned();
    }
    let last = u32::try_from(starts.len() - 1).unwrap_or(0);
    let start = starts[dice.from(0..=last) as usize];
    let rest = text[start..].trim_start_matches(|c: char| c.is_ascii_digit());
    let new = match dice.percent(50) {
        true => dice.one_of(&NUMBERS).to_owned(),
        false => dice.magnitude(1..=100_000_000).to_string(),
    };
    format!("{}{new}{rest}", &text[..start])
}

/// A text with a character that means something, at any place.
fn with_a_sign(text: &str, dice: &mut Dice) -> String {
    const SIGNS: [&str; 18] = [
        "{", "}", "[", "]", ":", ",", "-", "#", "&a", "*a", "!", "|", "\"", "'", "\t", "\u{0}",
        "ä", "${",
    ];
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let last = u32::try_from(places.len()).unwrap_or(1).max(1) - 1;
    let at = places
        .get(dice.from(0..=last) as usize)
        .copied()
        .unwrap_or(0);
    format!("{}{}{}", &text[..at], dice.one_of(&SIGNS), &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_repeat_and_differ() -> std::io::Result<()> {
        let corpus = Corpus::load()?;
        let inputs = |seed| -> Vec<(Target, String)> {
            (0..200).map(|number| corpus.input(seed, number)).collect()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        for target in Target::ALL {
            assert!(inputs(1).iter().any(|(t, _)| *t == target), "{target:?}");
        }
        Ok(())
    }

    /// The generator's own cases are right, and so is one in a few of the changed ones:
    /// a reader that refuses everything finds nothing.
    #[test]
    fn some_inputs_are_right() -> std::io::Result<()> {
        let corpus = Corpus::load()?;
        for (target, least) in [(Target::Scenarios, 10), (Target::Predictions, 100)] {
            let all = (0..2000).map(|number| corpus.input(1, number));
            let right = all
                .filter(|(of, _)| *of == target)
                .filter(|(_, text)| halfopen_scenario::parse("x.yaml", text).is_ok());
            let right = right.count();
            assert!(right >= least, "{target:?}: {right}");
        }
        Ok(())
    }
}
