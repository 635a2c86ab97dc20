//! Hearts, told the time.

use super::*;
use halfopen_scenario::case::OnSilence;

const MS: i64 = 1_000_000;

fn config(from: HeartbeatSender, answered: bool) -> Heartbeat {
    Heartbeat {
        every: Duration::from_millis(100),
        timeout: Duration::from_millis(250),
        check_every: None,
        misses: 1,
        from,
        answered,
        when: BeatWhen::Always,
        on_silence: OnSilence::Close,
        reconnect: None,
    }
}

fn heart(config: &Heartbeat, end: End) -> Heart {
    Heart::new(Some(config), end, 0)
}

#[test]
fn one_way_the_client_beats_and_the_server_looks() {
    let config = config(HeartbeatSender::Client, false);
    let (mut client, mut server) = (heart(&config, End::Client), heart(&config, End::Server));
    assert_eq!(client.due(), Some(100 * MS));
    assert!(!client.beats(99 * MS) && client.beats(100 * MS));
    assert_eq!(client.looks(10_000 * MS), None, "it cannot know anything");
    assert!(!server.beats(10_000 * MS));
    assert_eq!(server.hear(&[BEAT], 100 * MS), 0, "no answer is due");
    assert_eq!(server.due(), Some(350 * MS));
    assert_eq!(server.looks(349 * MS), None);
    assert_eq!(server.looks(350 * MS), Some(100 * MS));
}

#[test]
fn with_answers_the_sender_looks_from_its_first_unanswered_beat_on() {
    let config = config(HeartbeatSender::Client, true);
    let (mut client, mut server) = (heart(&config, End::Client), heart(&config, End::Server));
    assert!(client.beats(100 * MS));
    assert_eq!(server.hear(&[BEAT, BEAT], 101 * MS), 2);
    assert_eq!(server.looks(10_000 * MS), None);
    assert_eq!(client.hear(&[ANSWER], 102 * MS), 0);
    assert!(client.beats(200 * MS) && client.beats(300 * MS));
    assert_eq!(client.looks(449 * MS), None);
    assert_eq!(client.looks(450 * MS), Some(200 * MS));
}

#[test]
fn a_peer_that_echoes_beats_answers_them() {
    let mut client = heart(&config(HeartbeatSender::Client, true), End::Client);
    assert!(client.beats(100 * MS));
    client.hear(&[BEAT], 101 * MS);
    assert_eq!(client.looks(10_000 * MS), None);
    // Where both beat, the peer's own beat answers nothing.
    let mut client = heart(&config(HeartbeatSender::Both, true), End::Client);
    assert!(client.beats(100 * MS));
    assert_eq!(client.hear(&[BEAT], 101 * MS), 1);
    assert_eq!(client.looks(350 * MS), Some(100 * MS));
}

#[test]
fn a_checker_that_polls_is_late_and_counts_looks() {
    let mut config = config(HeartbeatSender::Client, false);
    config.check_every = Some(Duration::from_millis(200));
    config.misses = 2;
    let mut server = heart(&config, End::Server);
    server.hear(&[BEAT], 100 * MS);
    assert_eq!(server.looks(200 * MS), None);
    assert_eq!(server.looks(400 * MS), None, "300 ms old: the first miss");
    assert_eq!(server.looks(500 * MS), None, "between two looks");
    assert_eq!(server.looks(600 * MS), Some(100 * MS));
    // A good look in between starts anew; looks that were slept through are one.
    let mut server = heart(&config, End::Server);
    assert_eq!(server.looks(400 * MS), None);
    server.hear(&[BEAT], 500 * MS);
    assert_eq!(server.looks(600 * MS), None);
    assert_eq!(server.looks(5_000 * MS), None);
    assert_eq!(server.looks(5_200 * MS), Some(500 * MS));
}

#[test]
fn misses_without_polling_come_one_beat_apart() {
    let mut config = config(HeartbeatSender::Client, false);
    config.misses = 3;
    let mut server = heart(&config, End::Server);
    assert_eq!(server.looks(250 * MS), None);
    assert_eq!(server.due(), Some(350 * MS));
    assert_eq!(server.looks(350 * MS), None);
    assert_eq!(server.looks(450 * MS), Some(0));
}

#[test]
fn an_idle_heart_takes_data_for_life_and_for_a_beat() {
    let mut config = config(HeartbeatSender::Client, false);
    config.when = BeatWhen::Idle;
    let (mut client, mut server) = (heart(&config, End::Client), heart(&config, End::Server));
    client.sent(60 * MS);
    assert!(!client.beats(100 * MS) && client.beats(160 * MS));
    server.hear(b"data", 200 * MS);
    assert_eq!(server.due(), Some(450 * MS));
    // One that always beats does not.
    config.when = BeatWhen::Always;
    let mut server = heart(&config, End::Server);
    server.hear(b"data", 200 * MS);
    assert_eq!(server.looks(250 * MS), Some(0));
}

#[test]
fn data_and_beats_part() {
    let mut server = heart(&config(HeartbeatSender::Client, false), End::Server);
    server.hear(&[b'a', BEAT, b'b'], MS);
    assert_eq!(server.take(1), b"a");
    assert_eq!(server.take(9), b"b");
    assert!(!server.has_data());
    let mut plain = Heart::new(None, End::Server, 0);
    plain.hear(&[b'a', BEAT], MS);
    assert_eq!(plain.take(9), [b'a', BEAT]);
    assert_eq!(plain.due(), None);
}

#[test]
fn after_a_pause_one_beat_stands_for_all() {
    let mut client = heart(&config(HeartbeatSender::Client, false), End::Client);
    assert!(client.beats(1_000 * MS));
    assert!(!client.beats(1_050 * MS));
    assert_eq!(client.due(), Some(1_100 * MS));
}
