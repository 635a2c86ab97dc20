//! Tests of heartbeats, with times passed in.

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

fn heartbeat(config: &Heartbeat, role: Role) -> HeartbeatState {
    HeartbeatState::new(Some(config), role, 0)
}

#[test]
fn one_way_the_client_sends_and_the_server_checks() {
    let config = config(HeartbeatSender::Client, false);
    let (mut client, mut server) = (
        heartbeat(&config, Role::Client),
        heartbeat(&config, Role::Server),
    );
    assert_eq!(client.next_due(), Some(100 * MS));
    assert!(!client.take_due_beat(99 * MS) && client.take_due_beat(100 * MS));
    assert_eq!(
        client.check_silence(10_000 * MS),
        None,
        "it cannot know anything"
    );
    assert!(!server.take_due_beat(10_000 * MS));
    assert_eq!(server.receive(&[BEAT], 100 * MS), 0, "no answer is due");
    assert_eq!(server.next_due(), Some(350 * MS));
    assert_eq!(server.check_silence(349 * MS), None);
    assert_eq!(server.check_silence(350 * MS), Some(100 * MS));
}

#[test]
fn with_answers_the_sender_checks_from_its_first_unanswered_beat_on() {
    let config = config(HeartbeatSender::Client, true);
    let (mut client, mut server) = (
        heartbeat(&config, Role::Client),
        heartbeat(&config, Role::Server),
    );
    assert!(client.take_due_beat(100 * MS));
    assert_eq!(server.receive(&[BEAT, BEAT], 101 * MS), 2);
    assert_eq!(server.check_silence(10_000 * MS), None);
    assert_eq!(client.receive(&[ANSWER], 102 * MS), 0);
    assert!(client.take_due_beat(200 * MS) && client.take_due_beat(300 * MS));
    assert_eq!(client.check_silence(449 * MS), None);
    assert_eq!(client.check_silence(450 * MS), Some(200 * MS));
}

#[test]
fn a_peer_that_echoes_beats_answers_them() {
    let mut client = heartbeat(&config(HeartbeatSender::Client, true), Role::Client);
    assert!(client.take_due_beat(100 * MS));
    client.receive(&[BEAT], 101 * MS);
    assert_eq!(client.check_silence(10_000 * MS), None);
    // Where both send beats, the peer's own beat is no answer.
    let mut client = heartbeat(&config(HeartbeatSender::Both, true), Role::Client);
    assert!(client.take_due_beat(100 * MS));
    assert_eq!(client.receive(&[BEAT], 101 * MS), 1);
    assert_eq!(client.check_silence(350 * MS), Some(100 * MS));
}

#[test]
fn a_periodic_check_is_late_and_counts_checks() {
    let mut config = config(HeartbeatSender::Client, false);
    config.check_every = Some(Duration::from_millis(200));
    config.misses = 2;
    let mut server = heartbeat(&config, Role::Server);
    server.receive(&[BEAT], 100 * MS);
    assert_eq!(server.check_silence(200 * MS), None);
    assert_eq!(
        server.check_silence(400 * MS),
        None,
        "300 ms old: the first miss"
    );
    assert_eq!(server.check_silence(500 * MS), None, "between two checks");
    assert_eq!(server.check_silence(600 * MS), Some(100 * MS));
    // A check without a miss starts anew; checks that were slept through are one.
    let mut server = heartbeat(&config, Role::Server);
    assert_eq!(server.check_silence(400 * MS), None);
    server.receive(&[BEAT], 500 * MS);
    assert_eq!(server.check_silence(600 * MS), None);
    assert_eq!(server.check_silence(5_000 * MS), None);
    assert_eq!(server.check_silence(5_200 * MS), Some(500 * MS));
}

#[test]
fn misses_without_polling_come_one_beat_apart() {
    let mut config = config(HeartbeatSender::Client, false);
    config.misses = 3;
    let mut server = heartbeat(&config, Role::Server);
    assert_eq!(server.check_silence(250 * MS), None);
    assert_eq!(server.next_due(), Some(350 * MS));
    assert_eq!(server.check_silence(350 * MS), None);
    assert_eq!(server.check_silence(450 * MS), Some(0));
}

#[test]
fn on_idle_connections_data_counts_as_a_beat() {
    let mut config = config(HeartbeatSender::Client, false);
    config.when = BeatWhen::Idle;
    let (mut client, mut server) = (
        heartbeat(&config, Role::Client),
        heartbeat(&config, Role::Server),
    );
    client.data_sent(60 * MS);
    assert!(!client.take_due_beat(100 * MS) && client.take_due_beat(160 * MS));
    server.receive(b"data", 200 * MS);
    assert_eq!(server.next_due(), Some(450 * MS));
    // Not where beats are always sent.
    config.when = BeatWhen::Always;
    let mut server = heartbeat(&config, Role::Server);
    server.receive(b"data", 200 * MS);
    assert_eq!(server.check_silence(250 * MS), Some(0));
}

#[test]
fn data_and_beats_are_separated() {
    let mut server = heartbeat(&config(HeartbeatSender::Client, false), Role::Server);
    server.receive(&[b'a', BEAT, b'b'], MS);
    assert_eq!(server.take(1), b"a");
    assert_eq!(server.take(9), b"b");
    assert!(!server.has_data());
    let mut plain = HeartbeatState::new(None, Role::Server, 0);
    plain.receive(&[b'a', BEAT], MS);
    assert_eq!(plain.take(9), [b'a', BEAT]);
    assert_eq!(plain.next_due(), None);
}

#[test]
fn after_a_pause_one_beat_replaces_all() {
    let mut client = heartbeat(&config(HeartbeatSender::Client, false), Role::Client);
    assert!(client.take_due_beat(1_000 * MS));
    assert!(!client.take_due_beat(1_050 * MS));
    assert_eq!(client.next_due(), Some(1_100 * MS));
}
