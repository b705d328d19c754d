use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use temporal_lambda_testkit::lambda::{Function, FunctionConfig, LambdaEmulator};
use temporal_lambda_testkit::server::DevServer;

use crate::support::{command, hello, text};

/// Runs it in a folder, for version `hello:dev`.
fn doctor(folder: &Path, args: &[&str]) -> Output {
    doctor_of("dev", folder, args)
}

fn doctor_of(build_id: &str, folder: &Path, args: &[&str]) -> Output {
    let version = ["--json", "--deployment-name", "hello", "--build-id", build_id];
    command().arg("doctor").args(version).args(args).current_dir(folder).output().unwrap()
}

/// The codes of what was found to stop the function, and what it exits with.
fn stops(output: &Output) -> (Vec<String>, Option<i32>) {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)));
    let findings = report["findings"].as_array().unwrap();
    let stops = findings.iter().filter(|finding| finding["level"] == "stop");
    let codes = stops.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    (codes, output.status.code())
}

fn only(codes: &[&str]) -> (Vec<String>, Option<i32>) {
    (codes.iter().map(|&code| code.to_owned()).collect(), Some(1))
}

/// The function as it would be deployed, polling the server for a moment per call.
fn deployed(lambda: &LambdaEmulator, name: &str, server: &DevServer) -> Function {
    let config = FunctionConfig::process(name, hello())
        .timeout(Duration::from_secs(20))
        .env("TEMPORAL_ADDRESS", server.address())
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "200ms");
    lambda.add_function(config).unwrap()
}

#[tokio::test]
async fn a_function_that_works_has_no_findings_and_each_step_missing_is_named() {
    let here = tempfile::tempdir().unwrap();
    let lambda = LambdaEmulator::start().await.unwrap();
    let server =
        DevServer::builder().worker_controller(lambda.endpoint_url()).start().await.unwrap();
    let address = server.address();
    let look =
        |args: &[&str]| stops(&doctor(here.path(), &[&["--address", &address], args].concat()));

    assert_eq!(look(&["--timeout", "3s"]), only(&["timeout-too-short", "no-deployment"]));
    server.create_deployment("hello").await.unwrap();
    assert_eq!(look(&["--timeout", "60s"]), only(&["no-version"]));

    // It is called, but does not poll.
    let silent = FunctionConfig::in_process("silent", |_| async { Ok(Value::Null) });
    let silent = lambda.add_function(silent).unwrap();
    server.create_version_for_lambda("hello", "dev", silent.arn()).await.unwrap();
    silent.wait_for(1, Duration::from_secs(30)).await.unwrap();
    assert_eq!(look(&["--timeout", "60s"]), only(&["no-task-queue", "not-current"]));

    let function = deployed(&lambda, "function", &server);
    function.invoke("").await.unwrap();
    assert_eq!(look(&["--timeout", "60s"]), only(&["not-current"]));
    server.set_current_version("hello", "dev").await.unwrap();
    assert_eq!(look(&["--timeout", "60s"]), (vec![], Some(0)));
    let other = doctor_of("other", here.path(), &["--address", &address, "--timeout", "60s"]);
    assert_eq!(stops(&other), only(&["version-mismatch"]));
}

#[tokio::test]
async fn a_version_that_a_poll_made_has_no_provider() {
    let here = tempfile::tempdir().unwrap();
    let lambda = LambdaEmulator::start().await.unwrap();
    let server = DevServer::start().await.unwrap();
    deployed(&lambda, "function", &server).invoke("").await.unwrap();
    let output = doctor(here.path(), &["--address", &server.address(), "--timeout", "60s"]);
    assert_eq!(stops(&output), only(&["no-compute-provider", "not-current"]));
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_named() {
    let here = tempfile::tempdir().unwrap();
    let server = DevServer::start().await.unwrap();
    let env = here.path().join("function.env");
    let lines = format!("TEMPORAL_ADDRESS={}\nTEMPORAL_NAMESPACE=nowhere\n", server.address());
    std::fs::write(&env, lines).unwrap();
    let output = doctor(here.path(), &["--function-env", env.to_str().unwrap()]);
    let (codes, exit) = stops(&output);
    assert!(codes.contains(&"namespace-not-found".to_owned()), "{}", text(&output));
    assert_eq!(exit, Some(1));
}

#[test]
fn what_aws_says_about_a_function_is_understood_and_secrets_stay_secret() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("function.json");
    let function = serde_json::json!({
        "Timeout": 3,
        "Environment": { "Variables": {
            // A port that nobody listens on.
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "TEMPORAL_API_KEY": "s3cret",
        }},
    });
    std::fs::write(&file, function.to_string()).unwrap();
    let output = doctor(here.path(), &["--function-env", file.to_str().unwrap()]);
    assert_eq!(stops(&output), only(&["timeout-too-short", "unreachable"]));
    let said = text(&output);
    assert!(said.contains("TEMPORAL_API_KEY") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_setting_that_the_function_would_refuse_is_named() {
    let here = tempfile::tempdir().unwrap();
    let settings = "[lambda_worker]\nidle_timout = \"1s\"\n";
    std::fs::write(here.path().join("temporal.toml"), settings).unwrap();
    let output = doctor(here.path(), &[]);
    assert_eq!(stops(&output), only(&["settings-refused"]));
    let said = text(&output);
    assert!(said.contains("idle_timout") && said.contains("idle_timeout"), "{said}");
    assert!(said.contains("temporal.toml"), "{said}");
}
