//! Deployment packages: zips with a `bootstrap` in Python, and calls that deploy them.

use std::io::{Cursor, Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use temporal_lambda_emulator::LambdaEmulator;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    http::{Answer, call},
    python::RUNTIME,
};

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/worker";

/// A zip with these files, in base64: path, permissions, content.
pub(crate) fn zip(files: &[(&str, u32, &str)]) -> String {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, mode, content) in files {
        // Always the same bytes for the same files.
        let options = SimpleFileOptions::default()
            .unix_permissions(*mode)
            .last_modified_time(zip::DateTime::default());
        zip.start_file(*path, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    BASE64_STANDARD.encode(zip.finish().unwrap().into_inner())
}

/// A zip whose `bootstrap` is this, after the small runtime of [`RUNTIME`].
pub(crate) fn bootstrap(main: &str) -> String {
    let program = format!("#!/usr/bin/env python3\n{RUNTIME}\n{main}");
    zip(&[("bootstrap", 0o755, &program)])
}

/// A zip whose function answers everything with what Lambda told it, and with `word`.
pub(crate) fn says(word: &str) -> String {
    bootstrap(&format!(
        r#"
while True:
    event = next()
    respond(event, {{
        "word": "{word}",
        "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "arn": event["headers"]["lambda-runtime-invoked-function-arn"],
        "mood": os.environ.get("MOOD"),
    }})
"#
    ))
}

/// Calls Lambda's API with a JSON body.
pub(crate) async fn api(lambda: &LambdaEmulator, line: &str, body: &Value) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    // The date of those that did not come later.
    let path = if path.starts_with("/20") { path.to_owned() } else { format!("/2015-03-31{path}") };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(lambda, &format!("{method} {path}"), "content-type: application/json\r\n", &body).await
}

/// The parameters of `CreateFunction` for a function with this zip.
pub(crate) fn function(name: &str, zip: &str) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Role": ROLE,
        "Timeout": 60,
        "MemorySize": 256,
        "Code": { "ZipFile": zip },
    })
}

/// An emulator with the function `worker`, which says `one`.
pub(crate) async fn deployed() -> LambdaEmulator {
    let lambda = LambdaEmulator::start().await.unwrap();
    let created = api(&lambda, "POST /functions", &function("worker", &says("one"))).await;
    assert_eq!(created.status, 201, "{}", created.body);
    lambda
}

/// Invokes and gives the answer and what the function said.
pub(crate) async fn invoke(lambda: &LambdaEmulator, name: &str) -> (Answer, Value) {
    let answer = api(lambda, &format!("POST /functions/{name}/invocations"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let said = answer.json();
    (answer, said)
}
