use crate::support::{command, example, hello, run, text};
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

#[tokio::test]
async fn a_function_that_takes_its_version_from_lambda_is_given_one_and_the_server_is_named() {
    let server = DevServer::start().await.unwrap();
    let mut command = command();
    command
        .args(["invoke", "--name", "orders", "--build-id", "b-7", "--idle-timeout", "200ms"])
        .arg("--env")
        .arg(format!("TEMPORAL_ADDRESS={}", server.address()))
        .arg("--")
        .arg(example("quickstart"))
        // What is given with --env counts more.
        .env("TEMPORAL_ADDRESS", "127.0.0.1:1");
    let output = run(&mut command);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let server = format!("server at {}, namespace default, without TLS", server.address());
    for fact in ["version      orders:b-7", "ended        Idle", &server] {
        assert!(said.contains(fact), "no {fact:?} in\n{said}");
    }
}

#[test]
fn the_idle_timeout_is_that_of_the_arguments_or_of_the_settings_or_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let given = |args: &[&str], variable: Option<&str>| {
        let mut command = command();
        command.arg("invoke").args(args).current_dir(&folder);
        command.envs(variable.map(|value| ("TEMPORAL_LAMBDA_IDLE_TIMEOUT", value)));
        let function = "echo idle timeout $TEMPORAL_LAMBDA_IDLE_TIMEOUT; exit 1";
        let said = text(&run(command.args(["--", "sh", "-c", function])));
        let (_, rest) = said.split_once("idle timeout ").unwrap_or_else(|| panic!("{said}"));
        rest.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(given(&[], None), "2000ms");
    std::fs::write(folder.path().join("temporal.toml"), "[lambda_worker]\nidle_timeout = \"5s\"\n")
        .unwrap();
    assert_eq!(given(&[], None), "5000ms");
    assert_eq!(given(&[], Some("4s")), "4000ms");
    assert_eq!(given(&["--idle-timeout", "300ms"], Some("4s")), "300ms");
    assert_eq!(given(&["--env", "TEMPORAL_LAMBDA_IDLE_TIMEOUT=1s"], None), "1s");
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
