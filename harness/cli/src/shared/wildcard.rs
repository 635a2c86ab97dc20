//! Matches names against patterns with `*` (any characters, or none) and `?`
//! (one character). A pattern matches a name as a whole.

/// Whether text is a pattern at all.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a pattern matches a name.
///
/// Greedy with one point of return: when the rest does not match, the last `*`
/// takes one character more. Earlier ones need not be tried again, because what
/// they could take the last one can take as well. So the time is at most the
/// product of both lengths, whatever the pattern.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Behind the last `*`, and where in the name it has stopped taking.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some('*'), _) => {
                p += 1;
                star = Some((p, n));
            }
            (Some(c), _) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((after, taken))) => {
                p = after;
                n = taken + 1;
                star = Some((after, n));
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "anything"),
            (
                "host*/detector=*-?-1-3",
                "host-crash/detector=keepalive-2-1-3",
            ),
            ("a*b*c", "abbbxbc"),
            ("*a*a*", "aa"),
            ("?", "ü"),
            ("a**b", "ab"),
            ("*=ipv6", "x=ipv4=ipv6"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("?", ""),
            ("?", "ab"),
            ("host*keepalive", "host-crash/keepalive-2"),
            ("a.c*", "abc"),
            ("a*b", "a"),
            ("*b", "ba"),
            ("", "a"),
            ("[a]*", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(1000), &"a".repeat(999)));
        assert!(matches(&"*a".repeat(1000), &"a".repeat(1000)));
    }
}
