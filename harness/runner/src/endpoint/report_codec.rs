//! Encodes reports for the pipe from endpoint to runner, and decodes them: postcard,
//! after a length.

use std::io;

use super::protocol::Report;

/// The longest report: a write() of up to PIPE_BUF bytes is atomic (pipe(7)), so
/// forked children can share the pipe.
pub(super) const MAX_REPORT: usize = nix::libc::PIPE_BUF;

/// A report's length, before its bytes.
type Head = [u8; 2];

/// Encodes a report into `buffer`, and returns its length there.
pub(super) fn encode(report: &Report, buffer: &mut [u8]) -> io::Result<usize> {
    let (head, body) = buffer.split_at_mut(size_of::<Head>());
    let length = match postcard::to_slice(report, body) {
        Ok(written) => written.len(),
        Err(postcard::Error::SerializeBufferFull) => {
            return Err(io::Error::other(
                "a report is longer than PIPE_BUF: shorten the names of marks and connections",
            ));
        }
        Err(e) => return Err(io::Error::other(format!("a report cannot be written: {e}"))),
    };
    let short = u16::try_from(length).map_err(io::Error::other)?;
    head.copy_from_slice(&short.to_le_bytes());
    Ok(head.len() + length)
}

/// Decodes the report that `bytes` begin with, and returns how many of them it is;
/// None when it has not arrived in full.
///
/// # Errors
/// InvalidData when it is no report.
pub(super) fn decode(bytes: &[u8]) -> io::Result<Option<(Report, usize)>> {
    let Some((head, rest)) = bytes.split_first_chunk::<{ size_of::<Head>() }>() else {
        return Ok(None);
    };
    let Some(body) = rest.get(..usize::from(u16::from_le_bytes(*head))) else {
        return Ok(None);
    };
    let report = postcard::from_bytes(body).map_err(|e| {
        let why = format!("a report cannot be read: {e}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })?;
    Ok(Some((report, head.len() + body.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_outcome::record::CallResult;

    #[test]
    fn a_report_is_decoded_as_it_was_encoded_and_only_in_full() {
        let report = Report::End {
            pid: 7,
            began: -1,
            at: i64::MAX,
            result: CallResult::Ready(vec!["socket:IN|RDHUP".into()]),
            limit_ns: Some(u64::MAX),
        };
        let mut buffer = [0; MAX_REPORT];
        let length = encode(&report, &mut buffer).expect("it is short");
        assert_eq!(
            decode(&buffer[..length]).expect("it is one"),
            Some((report, length))
        );
        for part in 0..length {
            assert_eq!(decode(&buffer[..part]).expect("a part of one"), None);
        }
        let stray = [2, 0, 0xff, 0xff];
        let e = decode(&stray).expect_err("no report has this number");
        assert_eq!(e.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_report_that_is_too_long_is_an_error_with_the_cure() {
        let report = Report::Mark {
            pid: 7,
            mark: "m".repeat(MAX_REPORT),
            at: 0,
        };
        let e = encode(&report, &mut [0; MAX_REPORT]).expect_err("it does not fit");
        assert!(e.to_string().contains("shorten"), "{e}");
    }
}
