//! The life of execution environments: reuse, freezing, concurrency, the end.

use std::time::{Duration, Instant};

use serde_json::json;
use temporal_lambda_emulator::{
    EmulatorError, EnvEvent, EnvironmentState, LambdaEmulator, ProcessStats,
};
use temporal_lambda_test_timing::{eventually, eventually_blocking, test_timeout};

use crate::python::{PythonFunction, process_state, wait_for_state};

const PID: &str = r#"
while True:
    event = next()
    respond(event, os.getpid())
"#;

/// Answers once a file of the event's name exists.
const GATED: &str = r#"
folder = os.path.dirname(os.path.abspath(__file__))
while True:
    event = next()
    while not os.path.exists(os.path.join(folder, json.loads(event["body"]))):
        time.sleep(0.005)
    respond(event, os.getpid())
"#;

#[tokio::test]
async fn an_idle_child_is_frozen_and_thawed_for_the_next_event() {
    let script = PythonFunction::new(PID);
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("frozen")).unwrap();
    let first = function.invoke("{}").await.unwrap();
    let env = &function.environments()[0];
    let pid = env.pid().expect("a process");
    assert_eq!(env.state(), EnvironmentState::Frozen);
    wait_for_state(pid, &[Some('T')]).await;

    let second = function.invoke("{}").await.unwrap();
    assert_eq!(first.json(), Some(json!(pid)));
    assert_eq!(second.json(), Some(json!(pid)));
    let (one, two) = (first.request_id, second.request_id);
    assert_eq!(
        env.events(),
        [
            EnvEvent::Spawned,
            EnvEvent::Ready,
            EnvEvent::EventHandedOut { request_id: one.clone() },
            EnvEvent::ResponsePosted { request_id: one },
            EnvEvent::Frozen,
            EnvEvent::Thawed,
            EnvEvent::EventHandedOut { request_id: two.clone() },
            EnvEvent::ResponsePosted { request_id: two },
            EnvEvent::Frozen,
        ]
    );

    env.thaw().unwrap();
    wait_for_state(pid, &[Some('S')]).await;
    assert_eq!(env.state(), EnvironmentState::Idle);
    env.freeze().unwrap();
    wait_for_state(pid, &[Some('T')]).await;
}

#[tokio::test]
async fn freezing_can_be_turned_off() {
    let script = PythonFunction::new(PID);
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("awake").freeze(false)).unwrap();
    function.invoke("{}").await.unwrap();
    let env = &function.environments()[0];
    assert_eq!(env.state(), EnvironmentState::Idle);
    assert!(!env.events().contains(&EnvEvent::Frozen));
}

#[tokio::test]
async fn two_events_have_two_environments_and_a_third_is_throttled() {
    let script = PythonFunction::new(GATED);
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("pair").concurrency(2)).unwrap();
    let open = |gate: &str| std::fs::write(script.file(gate), "").unwrap();

    let mut first = Box::pin(function.invoke("\"a\""));
    let mut second = Box::pin(function.invoke("\"b\""));
    // Polled once each, so that both hold their places.
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    let third = function.invoke("\"c\"").await.unwrap_err();
    assert!(matches!(third, EmulatorError::Throttled { limit: 2, .. }), "{third}");

    open("a");
    open("b");
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_ne!(first.environment, second.environment);
    assert_ne!(first.json(), second.json());
    assert_eq!(function.environments().len(), 2);

    // The one that was used last is used again.
    let last = [&first, &second].map(|invocation| invocation.environment.clone());
    let again = function.invoke("\"a\"").await.unwrap();
    assert!(!again.cold && last.contains(&again.environment));
    let once_more = function.invoke("\"a\"").await.unwrap();
    assert_eq!(again.environment, once_more.environment);
}

#[tokio::test]
async fn one_environment_can_take_several_events() {
    let script = PythonFunction::new(
        r#"
import threading
gate = threading.Barrier(3)
def serve():
    while True:
        event = next()
        gate.wait()
        respond(event, os.environ["AWS_LAMBDA_MAX_CONCURRENCY"])
for _ in range(3):
    threading.Thread(target=serve).start()
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let config = script.config("several").environment_concurrency(3);
    let function = lambda.add_function(config).unwrap();
    // No event is answered before all three are there.
    let (a, b, c) = tokio::join!(function.invoke("1"), function.invoke("2"), function.invoke("3"));
    for invocation in [a, b, c] {
        assert_eq!(invocation.unwrap().json(), Some(json!("3")));
    }
    assert_eq!(function.environments().len(), 1);
}

#[tokio::test]
async fn provisioned_environments_are_warm() {
    let script = PythonFunction::new(PID);
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("warm")).unwrap();
    function.provision(2).await.unwrap();
    let environments = function.environments();
    assert_eq!(environments.len(), 2);
    for env in &environments {
        assert_eq!(env.state(), EnvironmentState::Frozen);
        assert!(env.view().init.is_some());
    }
    let invocation = function.invoke("{}").await.unwrap();
    assert!(!invocation.cold);
}

/// One that fails to start is ended and named; the others are through init, and frozen.
#[tokio::test]
async fn a_provisioned_environment_that_fails_leaves_the_others_as_they_should_be() {
    let fails = "if os.environ['AWS_LAMBDA_LOG_STREAM_NAME'].endswith('/1'): sys.exit(3)";
    let script = PythonFunction::new(&format!("{fails}\n{PID}"));
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("halves")).unwrap();
    let refused = function.provision(3).await.unwrap_err();
    assert!(refused.to_string().contains("exit status 3"), "{refused}");
    let states: Vec<_> = function.environments().iter().map(|env| env.state()).collect();
    let frozen = EnvironmentState::Frozen;
    assert_eq!(states, [EnvironmentState::Gone, frozen, frozen]);
    assert!(!function.invoke("{}").await.unwrap().cold);
}

#[tokio::test]
async fn what_runs_on_after_its_answer_is_killed_at_the_deadline() {
    let script = PythonFunction::new(
        r#"
event = next()
respond(event, os.getpid())
time.sleep(600)
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let config = script.config("lingers").timeout(Duration::from_secs(2));
    let function = lambda.add_function(config).unwrap();
    let invocation = function.invoke("{}").await.unwrap();
    assert!(invocation.outcome.is_success());
    let env = &function.environments()[0];
    assert_eq!(env.gone(test_timeout()).await.unwrap(), (None, Some(9)));
    let request_id = invocation.request_id.clone();
    assert_eq!(
        env.events(),
        [
            EnvEvent::Spawned,
            EnvEvent::Ready,
            EnvEvent::EventHandedOut { request_id: request_id.clone() },
            EnvEvent::ResponsePosted { request_id },
            EnvEvent::Killed,
            EnvEvent::Exited { code: None, signal: Some(9) },
        ],
        "it is not frozen, but killed"
    );
    let timeline = env.timeline();
    let at = |wanted: &EnvEvent| timeline.iter().find(|(_, event)| event == wanted).unwrap().0;
    let handed_out = at(&EnvEvent::EventHandedOut { request_id: invocation.request_id.clone() });
    let lived = at(&EnvEvent::Killed) - handed_out;
    assert!(lived >= Duration::from_millis(1900), "killed after {lived:?} of 2 s");
}

#[tokio::test]
async fn shutdown_thaws_asks_and_then_kills() {
    let polite = PythonFunction::new(
        r#"
def leave(*_):
    print("leaving")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
while True:
    event = next()
    respond(event, os.getpid())
"#,
    );
    let stubborn =
        PythonFunction::new(&format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{PID}"));
    let lambda = LambdaEmulator::start().await.unwrap();
    let polite = lambda.add_function(polite.config("polite")).unwrap();
    let stubborn = lambda.add_function(stubborn.config("stubborn")).unwrap();
    polite.invoke("{}").await.unwrap();
    stubborn.invoke("{}").await.unwrap();

    let began = Instant::now();
    lambda.shutdown().await;
    assert!(began.elapsed() >= Duration::from_millis(500));
    let polite_env = &polite.environments()[0];
    assert_eq!(polite_env.gone(test_timeout()).await.unwrap(), (Some(0), None));
    assert_eq!(polite_env.log().last().unwrap().text, "leaving");
    let events = polite_env.events();
    assert!(events.contains(&EnvEvent::Terminated) && !events.contains(&EnvEvent::Killed));
    let stubborn_env = &stubborn.environments()[0];
    assert_eq!(stubborn_env.gone(test_timeout()).await.unwrap(), (None, Some(9)));
    let refused = polite.invoke("{}").await.unwrap_err();
    assert!(matches!(refused, EmulatorError::ShutDown), "{refused}");
}

#[tokio::test]
async fn dropping_the_emulator_leaves_nothing_running() {
    let idle = PythonFunction::new(PID);
    let gated = PythonFunction::new(GATED);
    let lambda = LambdaEmulator::start().await.unwrap();
    let idle = lambda.add_function(idle.config("idle")).unwrap();
    let busy = lambda.add_function(gated.config("busy")).unwrap();
    idle.invoke("{}").await.unwrap();
    busy.provision(1).await.unwrap();
    let frozen = idle.environments()[0].pid().unwrap();
    let busy_env = busy.environments()[0].clone();
    let running = busy_env.pid().unwrap();
    wait_for_state(frozen, &[Some('T')]).await;
    let waiting = tokio::spawn(async move { busy.invoke("\"never\"").await });
    let is_busy = || busy_env.state() == EnvironmentState::Busy;
    eventually("the event to be handed out", is_busy).await;

    drop(lambda);
    wait_for_state(frozen, &[None, Some('Z')]).await;
    wait_for_state(running, &[None, Some('Z')]).await;
    let ended = waiting.await.unwrap().unwrap();
    assert!(!ended.outcome.is_success());
}

#[test]
fn dropping_everything_with_its_runtime_leaves_nothing_running() {
    let script = PythonFunction::new(PID);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (lambda, pid) = runtime.block_on(async {
        let lambda = LambdaEmulator::start().await.unwrap();
        let function = lambda.add_function(script.config("orphan")).unwrap();
        function.invoke("{}").await.unwrap();
        let pid = function.environments()[0].pid().unwrap();
        (lambda, pid)
    });
    drop(runtime);
    drop(lambda);
    let is_gone = || matches!(process_state(pid), None | Some('Z'));
    eventually_blocking("the end of the process", is_gone);
}

#[tokio::test]
async fn a_child_can_be_measured() {
    let script = PythonFunction::new(PID);
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("measured")).unwrap();
    function.invoke("{}").await.unwrap();
    let env = &function.environments()[0];
    let stats = ProcessStats::of(env.pid().unwrap()).unwrap();
    assert!(stats.threads >= 1 && stats.fds >= 3 && stats.rss_kb > 1000);
    assert!(env.view().peak_rss_kb.unwrap() >= stats.rss_kb);
}

#[tokio::test]
async fn extensions_and_restores_are_answered() {
    let script = PythonFunction::new(
        r#"
import threading
register = "/2020-01-01/extension/register"
answer, body = call("POST", register, json.dumps({"events": ["INVOKE"]}), {"Lambda-Extension-Name": "mine"})
identifier = answer.headers["lambda-extension-identifier"]
seen = []
def follow():
    headers = {"Lambda-Extension-Identifier": identifier}
    seen.append(json.loads(call("GET", "/2020-01-01/extension/event/next", headers=headers)[1]))
follower = threading.Thread(target=follow)
follower.start()
assert call("GET", "/2018-06-01/runtime/restore/next")[0].status == 200
event = next()
follower.join()
respond(event, [json.loads(body)["functionName"], seen[0]["eventType"], seen[0]["requestId"]])
next()
"#,
    );
    let lambda = LambdaEmulator::start().await.unwrap();
    let function = lambda.add_function(script.config("extended")).unwrap();
    let invocation = function.invoke("{}").await.unwrap();
    let expected = json!(["extended", "INVOKE", invocation.request_id]);
    assert_eq!(invocation.json(), Some(expected));
    let events = function.environments()[0].events();
    let registered = EnvEvent::ExtensionRegistered { name: "mine".to_owned() };
    assert!(events.contains(&registered) && events.contains(&EnvEvent::RestoreRequested));
}
