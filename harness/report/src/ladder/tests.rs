use super::*;
use halfopen_outcome::record::Verdict;
use halfopen_outcome::testing;

#[test]
fn a_crash() {
    let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    insta::assert_snapshot!(render(&outcome, &WHOLE));
}

#[test]
fn the_middle_is_left_out() {
    let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    let view = View {
        most_rows: 4,
        from_fault: true,
        ..EVIDENCE
    };
    insta::assert_snapshot!(render(&outcome, &view));
}

#[test]
fn evidence_shows_what_was_under_way() {
    let outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    let text = render(&outcome, &EVIDENCE);
    assert!(text.contains("read() never returned"), "{text}");
    assert!(!text.contains("connect()"), "{text}");
}

#[test]
fn a_router_stands_between_the_hosts() {
    let mut outcome = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    for packet in &mut outcome.wire.packets {
        packet.cable = format!("{}-gw-1", packet.from);
    }
    assert_eq!(hosts(&outcome), ["client", "gw-1", "server"]);
    assert!(render(&outcome, &WHOLE).contains("SYN+ACK"));
}

#[test]
fn nothing_recorded_is_drawn_too() {
    let text = render(&testing::failed(), &WHOLE);
    assert!(
        text.starts_with("times in seconds since the start"),
        "{text}"
    );
}
