//! A running `paybell listen` and every line that it wrote.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{BINARY, eventually};

pub type Lines = Arc<Mutex<Vec<String>>>;

/// A running `paybell listen`, and every line that it wrote.
pub struct Listener {
    pub child: Child,
    out: Lines,
    err: Lines,
}

impl Listener {
    pub fn start(hub: &str, more: &[&str]) -> Self {
        Self::with_environment(hub, more, &[])
    }

    pub fn with_environment(hub: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["listen", "--url", hub])
            .args(more)
            .env_remove("PAYBELL_KEY")
            .env("PAYBELL_LOG", "warn")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = collect(child.stdout.take().expect("a pipe"));
        let err = collect(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    pub fn out(&self) -> Vec<String> {
        self.out.lock().expect("a lock").clone()
    }

    pub fn err(&self) -> String {
        self.err.lock().expect("a lock").join("\n")
    }

    /// The events of `--json`, in the order in which they were printed.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.out();
        let parse = |line: &String| serde_json::from_str(line).expect("one object a line");
        lines.iter().map(parse).collect()
    }

    pub fn sequences(&self) -> Vec<u64> {
        let events = self.events();
        let numbers = events
            .iter()
            .map(|e| e["sequence"].as_u64().expect("a number"));
        numbers.collect()
    }

    /// Waits for a word on stderr, so often.
    pub async fn says(&self, word: &str, times: usize) {
        eventually(&format!("it says {word:?} on stderr"), async || {
            (self.err().matches(word).count() >= times).then_some(())
        })
        .await;
    }

    pub async fn prints(&self, what: &str, fits: impl Fn(&[String]) -> bool) {
        eventually(what, async || fits(&self.out()).then_some(())).await;
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    pub async fn exit_code(mut self) -> (Option<i32>, String) {
        let status = eventually("it ends", async || self.child.try_wait().expect("a child")).await;
        eventually("all it said is read", async || {
            (Arc::strong_count(&self.err) == 1).then_some(())
        })
        .await;
        (status.code(), self.err())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("reaped");
        }
    }
}

pub fn collect(pipe: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            kept.lock().expect("a lock").push(line);
        }
    });
    lines
}
