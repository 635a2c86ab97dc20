//! Stands in for rooms that are not merged yet: the signatures are theirs,
//! the content is made up. To be removed.
#![allow(missing_docs, dead_code)]

pub(super) mod scenario {
    use std::path::Path;
    use std::time::Duration;

    use crate::scenario::case::*;

    #[derive(Debug, Clone)]
    pub struct Catalogue {
        pub cases: Vec<Case>,
        pub scenarios: Vec<ScenarioInfo>,
    }

    #[derive(Debug, Clone)]
    pub struct ScenarioInfo {
        pub name: String,
        pub about: String,
        pub source: Vec<String>,
        pub line: u32,
        pub cases: usize,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub struct InputErrors(String);

    pub fn parse(name: &str, text: &str) -> Result<Catalogue, InputErrors> {
        if !text.contains("scenarios:") {
            return Err(InputErrors(format!("{name}: there are no scenarios in it")));
        }
        let about = "The server loses power; the client, not knowing, sends a request.";
        let source = vec!["H1".to_owned(), "UNP 5.14".to_owned()];
        let scenario = "host-crash-while-writing";
        let detectors = ["none", "keepalive-2-1-3", "user-timeout-3s"];
        let cases: Vec<Case> = detectors
            .iter()
            .map(|detector| Case {
                id: format!("{scenario}/detector={detector}"),
                scenario: scenario.into(),
                axes: [("detector".to_owned(), (*detector).to_owned())].into(),
                about: about.into(),
                source: source.clone(),
                book: Some(Sign {
                    sign: SignKind::Errno("ETIMEDOUT".into()),
                    call: None,
                    lane: None,
                    after: Some((Duration::from_secs(540), Duration::from_secs(540))),
                }),
                expect: None,
                notes: None,
                network: Network {
                    name: "link".into(),
                    nodes: ["client", "server"]
                        .map(|name| Node {
                            name: name.into(),
                            kind: NodeKind::Host,
                        })
                        .into(),
                    cables: vec![("client".into(), "server".into())],
                },
                family: Family::Ipv4,
                sysctls: Default::default(),
                lanes: vec![],
                events: vec![],
                watch: vec!["client".into()],
                give_up: Duration::from_secs(30),
                clock: Clock::Any,
                line: 12,
            })
            .collect();
        let info = ScenarioInfo {
            name: scenario.into(),
            about: about.into(),
            source,
            line: 12,
            cases: cases.len(),
        };
        Ok(Catalogue {
            cases,
            scenarios: vec![info],
        })
    }

    pub fn load(path: &Path) -> Result<Catalogue, InputErrors> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| InputErrors(format!("{}: {e}", path.display())))?;
        parse(&path.display().to_string(), &text)
    }

    pub fn schema() -> serde_json::Value {
        serde_json::json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" })
    }
}

pub(super) mod run {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::outcome::environment::Environment;
    use crate::outcome::record::*;
    use crate::scenario::case::Case;

    #[derive(Debug, Default)]
    pub struct Options {
        pub jobs: Option<usize>,
        pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
        /// Set by Ctrl-C: start no more cases, end those that run, return what there is.
        pub stop: Arc<AtomicBool>,
        /// `root` or `user namespace`, for the environment.
        pub privileges: String,
    }

    pub struct Results {
        pub environment: Environment,
        pub outcomes: Vec<Outcome>,
        pub interrupted: bool,
    }

    pub enum Progress<'a> {
        Total { cases: usize },
        Started { id: &'a str },
        Finished { outcome: &'a Outcome },
    }

    #[derive(Debug, thiserror::Error)]
    #[error("never happens")]
    pub struct RunError;

    pub fn run(
        cases: Vec<Case>,
        options: &Options,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Results, RunError> {
        watch(Progress::Total { cases: cases.len() });
        let mut outcomes = Vec::new();
        let mut interrupted = false;
        for case in cases {
            watch(Progress::Started { id: &case.id });
            std::thread::sleep(std::time::Duration::from_millis(if cfg!(test) {
                1
            } else {
                300
            }));
            interrupted |= options.stop.load(Ordering::SeqCst);
            let why = if interrupted {
                "interrupted"
            } else {
                "the runner is not merged"
            };
            let outcome = Outcome {
                id: case.id,
                scenario: case.scenario,
                axes: case.axes,
                source: case.source,
                book: case.book,
                expect: case.expect,
                notes: case.notes,
                status: Status::NotRun(why.into()),
                first_sign: None,
                faults: vec![],
                endpoints: vec![],
                netstat: vec![],
                wire: WireRecord::default(),
                verdict: Verdict::NotRun,
                surprises: vec![],
            };
            watch(Progress::Finished { outcome: &outcome });
            outcomes.push(outcome);
        }
        let environment = Environment {
            kernel: "unknown".into(),
            hz: crate::cli::doctor::hz(),
            time: "real".into(),
            congestion_control: "reno".into(),
            halfopen: env!("CARGO_PKG_VERSION").into(),
            privileges: options.privileges.clone(),
            sysctls: BTreeMap::new(),
            overrides: options.sysctls.clone(),
        };
        Ok(Results {
            environment,
            outcomes,
            interrupted,
        })
    }
}

pub(super) mod endpoint {
    /// Runs this process as an endpoint and never returns, if it was started as one.
    pub fn serve_if_asked() {}
}
