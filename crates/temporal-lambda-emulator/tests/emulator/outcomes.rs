//! How invocations end, and what is on record then.

use std::time::Duration;

use serde_json::json;
use temporal_lambda_emulator::{
    EmulatorError, EnvEvent, EnvironmentState, FunctionConfig, LambdaEmulator, Outcome,
};
use temporal_lambda_test_timing::test_timeout;

use crate::python::PythonFunction;

#[tokio::test]
async fn a_response_is_recorded() {
    let script = PythonFunction::new(
        r#"
print("init")
while True:
    event = next()
    print("got", event["body"].decode())
    respond(event, {"headers": event["headers"], "env": dict(os.environ)})
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let config = script.config("echo").memory_mb(256).env("COLOUR", "green");
    let echo = lambda.add_function(config).unwrap();

    let cold = echo.invoke(r#"{"a":1}"#).await.unwrap();
    let answer = cold.json().expect("a response");
    assert!(cold.cold && cold.init.is_some());
    assert_eq!(cold.environment, "echo/1");
    assert_eq!(cold.log_text(), "init\ngot {\"a\":1}");
    assert!(cold.billed >= cold.duration + cold.init.unwrap());
    assert!(cold.time_left_at_response > Duration::from_secs(10));
    assert!(cold.max_memory_kb.is_some_and(|kb| kb > 1000));
    let headers = &answer["headers"];
    assert_eq!(headers["lambda-runtime-aws-request-id"], json!(cold.request_id));
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], json!(echo.arn()));
    assert_eq!(headers["content-type"], "application/json");
    let deadline_ms = cold.deadline.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(headers["lambda-runtime-deadline-ms"], json!(deadline_ms.as_millis().to_string()));
    let trace = headers["lambda-runtime-trace-id"].as_str().unwrap();
    assert!(trace.starts_with("Root=1-") && trace.ends_with(";Sampled=1"), "{trace}");
    let env = &answer["env"];
    assert_eq!(env["AWS_LAMBDA_FUNCTION_NAME"], "echo");
    assert_eq!(env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(env["AWS_LAMBDA_INITIALIZATION_TYPE"], "on-demand");
    assert_eq!(env["COLOUR"], "green");
    assert!(env.get("CARGO_MANIFEST_DIR").is_none(), "the environment leaked");

    let warm = echo.invoke("{}").await.unwrap();
    assert!(!warm.cold && warm.init.is_none());
    assert_eq!(warm.environment, cold.environment);
    assert_eq!(warm.log_text(), "got {}");
    assert_eq!(echo.invocations().len(), 2);
}

#[tokio::test]
async fn the_emulators_own_environment_is_inherited_where_that_is_asked_for() {
    let script = PythonFunction::new(
        r#"
while True:
    event = next()
    respond(event, "CARGO_MANIFEST_DIR" in os.environ)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    for inherit in [false, true] {
        let config = script.config(&format!("inherits-{inherit}")).inherit_env(inherit);
        let invocation = lambda.add_function(config).unwrap().invoke("{}").await.unwrap();
        assert_eq!(invocation.json(), Some(json!(inherit)));
    }
}

/// Run by the test below in a process of its own, whose stderr it reads.
#[tokio::test]
#[ignore = "it writes for another test"]
async fn forwards_its_log() {
    let script =
        PythonFunction::new("print('a line of the function'); event = next(); respond(event, 1)");
    let lambda = LambdaEmulator::start().await.unwrap();
    for forward in [false, true] {
        let config = script.config(&format!("forwards-{forward}")).forward_log(forward);
        lambda.add_function(config).unwrap().invoke("{}").await.unwrap();
    }
}

#[test]
fn the_log_is_forwarded_to_stderr_where_that_is_asked_for() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "outcomes::forwards_its_log"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("[forwards-true/1] a line of the function"), "{said}");
    assert!(!said.contains("forwards-false"), "{said}");
}

#[tokio::test]
async fn an_empty_event_arrives_empty() {
    let script = PythonFunction::new(
        r#"
while True:
    event = next()
    respond(event, [len(event["body"]), event["headers"].get("content-length")])
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("empty")).unwrap();
    let invocation = function.invoke("").await.unwrap();
    assert_eq!(invocation.json(), Some(json!([0, "0"])));
}

#[tokio::test]
async fn an_error_is_on_record_before_the_exit_that_follows() {
    let script = PythonFunction::new(
        r#"
event = next()
fail(event, "MyError", "no luck")
sys.exit(7)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("fails")).unwrap();
    let invocation = function.invoke("{}").await.unwrap();
    let Outcome::FunctionError { error_type, message, .. } = &invocation.outcome else {
        panic!("{:?}", invocation.outcome);
    };
    assert_eq!((error_type.as_str(), message.as_str()), ("MyError", "no luck"));

    let env = &function.environments()[0];
    assert_eq!(env.gone(test_timeout()).await.unwrap(), (Some(7), None));
    assert_eq!(env.state(), EnvironmentState::Gone);
    let request_id = invocation.request_id.clone();
    assert_eq!(
        env.events(),
        [
            EnvEvent::Spawned,
            EnvEvent::Ready,
            EnvEvent::EventHandedOut { request_id: request_id.clone() },
            EnvEvent::ErrorPosted { request_id, error_type: "MyError".to_owned() },
            EnvEvent::Exited { code: Some(7), signal: None },
        ]
    );
    assert!(function.invoke("{}").await.unwrap().cold);
}

#[tokio::test]
async fn a_crash_has_a_code_or_a_signal_and_the_last_words() {
    let script = PythonFunction::new(
        r#"
event = next()
print("last words", file=sys.stderr)
match json.loads(event["body"]):
    case "exit": os._exit(3)
    case "leave": os._exit(0)
os.kill(os.getpid(), signal.SIGABRT)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("crashes")).unwrap();
    let exit = function.invoke("\"exit\"").await.unwrap();
    let expected =
        Outcome::Crashed { code: Some(3), signal: None, log_tail: "last words".to_owned() };
    assert_eq!(exit.outcome, expected);
    assert_eq!(exit.outcome.to_string(), "Runtime exited with error: exit status 3");
    let left = function.invoke("\"leave\"").await.unwrap();
    assert_eq!(left.outcome.to_string(), "Runtime exited without providing a reason");
    let abort = function.invoke("\"abort\"").await.unwrap();
    assert!(abort.cold);
    assert!(
        matches!(&abort.outcome, Outcome::Crashed { code: None, signal: Some(6), .. }),
        "{:?}",
        abort.outcome
    );
}

#[tokio::test]
async fn the_deadline_kills() {
    let script = PythonFunction::new(
        r#"
while True:
    event = next()
    if event["body"] == b'"slow"':
        time.sleep(600)
    respond(event, os.getpid())
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let timeout = Duration::from_secs(1);
    let function = lambda.add_function(script.config("slow").timeout(timeout)).unwrap();
    let slow = function.invoke("\"slow\"").await.unwrap();
    assert_eq!(slow.outcome, Outcome::TimedOut { after: timeout });
    assert!(slow.duration >= timeout && slow.time_left_at_response.is_zero());
    assert!(slow.max_memory_kb.is_some());
    let env = &function.environments()[0];
    let events = env.events();
    let killed = EnvEvent::Exited { code: None, signal: Some(9) };
    assert_eq!(events[events.len() - 2..], [EnvEvent::Killed, killed]);

    let next = function.invoke("\"quick\"").await.unwrap();
    assert!(next.cold && next.outcome.is_success());
    assert_eq!(next.environment, "slow/2");
}

#[tokio::test]
async fn a_failed_init_says_why() {
    let lambda = LambdaEmulator::start().await.unwrap();

    let missing = FunctionConfig::process("missing", "/does/not/exist");
    let missing = lambda.add_function(missing).unwrap();
    let invocation = missing.invoke("{}").await.unwrap();
    let said = invocation.outcome.to_string();
    assert!(said.contains("cannot start /does/not/exist"), "{said}");

    let exits = PythonFunction::new("print('no configuration'); sys.exit(2)");
    let exits = lambda.add_function(exits.config("exits")).unwrap();
    let invocation = exits.invoke("{}").await.unwrap();
    assert_eq!(
        invocation.outcome,
        Outcome::InitFailed {
            error_type: "Runtime.ExitError".to_owned(),
            message: "Runtime exited with error: exit status 2".to_owned(),
            log_tail: "no configuration".to_owned(),
        }
    );

    let hangs = PythonFunction::new("time.sleep(600)");
    let config = hangs.config("hangs").init_timeout(Duration::from_millis(700));
    let hangs = lambda.add_function(config).unwrap();
    let invocation = hangs.invoke("{}").await.unwrap();
    let said = invocation.outcome.to_string();
    assert!(said.contains("Init timed out after 0.70 seconds"), "{said}");
    assert_eq!(hangs.environments()[0].state(), EnvironmentState::Gone);

    let posts = PythonFunction::new(
        r#"
body = json.dumps({"errorType": "Config.Missing", "errorMessage": "set X"})
call("POST", "/2018-06-01/runtime/init/error", body)
sys.exit(1)
"#,
    );
    let posts = lambda.add_function(posts.config("posts")).unwrap();
    let invocation = posts.invoke("{}").await.unwrap();
    let said = invocation.outcome.to_string();
    assert_eq!(said, "init failed: Config.Missing: set X");
    let refused = posts.provision(1).await.unwrap_err();
    assert!(matches!(refused, EmulatorError::InvalidConfig { .. }), "{refused}");
}

#[tokio::test]
async fn only_the_first_answer_counts() {
    let script = PythonFunction::new(
        r#"
while True:
    event = next()
    statuses = [respond({"id": "somebody-elses"}, 0), respond(event, "first"), fail(event, "Late", "")]
    print(statuses)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("twice")).unwrap();
    let invocation = function.invoke("{}").await.unwrap();
    assert_eq!(invocation.json(), Some(json!("first")));
    assert_eq!(invocation.log_text(), "[400, 202, 400]");
}

#[test]
fn a_timeout_is_told_in_lambdas_words() {
    let timed_out = Outcome::TimedOut { after: Duration::from_secs(3) };
    assert_eq!(timed_out.to_string(), "Task timed out after 3.00 seconds");
    let body: serde_json::Value = serde_json::from_slice(&timed_out.body("r-1")).unwrap();
    assert_eq!(body["errorMessage"], "RequestId: r-1 Error: Task timed out after 3.00 seconds");
}
