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
        counts: None,
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
    assert_eq!(
        server.receive(&[CLIENT_BEAT], 100 * MS),
        0,
        "no answer is due"
    );
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
    assert_eq!(server.receive(&[CLIENT_BEAT, CLIENT_BEAT], 101 * MS), 2);
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
    client.receive(&[CLIENT_BEAT], 101 * MS);
    assert_eq!(client.check_silence(10_000 * MS), None);
    // The peer's own beat is no answer, whether it is to be answered or not.
    for (from, due) in [(HeartbeatSender::Both, 1), (HeartbeatSender::Client, 0)] {
        let mut client = heartbeat(&config(from, true), Role::Client);
        assert!(client.take_due_beat(100 * MS));
        assert_eq!(client.receive(&[SERVER_BEAT], 101 * MS), due);
        assert_eq!(client.check_silence(350 * MS), Some(100 * MS));
    }
}

#[test]
fn a_periodic_check_is_late_and_counts_checks() {
    let mut config = config(HeartbeatSender::Client, false);
    config.check_every = Some(Duration::from_millis(200));
    config.misses = 2;
    let mut server = heartbeat(&config, Role::Server);
    server.receive(&[CLIENT_BEAT], 100 * MS);
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
    server.receive(&[CLIENT_BEAT], 500 * MS);
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
    server.receive(&[b'a', CLIENT_BEAT, b'b'], MS);
    assert_eq!(server.take(1), b"a");
    assert_eq!(server.take(9), b"b");
    assert!(!server.has_data());
    let mut plain = HeartbeatState::new(None, Role::Server, 0);
    plain.receive(&[b'a', CLIENT_BEAT], MS);
    assert_eq!(plain.take(9), [b'a', CLIENT_BEAT]);
    assert_eq!(plain.next_due(), None);
}

#[test]
fn after_a_pause_one_beat_replaces_all() {
    let mut client = heartbeat(&config(HeartbeatSender::Client, false), Role::Client);
    assert!(client.take_due_beat(1_000 * MS));
    assert!(!client.take_due_beat(1_050 * MS));
    assert_eq!(client.next_due(), Some(1_100 * MS));
}

#[test]
fn what_counts_as_a_sign_of_life_can_be_chosen() {
    let silent = |counts, bytes: &[u8], sent: bool| {
        let mut config = config(HeartbeatSender::Client, true);
        config.counts = Some(counts);
        let mut client = heartbeat(&config, Role::Client);
        assert!(client.take_due_beat(100 * MS));
        client.receive(bytes, 200 * MS);
        if sent {
            client.data_sent(200 * MS);
        }
        client.check_silence(350 * MS).is_some()
    };
    assert!(silent(SignOfLife::Answer, b"data", false));
    assert!(!silent(SignOfLife::AnyByte, b"data", false));
    assert!(!silent(SignOfLife::AnyByte, &[SERVER_BEAT], false));
    assert!(silent(SignOfLife::AnyByte, b"", true));
    assert!(!silent(SignOfLife::OwnWrites, b"", true));
    assert!(!silent(SignOfLife::Beat, &[SERVER_BEAT], false));
}

#[test]
fn while_busy_beats_are_sent_until_the_answer_comes() {
    let mut config = config(HeartbeatSender::Both, true);
    config.when = BeatWhen::Busy;
    let mut client = heartbeat(&config, Role::Client);
    assert_eq!(client.next_due(), None, "nothing is owed");
    client.data_sent(50 * MS);
    assert_eq!(client.next_due(), Some(150 * MS));
    assert!(client.take_due_beat(150 * MS));
    client.receive(b"answer", 200 * MS);
    assert_eq!(client.next_due(), None);
    let mut server = heartbeat(&config, Role::Server);
    server.receive(b"request", 50 * MS);
    assert_eq!(server.next_due(), Some(150 * MS));
    server.data_sent(60 * MS);
    assert_eq!(server.next_due(), None);
}

#[test]
fn a_silence_that_is_put_up_with_counts_anew() {
    let mut config = config(HeartbeatSender::Client, true);
    config.on_silence = OnSilence::Nothing;
    let mut client = heartbeat(&config, Role::Client);
    assert!(client.take_due_beat(100 * MS));
    assert_eq!(client.check_silence(350 * MS), Some(100 * MS));
    client.put_up_with(350 * MS);
    assert_eq!(client.check_silence(350 * MS), None);
    assert!(client.take_due_beat(400 * MS), "beats go on");
    assert_eq!(client.check_silence(650 * MS), Some(400 * MS));
}
