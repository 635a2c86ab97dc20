//! `--partition`: a part of the cases, so that several machines share a file. The
//! words are nextest's.

use halfopen_scenario::case::Case;

/// One part of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    by: By,
    /// From 1.
    part: u64,
    of: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A case's part follows from its name, whatever other cases there are.
    Hash,
    /// Cases are dealt out in their order.
    Count,
}

/// Parses `hash:2/5` or `count:2/5`.
pub(crate) fn partition(text: &str) -> Result<Partition, String> {
    const USAGE: &str = "write hash:2/5 or count:2/5, for the second of five parts";
    let (by, part) = text.split_once(':').ok_or(USAGE)?;
    let by = match by {
        "hash" => By::Hash,
        "count" => By::Count,
        _ => return Err(USAGE.into()),
    };
    let (part, of) = part.split_once('/').ok_or(USAGE)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| USAGE);
    let (part, of) = (number(part)?, number(of)?);
    if part == 0 || part > of {
        return Err(format!("there is no part {part} of {of}; {USAGE}"));
    }
    Ok(Partition { by, part, of })
}

impl Partition {
    /// The cases of this part, in their order.
    pub(crate) fn pick(self, cases: Vec<Case>) -> Vec<Case> {
        let cases = cases.into_iter().enumerate();
        cases
            .filter(|(index, case)| self.has(*index as u64, &case.id))
            .map(|(_, case)| case)
            .collect()
    }

    fn has(self, index: u64, id: &str) -> bool {
        let number = match self.by {
            By::Count => index,
            By::Hash => fnv(id),
        };
        number % self.of == self.part - 1
    }
}

/// FNV-1a: the same on every machine and in every version, unlike the standard
/// library's hashes.
fn fnv(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    text.bytes().fold(start, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_in_exactly_one_part() {
        for by in ["hash", "count"] {
            let parts: Vec<Partition> = (1..=3)
                .map(|part| partition(&format!("{by}:{part}/3")).expect("right"))
                .collect();
            let mut sizes = [0; 3];
            for index in 0..100 {
                let id = format!("case/{index}");
                let has: Vec<usize> = (0..3).filter(|&p| parts[p].has(index, &id)).collect();
                assert_eq!(has.len(), 1, "{by} {id}: {has:?}");
                sizes[has[0]] += 1;
            }
            assert!(sizes.iter().all(|size| *size > 15), "{by}: {sizes:?}");
        }
        // FNV-1a's published value.
        assert_eq!(fnv("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn wrong_parts_are_refused() {
        for text in [
            "2/5",
            "hash:0/5",
            "hash:6/5",
            "slice:1/2",
            "hash:x/5",
            "hash:1",
        ] {
            assert!(
                partition(text).is_err_and(|why| why.contains("hash:2/5")),
                "{text}"
            );
        }
    }
}
