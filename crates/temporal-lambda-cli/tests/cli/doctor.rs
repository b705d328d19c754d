//! Everything that can be found is provoked for real, and named.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use temporal_lambda_test_timing::within;
use temporal_lambda_testkit::frontend::{MockFrontend, MockTls, Rpc};
use temporal_lambda_testkit::lambda::{Function, FunctionConfig, LambdaEmulator};
use temporal_lambda_testkit::server::{Deployment, DevServer};
use temporalio_client::tonic::Code;

use crate::support::{command, hello, text};

/// The page that lists what can be found; a test of the command's keeps it complete.
const PAGE: &str = include_str!("../../docs/laptop.md");
/// The event that makes a function check itself.
const CHECK: &str = r#"{"temporal_lambda_worker": {"check": true}}"#;
/// What only a check in a function finds; the library's own tests have it.
const ONLY_IN_A_FUNCTION: [&str; 2] = ["invocation-failed", "check-incomplete"];
/// With these there is nothing to say about the version's name, or the time.
const NAMED: [&str; 4] = ["--deployment-name", "hello", "--build-id", "dev"];
const ENOUGH: [&str; 2] = ["--timeout", "60s"];

/// A doctor for one folder, and everything it has found.
struct Doctor {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    found: BTreeSet<String>,
}

impl Doctor {
    /// One that is to look at this server.
    fn of(address: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: vec![("TEMPORAL_ADDRESS", address.to_owned())],
            found: BTreeSet::new(),
        }
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// It finds these, and nothing else but what is as it should be: what it says.
    async fn finds(&mut self, codes: &[&str], args: &[&str]) -> String {
        self.finds_with(codes, &[], args).await
    }

    /// It finds these, and so does a check in the function: with the same levels and subjects.
    async fn and_the_function_find(&mut self, function: &Function, codes: &[&str], args: &[&str]) {
        let said = self.finds(codes, args).await;
        let report: Value = serde_json::from_str(said.lines().next().unwrap()).expect(&said);
        let checked = function.invoke(CHECK).await.unwrap().json().unwrap();
        assert_eq!(checked["ready"], report["ready"], "{checked:#}");
        assert_eq!(judged(&checked), judged(&report), "{checked:#}\n{report:#}");
    }

    /// It finds these where a few more variables are set.
    async fn finds_with(
        &mut self,
        codes: &[&str],
        variables: &[(&str, &str)],
        args: &[&str],
    ) -> String {
        let mut doctor = command();
        doctor.args(["doctor", "--json"]).args(args).current_dir(self.folder.path());
        doctor.envs(self.variables.iter().map(|(name, value)| (name, value)));
        doctor.envs(variables.iter().copied());
        let output =
            within("doctor", tokio::process::Command::from(doctor).output()).await.unwrap();
        let said = text(&output);
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        let findings = report["findings"].as_array().unwrap();
        let bad = findings.iter().filter(|finding| finding["code"] != "ok");
        let found: Vec<_> = bad.clone().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "{said}");
        let problems = bad.filter(|finding| finding["level"] == "problem").count();
        assert_eq!(output.status.code(), Some(i32::from(problems > 0)), "{said}");
        assert_eq!(report["ready"], problems == 0, "{said}");
        self.found.extend(found.into_iter().map(str::to_owned));
        said
    }
}

/// Subject, code and level of each finding.
fn judged(report: &Value) -> Vec<[String; 3]> {
    let findings = report["findings"].as_array().unwrap();
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    findings.iter().map(|it| ["subject", "code", "level"].map(|key| text(&it[key]))).collect()
}

type Scenario = Pin<Box<dyn Future<Output = Doctor> + Send>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_that_the_page_lists_is_provoked() {
    let scenarios: [Scenario; 6] = [
        Box::pin(a_function_from_its_first_step_to_one_that_works()),
        Box::pin(a_version_that_a_poll_made()),
        Box::pin(tls_that_does_not_fit()),
        Box::pin(credentials_that_are_refused()),
        Box::pin(a_server_that_does_not_say()),
        Box::pin(a_function_that_cannot_work_anywhere()),
    ];
    let mut found = BTreeSet::new();
    for doctor in scenarios.map(tokio::spawn) {
        match doctor.await {
            Ok(doctor) => found.extend(doctor.found),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<_> = rows.map(|row| row.split_once('`').unwrap().0.to_owned()).collect();
    found.extend(ONLY_IN_A_FUNCTION.map(str::to_owned));
    assert_eq!(found, listed);
}

/// The function as it would be deployed, polling the server for a moment per call.
fn deployed(lambda: &LambdaEmulator, name: &str, server: &DevServer) -> Function {
    let config = FunctionConfig::process(name, hello())
        .timeout(Duration::from_secs(20))
        .env("TEMPORAL_ADDRESS", server.address())
        .env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "200ms");
    lambda.add_function(config).unwrap()
}

/// Invokes the function until the server knows of a poll of its version. A busy one may end all polls of an invocation
/// before it does.
async fn has_polled(function: &Function, deployment: &Deployment) {
    let polled = async {
        while deployment.wait_for_poll("dev", Duration::from_secs(1)).await.is_err() {
            function.invoke("").await.unwrap();
        }
    };
    function.invoke("").await.unwrap();
    within("a poll that the server knows of", polled).await;
}

async fn a_function_from_its_first_step_to_one_that_works() -> Doctor {
    let lambda = LambdaEmulator::start().await.unwrap();
    let server = DevServer::builder()
        .worker_controller(lambda.endpoint_url())
        .dynamic_config("frontend.enableCancelWorkerPollsOnShutdown", true)
        .start()
        .await
        .unwrap();
    let mut doctor = Doctor::of(&server.address());
    let known = [NAMED.as_slice(), &ENOUGH].concat();
    let function = deployed(&lambda, "function", &server);

    doctor.and_the_function_find(&function, &["no-deployment"], &known).await;
    let deployment = server.temporal().await.unwrap().deployment("hello");
    deployment.create().await.unwrap();
    doctor.and_the_function_find(&function, &["no-version"], &known).await;

    // It is called, but does not poll.
    let silent = FunctionConfig::in_process("silent", |_| async { Ok(Value::Null) });
    let silent = lambda.add_function(silent).unwrap();
    deployment.create_version_for_lambda("dev", silent.arn(), None).await.unwrap();
    silent.wait_for(1, Duration::from_secs(30)).await.unwrap();
    let polled_by_nobody = ["no-task-queue", "not-current"];
    doctor.and_the_function_find(&function, &polled_by_nobody, &known).await;

    has_polled(&function, &deployment).await;
    doctor.and_the_function_find(&function, &["not-current"], &known).await;
    let other = [("TEMPORAL_TASK_QUEUE", "other")];
    doctor.finds_with(&["task-queue-mismatch", "not-current"], &other, &known).await;
    let ramp = ["worker", "deployment", "set-ramping-version", "--yes", "--percentage", "30"];
    server.cli(ramp.into_iter().chain(NAMED)).await.unwrap();
    let said = doctor.finds(&["ramping"], &known).await;
    assert!(said.contains("30 % of new workflows"), "{said}");
    deployment.make_current("dev").await.unwrap();
    doctor.and_the_function_find(&function, &[], &known).await;
    doctor.finds(&["version-unknown"], &ENOUGH).await;
    let other = ["--deployment-name", "hello", "--build-id", "other", "--timeout", "60s"];
    doctor.finds(&["version-mismatch"], &other).await;
    let nowhere = [("TEMPORAL_NAMESPACE", "nowhere")];
    doctor.finds_with(&["namespace-not-found"], &nowhere, &known).await;

    for number in 1..90 {
        let build_id = format!("later-{number}");
        deployment.create_version_for_lambda(&build_id, silent.arn(), None).await.unwrap();
    }
    let said = doctor.finds(&["many-versions"], &known).await;
    assert!(said.contains("has 90 versions"), "{said}");

    lambda.shutdown().await;
    let said = doctor.finds(&["many-versions", "provider-refused"], &known).await;
    assert!(said.contains("connection refused"), "{said}");
    doctor
}

async fn a_version_that_a_poll_made() -> Doctor {
    let lambda = LambdaEmulator::start().await.unwrap();
    let server = DevServer::start().await.unwrap();
    let function = deployed(&lambda, "function", &server);
    has_polled(&function, &server.temporal().await.unwrap().deployment("hello")).await;
    let mut doctor = Doctor::of(&server.address());
    let known = [NAMED.as_slice(), &ENOUGH].concat();
    let codes = ["slow-idle-exit", "no-compute-provider", "not-current"];
    doctor.and_the_function_find(&function, &codes, &known).await;
    let said = doctor.finds(&codes, &known).await;
    assert!(said.contains("1.85 s"), "{said}");
    assert!(said.contains("frontend.enableCancelWorkerPollsOnShutdown"), "{said}");
    doctor
}

async fn tls_that_does_not_fit() -> Doctor {
    let tls = MockTls::new().unwrap().require_client_certificate();
    let frontend = MockFrontend::new();
    frontend.end_polls_at_shutdown();
    let served = frontend.serve_tls(tls.clone()).await.unwrap();
    let mut doctor = Doctor::of(&format!("localhost:{}", served.address().port()));
    let said = doctor.finds(&["unreachable"], &ENOUGH).await;
    assert!(said.contains("TEMPORAL_TLS"), "{said}");

    let stranger = doctor.file("stranger", MockTls::new().unwrap().ca_pem());
    let ca = doctor.file("ca", tls.ca_pem());
    let cert = doctor.file("cert", tls.client_certificate_pem());
    let key = doctor.file("key", tls.client_key_pem());
    const CA: &str = "TEMPORAL_TLS_SERVER_CA_CERT_PATH";
    let said = doctor.finds_with(&["unreachable"], &[(CA, &stranger)], &ENOUGH).await;
    assert!(said.contains("certificate"), "{said}");
    doctor.finds_with(&["unreachable"], &[(CA, &ca)], &ENOUGH).await;
    let whole = [
        (CA, ca.as_str()),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", &cert),
        ("TEMPORAL_TLS_CLIENT_KEY_PATH", &key),
    ];
    let said = doctor.finds_with(&["version-unknown"], &whole, &ENOUGH).await;
    assert!(said.contains("answers, with TLS"), "{said}");
    doctor
}

async fn credentials_that_are_refused() -> Doctor {
    let frontend = MockFrontend::new();
    frontend.require_api_key("right");
    let served = frontend.serve().await.unwrap();
    let mut doctor = Doctor::of(&served.address().to_string());
    doctor.finds(&["refused"], &ENOUGH).await;
    let wrong = [("TEMPORAL_API_KEY", "s3cret"), ("TEMPORAL_TLS", "false")];
    let said = doctor.finds_with(&["refused"], &wrong, &ENOUGH).await;
    assert!(said.contains("TEMPORAL_API_KEY") && !said.contains("s3cret"), "{said}");
    // A careless server quotes it.
    let quote = "no such key: s3cret";
    frontend.on(Rpc::GetSystemInfo).fail(Code::PermissionDenied, quote);
    frontend.require_api_key("s3cret");
    let said = doctor.finds_with(&["refused"], &wrong, &ENOUGH).await;
    assert!(said.contains("no such key: [API key]"), "{said}");
    // Everybody may connect; the namespace is what the key is not for.
    frontend.permission_denied();
    doctor.finds_with(&["refused"], &wrong, &ENOUGH).await;
    doctor
}

async fn a_server_that_does_not_say() -> Doctor {
    let frontend = MockFrontend::new();
    let served = frontend.serve().await.unwrap();
    let mut doctor = Doctor::of(&served.address().to_string());
    frontend.on(Rpc::DescribeNamespace).fail(Code::Unimplemented, "not here").always();
    let known = [NAMED.as_slice(), &ENOUGH].concat();
    doctor.finds(&["namespace-unknown", "deployment-unknown"], &known).await;
    frontend.clear_scripts(&Rpc::DescribeNamespace);
    frontend.on(Rpc::DescribeNamespace).fail(Code::Internal, "out of order").always();
    doctor.finds(&["server-error"], &known).await;
    doctor
}

async fn a_function_that_cannot_work_anywhere() -> Doctor {
    // A port that nobody listens on.
    let mut doctor = Doctor::of("127.0.0.1:1");
    let known = [NAMED.as_slice(), &ENOUGH].concat();
    doctor.finds(&["timeout-unknown", "unreachable"], &NAMED).await;
    doctor.finds(&["timeout-short", "unreachable"], &["--timeout", "10s"]).await;
    doctor.finds(&["timeout-too-short", "unreachable"], &["--timeout", "3s"]).await;
    let buffer = [("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "5200ms")];
    doctor.finds_with(&["buffer-too-small", "unreachable"], &buffer, &ENOUGH).await;

    // What AWS says of a function.
    let function = serde_json::json!({
        "Timeout": 3,
        "Environment": { "Variables": {
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "TEMPORAL_API_KEY": "s3cret",
        }},
    });
    let file = doctor.file("function.json", &function.to_string());
    let of_function = ["--function-env", &file];
    let said = doctor.finds(&["timeout-too-short", "unreachable"], &of_function).await;
    assert!(said.contains("TEMPORAL_API_KEY") && !said.contains("s3cret"), "{said}");

    doctor.file("temporal.toml", "[lambda_wroker]\nidle_timeout = \"1s\"\n");
    doctor.finds(&["settings-warning", "unreachable"], &known).await;
    doctor.file("temporal.toml", "[lambda_worker]\nidle_timout = \"1s\"\n");
    // The file of this folder is the function's only if that is said.
    doctor.finds(&["timeout-too-short", "unreachable"], &of_function).await;
    let with_code = [of_function.as_slice(), &["--task-root", "."]].concat();
    doctor.finds(&["settings-refused"], &with_code).await;
    let said = doctor.finds(&["settings-refused"], &[]).await;
    assert!(said.contains("idle_timout") && said.contains("idle_timeout"), "{said}");
    assert!(said.contains("temporal.toml"), "{said}");
    doctor
}
