use super::items::What;
use super::*;
use halfopen_outcome::testing;

fn drawn() -> Vec<(Outcome, String)> {
    let outcomes = testing::all().into_iter();
    outcomes
        .filter_map(|outcome| Some((outcome.clone(), file(&outcome)?)))
        .collect()
}

#[test]
fn every_packet_has_its_arrow_and_a_lost_one_its_cross() {
    let mut lost = 0;
    for (outcome, svg) in drawn() {
        let hosts = ladder::hosts(&outcome);
        let between = |from: &str| hosts.iter().any(|host| host == from);
        let packets = outcome.wire.packets.iter().filter(|p| between(&p.from));
        assert_eq!(
            svg.matches("class=\"tip").count(),
            packets.clone().count(),
            "{}",
            outcome.id
        );
        let missing = packets.filter(|p| p.delivered_ns.is_none()).count();
        assert_eq!(svg.matches("m0 -8l-8 8").count(), missing, "{}", outcome.id);
        lost += missing;
    }
    assert!(lost > 0, "the fixtures have a lost packet");
}

#[test]
fn what_is_not_run_is_not_drawn() {
    assert_eq!(file(&testing::not_run()), None);
    assert_eq!(file(&testing::failed()), None);
}

#[test]
fn texts_of_a_column_do_not_overlap_and_time_runs_down() {
    for (outcome, _) in drawn() {
        let hosts = ladder::hosts(&outcome);
        let placed = layout::place(items::of(&outcome, &hosts), hosts.len());
        let mut last: std::collections::BTreeMap<usize, f64> = Default::default();
        let mut before = (i64::MIN, 0.0);
        for (y, item) in &placed.items {
            assert!(item.at_ns >= before.0 && *y >= before.1, "{}", outcome.id);
            before = (item.at_ns, *y);
            if let What::Text { host, .. } | What::Began { host, .. } | What::Returned { host, .. } =
                &item.what
                && let Some(above) = last.insert(*host, *y)
            {
                assert!(y - above >= layout::ROW, "{}: {above} and {y}", outcome.id);
            }
        }
    }
}

#[test]
fn the_table_has_what_the_drawing_has() {
    for (outcome, svg) in drawn() {
        for row in rows(&outcome) {
            let label = crate::svg::escaped(&row.what);
            let begins: String = label.chars().take(30).collect();
            let shown = row.what.starts_with("sockets ") || svg.contains(&begins);
            assert!(shown, "{}: {}", outcome.id, row.what);
        }
    }
}

#[test]
fn the_first_sign_is_marked() {
    let crash = testing::not_the_book();
    let svg = file(&crash).expect("it ran");
    assert_eq!(svg.matches("class=\"l first\"").count(), 1, "{svg}");
}

#[test]
fn a_very_long_case_is_shortened_in_the_middle() {
    let mut long = testing::not_the_book();
    let packet = long.wire.packets[0].clone();
    long.wire.packets = vec![packet; 5_000];
    let svg = file(&long).expect("it ran");
    assert!(svg.contains("more events are left out"));
    assert!(svg.matches("class=\"tip").count() < 500);
}
