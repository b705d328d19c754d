//! Functions written in Python, so that no Rust binary has to be built for them.

use std::{path::PathBuf, time::Duration};

use temporal_lambda_emulator::FunctionConfig;
use temporal_lambda_test_timing::{TimeLimit, eventually};

/// A small runtime: `next()`, `respond(event, body)`, `fail(event, type, message)`.
pub(crate) const RUNTIME: &str = r#"
import http.client, json, os, signal, sys, time
API = os.environ["AWS_LAMBDA_RUNTIME_API"]

def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body

def next():
    answer, body = call("GET", "/2018-06-01/runtime/invocation/next")
    return {
        "id": answer.headers["lambda-runtime-aws-request-id"],
        "headers": {key.lower(): value for key, value in answer.headers.items()},
        "body": body,
    }

def respond(event, body):
    path = "/2018-06-01/runtime/invocation/" + event["id"] + "/response"
    return call("POST", path, json.dumps(body))[0].status

def fail(event, kind, message):
    path = "/2018-06-01/runtime/invocation/" + event["id"] + "/error"
    body = json.dumps({"errorType": kind, "errorMessage": message})
    return call("POST", path, body)[0].status
"#;

/// A function in a folder of its own, which goes away with it.
pub(crate) struct PythonFunction {
    folder: tempfile::TempDir,
    _limit: TimeLimit,
}

impl PythonFunction {
    pub(crate) fn new(main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.py"), format!("{RUNTIME}\n{main}")).unwrap();
        Self { folder, _limit: TimeLimit::of_this_test() }
    }

    pub(crate) fn config(&self, name: &str) -> FunctionConfig {
        FunctionConfig::process(name, "python3")
            .arg("-u")
            .arg(self.folder.path().join("main.py"))
            .timeout(Duration::from_secs(20))
    }

    /// A file in the script's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The state letter of a process, from `/proc`; `None` when it is gone.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in brackets, may itself contain brackets.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until the process is in one of `states` (`None`: gone).
pub(crate) async fn wait_for_state(pid: u32, states: &[Option<char>]) {
    let what = format!("process {pid} to be in one of the states {states:?}");
    eventually(what, || states.contains(&process_state(pid))).await;
}
