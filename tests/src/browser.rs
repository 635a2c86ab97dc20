//! A headless Chromium, driven over HTTP by its driver (W3C WebDriver). Just what the
//! tests of pages need, without a client library and the runtime that it brings.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one window; it ends when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a driver on a free port, and a browser with a window of this size.
    ///
    /// # Panics
    /// When Chromium or its driver is missing, with the cure.
    pub fn start(width: u32, height: u32) -> Browser {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = driver.unwrap_or_else(|e| {
            panic!("chromedriver: {e}; ci/setup installs chromium and chromium-driver")
        });
        let port = port_of(&mut driver);
        let mut browser = Browser {
            driver,
            port,
            session: String::new(),
        };
        let options = json!({
            "args": [
                "--headless=new",
                // Root has no other way; the page is one that this test made.
                "--no-sandbox",
                "--disable-dev-shm-usage",
                format!("--window-size={width},{height}"),
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let answer = browser.ask("POST", "/session", &wanted);
        let session = answer["sessionId"].as_str();
        browser.session = session
            .unwrap_or_else(|| panic!("no session: {answer}"))
            .to_owned();
        browser
    }

    /// Opens an address and waits until it has loaded.
    pub fn open(&self, address: &str) {
        self.command("url", &json!({ "url": address }));
    }

    /// The value of a script's `return`; a promise is waited for.
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Presses keys, one after the other, as a person would.
    pub fn press(&self, keys: &[&str]) {
        let strokes: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        let actions =
            json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.command("actions", &actions);
    }

    /// Clicks in the middle of the first element that a CSS selector finds.
    pub fn click(&self, selector: &str) {
        let found = self.command(
            "element",
            &json!({ "using": "css selector", "value": selector }),
        );
        let id = found.as_object().and_then(|o| o.values().next());
        let id = id
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{selector}: {found}"));
        self.command(&format!("element/{id}/click"), &json!({}));
    }

    /// The messages of a log (`browser`, `performance`) since the last look.
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let answer = self.command("se/log", &json!({ "type": kind }));
        answer.as_array().cloned().unwrap_or_default()
    }

    /// The window as PNG, in base64.
    pub fn screenshot(&self) -> String {
        let path = format!("/session/{}/screenshot", self.session);
        let answer = self.ask("GET", &path, &Value::Null);
        answer.as_str().unwrap_or_default().to_owned()
    }

    fn command(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{what}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = exchange(self.port, method, path, body);
        let value = answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        assert!(
            value["error"].is_null(),
            "{method} {path}: {}",
            value["message"]
        );
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let path = format!("/session/{}", self.session);
        let _ = exchange(self.port, "DELETE", &path, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The driver says on which port it listens.
fn port_of(driver: &mut Child) -> u16 {
    let out = driver.stdout.take().expect("it was piped");
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return port.trim_end_matches('.').parse().expect("a port");
        }
    }
    panic!("chromedriver ended without listening");
}

/// One request and the `value` of its answer.
fn exchange(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    let mut answer: Value = serde_json::from_slice(&bytes)?;
    Ok(answer["value"].take())
}
