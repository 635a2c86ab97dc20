//! The page of `run --html` in a browser: it opens, filters, draws ladders, is used by
//! keyboard, says nothing on the console, asks nothing of any network, and has the
//! numbers of the JSON.
//!
//! Needs Chromium and its driver (ci/setup), the program, and root or user namespaces.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use halfopen_tests::browser::Browser;
use halfopen_tests::program::{command, halfopen};
use serde_json::Value;
use tempfile::TempDir;

/// Every kind of row: as expected, different on purpose, unnoticed, several hosts.
const SCENARIOS: &str = "\
version: 1
detectors:
  fast: { keepalive: { idle: 1s, interval: 1s, count: 2 } }
scenarios:
  refused:
    about: Nobody listens on the port.
    book: { errno: ECONNREFUSED, call: connect, after: 0s }
    expect: { errno: ECONNREFUSED, call: connect, after: 0s }
    matrix: { network: [link, routed] }
    server: [listen, accept]
    client: [{ connect: { port: 7001 } }]
    give_up: 3s
  host-crash:
    about: \"The server loses power: <script>alert(1)</script> & more.\"
    book: { errno: ETIMEDOUT, call: read, after: 2h }
    expect: { errno: ECONNRESET, call: read, after: 3s }
    matrix: { detector: [none, fast] }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults: [{ at: 100ms, crash: server }]
    give_up: 5s
";

/// A page and the JSON of the same run, made once.
struct Made {
    folder: TempDir,
    json: Value,
}

impl Made {
    fn page(&self) -> String {
        address(&self.folder.path().join("page.html"))
    }
}

fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("scenarios.yaml"), SCENARIOS).expect("it can be written");
        let words = [
            "run",
            "--html",
            "page.html",
            "--format",
            "json",
            "--svg",
            "drawings",
        ];
        let ran = command(&halfopen(), folder.path())
            .args(words)
            .output()
            .expect("it starts");
        let json = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&ran.stderr)));
        Made { folder, json }
    })
}

/// A browser with the page.
fn opened() -> Browser {
    let browser = Browser::start(1400, 1000);
    browser.open(&made().page());
    browser
}

const SHOWN: &str = "return [...document.querySelectorAll('tr.case')]\
                     .filter(r => r.offsetParent).map(r => r.dataset.id)";

/// Waits until a script returns this: the page may do what it is asked a little later.
fn shows(browser: &Browser, script: &str, expected: &Value) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let value = browser.run(script);
        if value == *expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{script}: {value}, not {expected}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing was said on the console, and nothing but the page itself was asked for.
fn assert_quiet(browser: &Browser) {
    let said = browser.log("browser");
    assert!(said.is_empty(), "on the console: {said:#?}");
    let mut asked = Vec::new();
    for entry in browser.log("performance") {
        let message = entry["message"].as_str().unwrap_or_default();
        let message: Value = serde_json::from_str(message).expect("JSON");
        let message = &message["message"];
        if message["method"] == "Network.requestWillBeSent" {
            let url = message["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            asked.push(url.to_owned());
        }
    }
    assert!(!asked.is_empty(), "the log of requests is on");
    asked.retain(|url| url.split('#').next() != Some(made().page().as_str()));
    assert!(asked.is_empty(), "asked for: {asked:?}");
}

#[test]
fn opens_filters_and_draws() {
    let browser = opened();
    assert_eq!(browser.run(SHOWN).as_array().map(Vec::len), Some(4));

    browser.click("input[name=text]");
    browser.press(&["e", "t", "i", "m", "e", "d"]);
    shows(
        &browser,
        SHOWN,
        &serde_json::json!(["host-crash/detector=fast"]),
    );
    let count = "return document.querySelector('#count').textContent";
    shows(&browser, count, &"1 of 4 cases".into());
    browser.click("button[type=reset]");
    shows(&browser, &format!("{SHOWN}.length"), &4.into());
    browser.run(
        "const s = document.querySelector('select[name=sign]'); s.value = 'unnoticed';\
                 s.dispatchEvent(new Event('input', { bubbles: true }))",
    );
    shows(
        &browser,
        SHOWN,
        &serde_json::json!(["host-crash/detector=none"]),
    );
    browser.run("document.querySelector('#filters').reset()");
    shows(&browser, &format!("{SHOWN}.length"), &4.into());

    // The book speaks of ETIMEDOUT, and without a detector nobody notices.
    browser.click("input[name=book]");
    shows(
        &browser,
        SHOWN,
        &serde_json::json!(["host-crash/detector=none"]),
    );
    browser.click("button[type=reset]");
    shows(&browser, &format!("{SHOWN}.length"), &4.into());

    // A case opens: its ladder has the packets and calls of the JSON.
    browser.click("tr.case[data-id='host-crash/detector=fast'] button.open");
    let drawn = browser.run(
        "return new Promise(done => { const look = () => { const svg = document.querySelector('svg.ladder');\
         svg ? done(svg.textContent) : setTimeout(look, 20) }; look() })",
    );
    let drawn = drawn.as_str().unwrap_or_default();
    for part in [
        "crash server",
        "keepalive-probe",
        "= -1 ETIMEDOUT",
        "ESTABLISHED",
        "client",
    ] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
    // What is done, with the values behind a detector's name.
    let done = browser.run("return document.querySelector('.detail ul.setup').textContent");
    let done = done.as_str().unwrap_or_default();
    assert!(
        done.contains("keepalive after 1 s of silence, then every 1 s, 2 probes"),
        "{done}"
    );
    // What a scenario says is text, whatever it looks like.
    assert_eq!(
        browser.run("return document.querySelectorAll('script:not([id])').length"),
        1
    );
    let zoomed = browser.run(
        "const svg = document.querySelector('svg.ladder'), before = svg.clientWidth;\
         document.querySelector('[data-zoom=\"1.25\"]').click(); return svg.clientWidth / before",
    );
    assert!(zoomed.as_f64().is_some_and(|by| by > 1.2), "{zoomed}");
    assert_quiet(&browser);
}

#[test]
fn has_the_numbers_of_the_json() {
    let browser = opened();
    for case in made().json["cases"].as_array().expect("cases") {
        let id = case["id"].as_str().expect("an id");
        let shown = browser.run(&format!(
            "const r = document.querySelector(`tr.case[data-id='{id}']`);\
             return [r.dataset.ns, r.dataset.sign, r.dataset.verdict]"
        ));
        let sign = &case["first_sign"];
        let ns = match sign["since_fault_ns"].as_i64() {
            Some(ns) => ns.to_string(),
            None => "-".to_owned(),
        };
        assert_eq!(shown[0], ns, "{id}");
        let kind = sign["errno"].as_str().or(sign["outcome"].as_str());
        assert_eq!(shown[1].as_str(), kind, "{id}");
        let verdict = case["verdict"]
            .as_str()
            .unwrap_or_default()
            .replace('_', "-");
        assert_eq!(
            shown[2].as_str().map(|v| v.contains(&verdict)),
            Some(true),
            "{id}: {shown}"
        );
    }
}

#[test]
fn is_used_by_keyboard_alone() {
    let browser = opened();
    browser.press(&["/"]);
    assert_eq!(browser.run("return document.activeElement.name"), "text");
    browser.press(&["f", "a", "s", "t", "\u{e00c}", "j", "\u{e007}"]);
    let open = "return [document.activeElement.getAttribute('aria-expanded'),\
                document.querySelectorAll('svg.ladder').length]";
    shows(&browser, open, &serde_json::json!(["true", 1]));
    browser.press(&["\u{e00c}"]);
    let ladders = "return document.querySelectorAll('svg.ladder').length";
    shows(&browser, ladders, &0.into());
    assert_quiet(&browser);
}

#[test]
fn is_light_and_dark_and_has_a_name_for_everything() {
    let browser = opened();
    let background = "return getComputedStyle(document.body).backgroundColor";
    let before = browser.run(background);
    browser.click("#theme");
    assert_ne!(browser.run(background), before);
    // Each control has a name that a screen reader says, each plot has its text beside it.
    let nameless = browser.run(
        "return [...document.querySelectorAll('button, select, input')].filter(e => \
         !(e.textContent.trim() || e.ariaLabel || e.labels && e.labels.length)).map(e => e.outerHTML)",
    );
    assert_eq!(nameless, serde_json::json!([]));
    let silent = browser.run(
        "return [...document.querySelectorAll('tr.case')].filter(r => \
         ![...r.querySelectorAll('td.seen, td.tab')].some(c => c.textContent.trim())).length",
    );
    assert_eq!(silent, 0);
}

#[test]
fn the_copied_command_runs_that_case_alone() {
    let browser = opened();
    browser.open(&format!("{}#case=refused/network=link", made().page()));
    shows(
        &browser,
        "return !!document.querySelector('button.copy')",
        &true.into(),
    );
    let copied = browser.run("return document.querySelector('button.copy').dataset.copy");
    let copied = copied.as_str().expect("a command");
    let program: PathBuf = halfopen();
    let path = format!(
        "{}:{}",
        program.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let ran = command(Path::new("sh"), made().folder.path())
        .args(["-c", copied])
        .env("PATH", path)
        .output()
        .expect("a shell");
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert_eq!(ran.status.code(), Some(0), "{copied}: {out}{err}");
    assert!(out.contains("refused/network=link"), "{copied}: {out}{err}");
}

#[test]
fn drawings_are_files_of_their_own() {
    let folder = made().folder.path().join("drawings");
    let browser = Browser::start(1200, 900);
    for (name, part) in [
        ("plot.svg", "predicted"),
        ("host-crash--detector=fast.svg", "ETIMEDOUT"),
    ] {
        browser.open(&address(&folder.join(name)));
        // An SVG that is not well-formed shows an error instead of its root element.
        assert_eq!(
            browser.run("return document.documentElement.nodeName"),
            "svg",
            "{name}"
        );
        let text = browser.run("return document.documentElement.textContent");
        assert!(
            text.as_str().unwrap_or_default().contains(part),
            "{name}: {text}"
        );
    }
}
