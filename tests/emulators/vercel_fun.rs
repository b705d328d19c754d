//! `@vercel/fun`, with the runtime `provided`.
//!
//! The deadline of an event is `5000`. The process is frozen between events.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::process::Process;
use crate::{Elsewhere, HELLO, tools};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/emulators/fun.cjs");

#[tokio::test(flavor = "multi_thread")]
async fn hello_serves_workflows_through_vercel_fun() {
    let elsewhere = Elsewhere::new("vercel-fun").await;
    symlink(HELLO, elsewhere.folder().join("bootstrap")).unwrap();
    let variables: Value = elsewhere.variables().into_iter().map(|(k, v)| (k, json!(v))).collect();
    let config = json!({
        "Code": { "Directory": elsewhere.folder() },
        "FunctionName": "hello",
        "Handler": "bootstrap",
        "Runtime": "provided",
        "Environment": { "Variables": variables },
    });
    // It copies its runtimes there.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulators/cache");
    let mut node = Command::new("node");
    node.arg(SCRIPT).arg(tools::vercel_fun()).arg(config.to_string()).env("XDG_CACHE_HOME", cache);
    let node = Mutex::new(Process::start(&mut node));
    let invoke = async || -> Value {
        let mut node = node.lock().await;
        node.say("{}").await;
        let answer = node.line("answer: ").await;
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    };
    elsewhere.is_served(invoke).await;
}
