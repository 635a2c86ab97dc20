//! Spelling of names, and suggestions for misspelt ones.

use super::error::{Problem, Span};
use super::scalar::Refusal;

/// The one of `known` that is nearest to `word`, if one is near.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = |name: &&str| {
        let distance = strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
        // At most a third of the word may differ: otherwise everything is near `on`.
        (
            distance,
            distance <= (name.chars().count().max(word.chars().count()) / 3).max(1),
        )
    };
    known
        .into_iter()
        .map(|name| (near(&name), name))
        .filter(|((_, close), name)| *close && name.chars().count() > 1)
        .min_by_key(|((distance, _), _)| *distance)
        .map(|(_, name)| name)
}

/// Words that other tools and other people have for the same thing, and ours.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("bandwidth", &["rate"]),
    ("bind", &["listen"]),
    ("block", &["drop"]),
    ("description", &["about"]),
    ("disconnect", &["close", "cut"]),
    ("duration", &["give_up"]),
    ("error", &["errno"]),
    ("host", &["to", "on"]),
    ("interval", &["every"]),
    ("intvl", &["interval"]),
    ("latency", &["delay"]),
    ("links", &["cables"]),
    ("nodes", &["hosts"]),
    ("open", &["connect"]),
    ("partition", &["cut"]),
    ("pause", &["sleep", "freeze"]),
    ("percent", &["probability", "loss"]),
    ("port", &["dport"]),
    ("poweroff", &["crash"]),
    ("power_off", &["crash"]),
    ("probes", &["count"]),
    ("receive", &["read"]),
    ("recv", &["read"]),
    ("send", &["write"]),
    ("size", &["connections", "bytes"]),
    ("shutdown", &["half_close"]),
    ("stop", &["freeze"]),
    ("time", &["at", "idle"]),
    ("timeout", &["give_up"]),
    ("unplug", &["cut"]),
    ("wait", &["sleep"]),
];

/// "did you mean ...", if a known name is near, or another word for the same.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let synonym = || {
        let (_, ours) = SYNONYMS.iter().find(|(other, _)| *other == word)?;
        ours.iter().copied().find(|name| known.contains(name))
    };
    let meant = synonym().or_else(|| nearest(word, known.iter().copied()));
    meant.map(|name| format!("did you mean `{name}`?"))
}

/// "one of: a, b" for messages.
pub fn one_of<'k>(known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match known.as_slice() {
        [] => "nothing: there is none".to_owned(),
        [only] => format!("`{only}`"),
        _ => format!("one of: {}", known.join(", ")),
    }
}

/// `a` or `an`, before a word.
pub fn article(word: &str) -> &'static str {
    match word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    }
}

/// "crash (twice), cut" for messages: names that may occur more than once.
pub fn counted<'k>(known: impl IntoIterator<Item = &'k str>) -> String {
    let mut counts: indexmap::IndexMap<&str, usize> = indexmap::IndexMap::new();
    for name in known {
        *counts.entry(name).or_default() += 1;
    }
    let names: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| match count {
            1 => name.to_owned(),
            2 => format!("{name} (twice)"),
            count => format!("{name} ({count} times)"),
        })
        .collect();
    names.join(", ")
}

/// A name: lower-case words joined by hyphens.
///
/// # Errors
///
/// Any other spelling, with one that is accepted.
pub fn kebab(text: &str) -> Result<String, Refusal> {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.split('-').all(word) {
        return Ok(text.to_owned());
    }
    let mut better = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            better.push(c.to_ascii_lowercase());
        } else if !better.is_empty() && !better.ends_with('-') {
            better.push('-');
        }
    }
    let better = better.trim_end_matches('-');
    let message = format!("the name `{text}` is not in kebab-case");
    if better.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err(Refusal::with(message, format!("write `{better}`")))
    } else {
        Err(Refusal::new(message))
    }
}

/// The problem of a key that [`kebab`] refuses.
pub fn not_kebab(span: Span, refusal: Refusal) -> Problem {
    Problem::new(span, refusal.message)
        .expected("lower-case words joined by hyphens, such as `host-crash`")
        .maybe_help(refusal.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        for good in ["a", "host-crash", "keepalive-2-1-3", "x9"] {
            assert_eq!(kebab(good).as_deref(), Ok(good));
        }
        assert_eq!(
            kebab("Host_Crash").expect_err("upper case").help.as_deref(),
            Some("write `host-crash`")
        );
        for bad in ["", "-a", "a-", "a--b", "9a", "ä", "a b"] {
            assert!(kebab(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("servr", ["client", "server"]), Some("server"));
        assert_eq!(nearest("banana", ["client", "server"]), None);
        let meant = |word| did_you_mean(word, ["write", "read", "give_up"]);
        assert_eq!(meant("send").as_deref(), Some("did you mean `write`?"));
        assert_eq!(meant("unplug"), None, "`cut` is not known here");
        assert_eq!(nearest("ETIMEOUT", ["EIO", "ETIMEDOUT"]), Some("ETIMEDOUT"));
    }
}
