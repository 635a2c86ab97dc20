//! `ci/action`, what the GitHub action does: in a folder that looks like a runner's,
//! with a `gh` that writes down what it was asked.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use halfopen_tests::program::{Ran, halfopen};
use halfopen_tests::root;

use crate::place::{Place, QUICK};

const GH: &str = "#!/bin/sh
printf '%s\\n' \"$@\" >> asked
for word; do last=$word; done
cat \"$last\" >> asked
";

/// Runs it for a pull request.
fn act(place: &Place, settings: &[(&str, &str)]) -> Ran {
    place.write("gh", GH);
    let gh = place.path().join("gh");
    std::fs::set_permissions(&gh, std::fs::Permissions::from_mode(0o755)).expect("its own file");
    let program = halfopen();
    let path = format!(
        "{}:{}:{}",
        place.path().display(),
        program.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new(root().join("ci/action"))
        .current_dir(place.path())
        .env("PATH", path)
        .env("RUNNER_TEMP", place.path().join("temp"))
        .env("GITHUB_OUTPUT", place.path().join("output"))
        .env("GITHUB_STEP_SUMMARY", place.path().join("summary"))
        .env("GITHUB_REPOSITORY", "owner/name")
        .env("FILE", "scenarios.yaml")
        .envs(settings.iter().copied())
        .output();
    Ran::of(&output.unwrap_or_else(|e| panic!("{e}")))
}

fn read(place: &Place, name: &str) -> String {
    let text = std::fs::read_to_string(place.path().join(name));
    text.unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn a_pull_request_gets_summary_comment_and_page() {
    let place = Place::with(QUICK);
    let saved = place.halfopen("run --save base.yaml");
    assert_eq!(saved.code, Some(0), "{saved}");
    // A client that connects to another port notices nothing of the kind any more.
    place.write("scenarios.yaml", &QUICK.replace("port: 7001", "port: 7000"));
    let acted = act(&place, &[("BASELINE", "base.yaml"), ("PULL_REQUEST", "12")]);
    assert_eq!(acted.code, Some(1), "{acted}");
    let summary = read(&place, "summary");
    assert!(summary.contains("refused/network=link"), "{summary}");
    let asked = read(&place, "asked");
    assert!(
        asked.starts_with("pr\ncomment\n12\n--repo\nowner/name\n"),
        "{asked}"
    );
    assert!(asked.contains(&summary), "{asked}");
    let page = read(&place, "temp/halfopen-results/page.html");
    assert!(page.contains("What has changed"));
    let junit = read(&place, "temp/halfopen-results/junit.xml");
    assert!(junit.contains("refused"), "{junit}");
    let packets = place.path().join("temp/halfopen-results/packets");
    assert!(packets.read_dir().expect("is made").count() > 0);
    assert!(read(&place, "output").starts_with("directory="));
}

#[test]
fn without_a_pull_request_nobody_is_told() {
    let place = Place::with(QUICK);
    let acted = act(&place, &[("ARGUMENTS", "killed --jobs 1")]);
    assert_eq!(acted.code, Some(0), "{acted}");
    assert!(!place.path().join("asked").exists());
    let summary = read(&place, "summary");
    assert!(
        summary.contains("`killed`") && !summary.contains("refused"),
        "{summary}"
    );
}

#[test]
fn the_action_runs_the_script_that_is_tested() {
    let action = std::fs::read_to_string(root().join("action.yml")).expect("it is there");
    assert!(action.contains("$GITHUB_ACTION_PATH/ci/action"));
    for setting in [
        "FILE",
        "BASELINE",
        "ARGUMENTS",
        "COMMENT",
        "PULL_REQUEST",
        "GH_TOKEN",
    ] {
        assert!(
            action.contains(&format!("        {setting}: ")),
            "{setting}"
        );
    }
}
