//! The book: each command that README.md and the pages of docs/ tell to type is run, each
//! file that they show is right, and each output that they show says which command
//! printed it.

use std::process::Command;

use halfopen_tests::program::{Ran, halfopen};
use halfopen_tests::root;

use crate::place::{Place, QUICK};

/// Commands that take minutes or need guests; ci/nightly runs them.
const SLOW: [&str; 12] = [
    "halfopen grid",
    "halfopen grid --time virtual",
    "halfopen grid --detector fast-pair,none --fault host-crash,own-route --while sending",
    "halfopen grid --file my.yaml",
    "halfopen impact --sysctl net.ipv4.tcp_retries2=8",
    "halfopen impact my.yaml --sysctl net.ipv4.tcp_keepalive_time=600 --host client",
    "halfopen impact --from old.conf --to new.conf",
    "halfopen impact --sysctl-from-host",
    "halfopen run programs.yaml --time virtual --format matrix",
    "halfopen run programs.yaml redis-cli",
    "halfopen tune --notice-within 30s --ride-out 10s --kernel 6.12 --hz 250 --verify",
    "halfopen exec --server 'redis-server --port 7000 --protected-mode no' --fault 'crash server @5s' -- redis-cli -h server -p 7000 SUBSCRIBE news",
];

/// Commands of a checkout, this one or a project that uses halfopen, and the line of a
/// script in ci/ that runs them.
const BY_CI: [(&str, &str, &str); 13] = [
    ("ci/test", ".ci/run", "ci/test"),
    ("ci/kernels", "ci/test", "ci/kernels"),
    (
        "cargo run --release -- run",
        "ci/install-test",
        "halfopen run",
    ),
    (
        "cargo run --release -- run --time virtual --kernel all",
        "ci/nightly",
        "run --time virtual --kernel all",
    ),
    (
        "cargo test --workspace",
        "ci/test",
        "cargo test --workspace",
    ),
    (
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=\"sudo -E\" cargo test --workspace",
        "ci/test",
        "cargo test --workspace",
    ),
    (
        "cargo test -p halfopen-tests --test catalogue -- host-crash",
        "ci/test",
        "cargo test --workspace",
    ),
    (
        "cargo test -p halfopen-tests --test tune_verify -- --ignored",
        "ci/test",
        "tune_verify",
    ),
    (
        "go test -timeout 24h -exec 'halfopen exec --time virtual --' ./...",
        "ci/projects",
        "-timeout 24h -exec",
    ),
    (
        "go test -timeout 24h -exec 'halfopen exec --time virtual --kernel 6.1 --' ./...",
        "ci/projects",
        "-timeout 24h -exec",
    ),
    (
        "halfopen exec --time virtual -- python3 -m pytest",
        "ci/projects",
        "-m pytest",
    ),
    (
        "halfopen exec --time virtual --kernel 6.1 -- python3 -m pytest -k pool",
        "ci/projects",
        "-m pytest",
    ),
    (
        "halfopen exec --time virtual --memory 2048 -- java -XX:TieredStopAtLevel=1 -jar junit-platform-console-standalone.jar -cp classes -c PoolTest",
        "fixtures/projects/java/guest/bin/java",
        "-- java -XX:TieredStopAtLevel=1",
    ),
];

/// Commands of build tools that ci/setup does not install; ci/projects runs the same tests
/// by JUnit's console launcher.
const NOT_INSTALLED: [&str; 2] = ["mvn test ", "gradle "];

fn read(name: &str) -> String {
    let text = std::fs::read_to_string(root().join(name));
    text.unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// README.md and the pages of the book, as docs/SUMMARY.md has them.
fn pages() -> Vec<String> {
    let summary = read("docs/SUMMARY.md");
    let links = summary.split("](").skip(1);
    let names = links.filter_map(|rest| rest.split_once(')').map(|(name, _)| name));
    let mut pages = vec!["README.md".to_owned()];
    pages.extend(names.map(|name| format!("docs/{name}")));
    pages
}

/// A fenced block of a page: its language, its lines, and the line of text before it.
struct Block {
    language: String,
    lines: Vec<String>,
    before: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let text = read(page);
    let mut found = Vec::new();
    let mut before = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim().strip_prefix("```") {
            let within = lines.by_ref().take_while(|line| line.trim() != "```");
            found.push(Block {
                language: language.to_owned(),
                lines: within.map(str::to_owned).collect(),
                before: std::mem::take(&mut before),
            });
        } else if !line.trim().is_empty() {
            before = line.to_owned();
        }
    }
    found
}

/// The commands that a page tells to type, without their comments.
fn commands(page: &str) -> Vec<String> {
    let blocks = blocks(page).into_iter().filter(|b| b.language == "sh");
    let mut found = Vec::new();
    for block in blocks {
        let joined = block.lines.join("\n").replace("\\\n", " ");
        for line in joined.lines() {
            let command = line.split(" # ").next().unwrap_or(line);
            let words: Vec<&str> = command.split_whitespace().collect();
            if !words.is_empty() {
                found.push(words.join(" "));
            }
        }
    }
    found
}

/// A folder with the files that a page speaks of.
fn place(page: &str) -> Place {
    const CONF: &str = "net.ipv4.tcp_retries2 = ";
    match page {
        // Two cases instead of the whole catalogue, whose changes tests/virtual_time measures.
        "docs/README.md" | "docs/testing.md" => Place::with(QUICK),
        "docs/baselines.md" => {
            let place = Place::with(QUICK);
            assert_eq!(place.halfopen("run --save other.yaml").code, Some(0));
            place
        }
        "docs/impact.md" | "docs/grid.md" => {
            let place = Place::with(QUICK);
            let mine = "detectors:\n  fast: { keepalive: { idle: 1s, interval: 1s, count: 2 } }\n";
            place.write(
                "my.yaml",
                &QUICK.replace("scenarios:\n", &format!("{mine}scenarios:\n")),
            );
            place.write("old.conf", &format!("{CONF}15\n"));
            place.write("new.conf", &format!("{CONF}8\n"));
            place
        }
        "docs/real-programs.md" => {
            let place = Place::empty();
            place.write("programs.yaml", &read("programs.yaml"));
            place
        }
        "docs/programs.md" => {
            let place = Place::empty();
            let script = blocks(page).into_iter().find(|b| b.language == "python");
            place.write("cost.py", &script.expect("it is shown").lines.join("\n"));
            place
        }
        _ => Place::empty(),
    }
}

fn typed(place: &Place, line: &str) -> Ran {
    let program = halfopen();
    let path = program.parent().expect("a folder").display();
    let output = Command::new("sh")
        .args(["-c", &format!("PATH={path}:$PATH; {line}")])
        .current_dir(place.path())
        .stdin(std::process::Stdio::null())
        .output();
    Ran::of(&output.unwrap_or_else(|e| panic!("{line}: {e}")))
}

/// Runs the commands of each page in their order; how many.
fn run(wanted: impl Fn(&str) -> bool) -> usize {
    let mut seen = 0;
    for page in pages() {
        let mut commands = commands(&page);
        commands.retain(|command| {
            command.starts_with("halfopen ") && !by_ci(command) && wanted(command)
        });
        if commands.is_empty() {
            continue;
        }
        let place = place(&page);
        for command in commands {
            let ran = typed(&place, &command);
            // 1: something changes, or there are no such settings. That is an answer. A
            // program under exec ends as it ends.
            let fine = matches!(ran.code, Some(0 | 1))
                || command.starts_with("halfopen exec") && ran.stderr.contains("first sign");
            assert!(fine, "{page}: {command}: {ran}");
            seen += 1;
        }
    }
    seen
}

#[test]
fn the_commands_of_the_book_run() {
    assert!(run(|command| !SLOW.contains(&command)) > 8);
}

#[test]
#[ignore = "minutes, and guests: ci/nightly"]
fn nightly_the_slow_commands_of_the_book_run() {
    assert!(run(|command| SLOW.contains(&command)) >= SLOW.len());
}

fn by_ci(command: &str) -> bool {
    BY_CI.iter().any(|(known, ..)| *known == command)
}

/// What is not the command `halfopen` itself is run by a script in ci/.
#[test]
fn commands_of_the_checkout_are_run_by_a_script() {
    for (command, script, part) in BY_CI {
        assert!(
            read(script).contains(part),
            "{script} does not run {command}"
        );
    }
    for page in pages() {
        for command in commands(&page) {
            let known = command.starts_with("halfopen ")
                || by_ci(&command)
                || NOT_INSTALLED
                    .iter()
                    .any(|tool| format!("{command} ").contains(tool));
            assert!(known, "{page}: nothing runs {command}");
        }
    }
}

/// Blocks of plain text are outputs, and say of what.
#[test]
fn each_output_says_which_command_printed_it() {
    for page in pages() {
        for block in blocks(&page) {
            let named = [
                "sh", "yaml", "rust", "toml", "go", "python", "java", "groovy", "xml",
            ]
            .contains(&block.language.as_str())
                || block.language == "text"
                    && block.before.starts_with("<!-- output of `halfopen ");
            assert!(
                named,
                "{page}: before ```{} with {:?} there is no <!-- output of `halfopen ...` -->",
                block.language,
                block.lines.first()
            );
        }
    }
}

#[test]
fn each_file_that_is_shown_is_right() {
    let mut seen = 0;
    for page in pages() {
        for block in blocks(&page) {
            let text = block.lines.join("\n");
            if block.language != "yaml" || !text.starts_with("version: 1\n") {
                continue;
            }
            let place = Place::with(&text);
            let words = match text.contains("\nruns:\n") {
                true => "diff scenarios.yaml scenarios.yaml",
                false => "check scenarios.yaml",
            };
            let checked = place.halfopen(words);
            assert_eq!(checked.code, Some(0), "{page}: {checked}");
            seen += 1;
        }
    }
    assert!(seen > 3, "{seen} files");
}

/// A page that is not in docs/SUMMARY.md is not in the book.
#[test]
fn each_page_is_in_the_book() {
    let pages = pages();
    let entries = std::fs::read_dir(root().join("docs")).expect("docs/");
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let page = format!("docs/{name}");
        assert!(
            !name.ends_with(".md") || name == "SUMMARY.md" || pages.contains(&page),
            "docs/SUMMARY.md has no {name}"
        );
    }
}
