use crate::support::{command, hello, run, text};
use temporal_lambda_testkit::server::DevServer;

#[tokio::test]
async fn an_invocation_shows_its_report() {
    let server = DevServer::start().await.unwrap();
    let invoke = |json: bool| {
        let mut command = command();
        command
            .args(["invoke", "--timeout", "20s", "--env", "TEMPORAL_LAMBDA_IDLE_TIMEOUT=200ms"])
            .args(json.then_some("--json"))
            .arg("--")
            .arg(hello())
            .env("TEMPORAL_ADDRESS", server.address());
        run(&mut command)
    };
    let output = invoke(false);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for fact in ["ended        Idle", "version      hello:dev", "tasks        no tasks"] {
        assert!(said.contains(fact), "no {fact:?} in\n{said}");
    }
    let output = invoke(true);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["reason"], "idle");
}

#[test]
fn a_timeout_that_is_too_short_is_named() {
    let output = run(command().args(["invoke", "--timeout", "3s", "--"]).arg(hello()));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("TooLittleTime"), "{said}");
}

#[test]
fn without_a_function_it_says_what_to_name() {
    let output = run(command().arg("invoke"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("its command after `--`"), "{}", text(&output));
}
