//! What somebody begins with: `init`, `explain`, and what a package installs beside
//! the program, `completions` and `man`.

use std::process::Command;
use std::thread;

use crate::place::Place;
use halfopen_tests::program::halfopen;

const TEMPLATES: [&str; 6] = ["crash", "nat", "failover", "pool", "heartbeat", "program"];

/// Each template is right, every one of its cases runs, and goes as predicted. Side by
/// side, for they mostly wait.
#[test]
fn each_template_is_right_and_runs() {
    thread::scope(|scope| {
        let runs = TEMPLATES.map(|template| {
            scope.spawn(move || {
                let place = Place::empty();
                let wrote = place.halfopen(&format!("init my.yaml --from-template {template}"));
                assert_eq!(wrote.code, Some(0), "{template}: {wrote}");
                let check = place.halfopen("check my.yaml");
                assert_eq!(check.code, Some(0), "{template}: {check}");
                let ran = place.halfopen("run my.yaml --format json");
                assert_eq!(ran.code, Some(0), "{template}: {ran}");
                let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
                let cases = json["cases"].as_array().expect("cases");
                for case in cases {
                    assert_eq!(case["status"], "ran", "{template}: {case}");
                }
                let signs: Vec<_> = cases.iter().map(|c| &c["first_sign"]["outcome"]).collect();
                // One that shows nothing teaches nothing.
                assert!(
                    signs.iter().any(|sign| *sign != "unnoticed"),
                    "{template}: {signs:?}"
                );
            })
        });
        for run in runs {
            run.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[test]
fn init_overwrites_nothing_and_names_the_schema() {
    let place = Place::empty();
    assert_eq!(place.halfopen("init").code, Some(0));
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).expect(name);
    let first = read("scenarios.yaml");
    assert!(
        first.starts_with("# yaml-language-server: $schema=scenarios.schema.json\n"),
        "{first}"
    );
    let schema: serde_json::Value =
        serde_json::from_str(&read("scenarios.schema.json")).expect("JSON");
    assert!(schema["properties"]["scenarios"].is_object(), "{schema}");

    place.write("scenarios.yaml", "mine");
    let again = place.halfopen("init");
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.stderr.contains("is there already"), "{again}");
    assert_eq!(read("scenarios.yaml"), "mine");
    assert_eq!(place.halfopen("init nowhere/x.yaml").code, Some(2));
}

#[test]
fn explain_tells_one_case() {
    let place = Place::empty();
    let told = place.halfopen("explain host-crash-client-silent --kernel 6.12");
    assert_eq!(told.code, Some(0), "{told}");
    for part in [
        "The hosts client and server",
        "crash server",
        "By the rules of Linux 6.12",
    ] {
        assert!(told.stdout.contains(part), "{part}: {told}");
    }
    assert_eq!(place.halfopen("explain no-such-case").code, Some(2));
}

/// Bash itself completes with what is printed.
#[test]
fn completions_complete() {
    let script = "source <(\"$0\" completions bash); COMP_WORDS=(halfopen gri); COMP_CWORD=1; \
                  _halfopen halfopen gri halfopen; echo \"${COMPREPLY[@]}\"";
    let ran = Command::new("bash")
        .args(["-c", script])
        .arg(halfopen())
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "grid");
    for shell in ["zsh", "fish"] {
        let said = Place::empty().halfopen(&format!("completions {shell}"));
        assert!(
            said.code == Some(0) && said.stdout.contains("html"),
            "{said}"
        );
    }
}

#[test]
fn every_command_has_a_man_page() {
    let place = Place::empty();
    assert_eq!(place.halfopen("man pages/man1").code, Some(0));
    let help = place.halfopen("--help").stdout;
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next());
    let mut seen = 0;
    for line in commands.expect("--help lists them").lines() {
        let Some(name) = line.strip_prefix("  ").filter(|l| !l.starts_with(' ')) else {
            continue;
        };
        let name = name.split_whitespace().next().unwrap_or_default();
        if name == "help" {
            continue;
        }
        let page = place.path().join(format!("pages/man1/halfopen-{name}.1"));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{text}");
        seen += 1;
    }
    assert!(seen > 12, "{help}");
}

/// Where a page cannot be written is said before anything is run.
#[test]
fn a_page_that_has_no_place_is_refused() {
    let place = Place::with(crate::place::QUICK);
    for words in [
        "run --html nowhere/x.html",
        "run --html .",
        "grid --html nowhere/x.html",
        "exec --time virtual --html x.html -- true",
    ] {
        let refused = place.halfopen(words);
        assert_eq!(refused.code, Some(2), "{words}: {refused}");
        assert!(
            refused.stdout.is_empty() && refused.stderr.contains("--html"),
            "{refused}"
        );
    }
}
