//! Settings: where they come from, and what is said about bad ones. No Temporal is needed for
//! most of this: a bad setting is an error before anybody connects.

use std::time::Duration;

use futures::FutureExt as _;
use serde_json::json;
use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::{FunctionConfig, Invocation};
use temporal_lambda_testkit::server::DevServer;
use temporal_lambda_tests::{API_KEY, Invoked as _, World, invoked::invoked_until, server};
use temporalio_client::tonic::Code;
use temporalio_client::{Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::deployment::v1::WorkerDeploymentOptions;
use temporalio_common::protos::temporal::api::enums::v1::WorkerVersioningMode;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::PollWorkflowTaskQueueRequest;

use crate::{HELLO, PROBE};

/// Nobody answers there.
const NOWHERE: &str = "127.0.0.1:1";

async fn refused(world: &World, config: FunctionConfig, expected: &[&str]) {
    let function = world.add(config.timeout(Duration::from_secs(60)));
    let invocation = function.invoke("{}").await.unwrap();
    let (kind, message) = invocation.error();
    assert_eq!(kind, "Configuration", "{message}");
    for text in expected {
        assert!(message.contains(text), "{text} is not in {message}");
    }
    assert_soon("an error", invocation.duration, Duration::ZERO);
    // The process lives on: a configuration can be wrong for one invocation only.
    assert!(!function.invoke("{}").await.unwrap().cold);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_variables_are_named() {
    let world = World::at(NOWHERE, "variables").await;
    let hello = |name: &str| world.config_with_short_idle(name, HELLO);
    let unknown = hello("a").env("TEMPORAL_LAMBDA_IDLE_TIMOUT", "1s");
    let nearest = "did you mean TEMPORAL_LAMBDA_IDLE_TIMEOUT?";
    refused(&world, unknown, &["TEMPORAL_LAMBDA_IDLE_TIMOUT", nearest]).await;
    let bare = hello("b").env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "5");
    refused(&world, bare, &["TEMPORAL_LAMBDA_IDLE_TIMEOUT", "500ms"]).await;
    let word = hello("c").env("TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES", "many");
    refused(&world, word, &["TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES"]).await;
    let zero = hello("d").env("TEMPORAL_LAMBDA_MAX_CONCURRENT_ACTIVITIES", "0");
    refused(&world, zero, &["max_concurrent_activities is 0", "at least 1"]).await;
    let one = hello("e").env("TEMPORAL_LAMBDA_WORKFLOW_TASK_POLLERS", "1");
    refused(&world, one, &["workflow_task_pollers is 1", "at least 2"]).await;
    let small = hello("f")
        .env("TEMPORAL_LAMBDA_GRACEFUL_SHUTDOWN_TIMEOUT", "4s")
        .env("TEMPORAL_LAMBDA_SHUTDOWN_DEADLINE_BUFFER", "4s");
    refused(&world, small, &["shutdown_deadline_buffer is 4s", "4.6s"]).await;
    let broken = hello("g").env("TEMPORAL_API_KEY", format!("{API_KEY}\n"));
    refused(&world, broken, &["API key", "line break"]).await;
    let version = hello("i").env("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "my.app");
    refused(&world, version, &["my.app", "TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "dot"]).await;
    let boolean = hello("j").env("TEMPORAL_TLS", "no");
    refused(&world, boolean, &["TEMPORAL_TLS", "\"no\"", "true or false"]).await;
    let codec = hello("k").env("TEMPORAL_CODEC_ENDPOINT", "http://localhost:8081");
    refused(&world, codec, &["TEMPORAL_CODEC_ENDPOINT", "codec"]).await;
    let nameless = world.config_with_short_idle("h", PROBE).env("TEMPORAL_TASK_QUEUE", "");
    refused(&world, nameless, &["TEMPORAL_TASK_QUEUE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_named_and_nothing_of_them_is_shown() {
    let world = World::at(NOWHERE, "files").await;
    let hello = |name: &str| world.config_with_short_idle(name, HELLO);
    let missing = hello("a").env("TEMPORAL_CONFIG_FILE", "/no/such/file.toml");
    refused(&world, missing, &["TEMPORAL_CONFIG_FILE", "/no/such/file.toml"]).await;

    let file = world.task_root().join("temporal.toml");
    let key = format!("api_key = \"{API_KEY}\"");
    let cases = [
        (
            "b",
            "[lambda_worker]\nmax_cached_workflow = 3\n".to_owned(),
            ["max_cached_workflow\"", "did you mean max_cached_workflows?"],
        ),
        (
            "c",
            "[lambda_worker]\nidle_timeout = 5\n".to_owned(),
            ["\"idle_timeout\"", "a duration such as \"500ms\""],
        ),
        ("d", "[profile.default]\ntls = true\n".to_owned(), ["[profile.default.tls]", "a table"]),
        // Without its end, the line with the key is where the parser stops.
        ("e", format!("[profile.default]\n{}", &key[..key.len() - 1]), ["line 2", "temporal.toml"]),
        (
            "f",
            format!("[profile.default]\napi_key = [\"{API_KEY}\"]\n"),
            ["temporal.toml", "text in quotes"],
        ),
        ("g", format!("[profile.default]\n{key}\nadress = \"x\"\n"), ["adress", "temporal.toml"]),
    ];
    for (name, text, expected) in cases {
        std::fs::write(&file, text).unwrap();
        refused(&world, hello(name), &expected).await;
    }
    std::fs::write(&file, "").unwrap();
    let profile = hello("h").env("TEMPORAL_PROFILE", "production");
    refused(&world, profile, &["production", "TEMPORAL_PROFILE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_stands_above_the_file_and_both_above_the_defaults() {
    let world = World::new("layers").await;
    let text = "
        [profile.default]
        namespace = \"default\"
        [lambda_worker]
        task_queue = \"from-the-file\"
        build_id = \"from-the-file\"
        graceful_shutdown_timeout = \"600ms\"
        idle_timeout = \"50ms\"
        minimum_stay = \"100ms\"
    ";
    std::fs::write(world.task_root().join("elsewhere.toml"), text).unwrap();
    std::fs::write(world.task_root().join("temporal.toml"), "[lambda_worker]\nnonsense = 1")
        .unwrap();
    let hello = FunctionConfig::process("hello", HELLO)
        .timeout(Duration::from_secs(20))
        .current_dir(world.task_root())
        .env("LAMBDA_TASK_ROOT", world.task_root())
        .env("TEMPORAL_CONFIG_FILE", "elsewhere.toml")
        .env("TEMPORAL_ADDRESS", temporal_lambda_tests::server::shared().address())
        .env("TEMPORAL_LAMBDA_BUILD_ID", "from-the-environment");
    let report = world.add(hello).invoke("{}").await.unwrap().report();
    assert_eq!(report["task_queue"], "from-the-file");
    assert_eq!(report["build_id"], "from-the-environment");
    assert_eq!(report["deployment_name"], "hello");
    assert_eq!(report["reason"], "idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_lambda_it_says_so() {
    let output = tokio::process::Command::new(HELLO)
        .env_clear()
        .env("TEMPORAL_API_KEY", API_KEY)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AWS_LAMBDA_RUNTIME_API"), "{stderr}");
    assert!(!stderr.contains(API_KEY), "{stderr}");
    assert_eq!(output.stdout, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_working_directory_is_read_if_the_task_root_has_none() {
    let world = World::new("working-directory").await;
    let text = "[lambda_worker]\ntask_queue = \"of-the-directory\"\n";
    std::fs::write(world.task_root().join("temporal.toml"), text).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let hello = world
        .config_with_short_idle("hello", HELLO)
        .env("LAMBDA_TASK_ROOT", empty.path())
        .env("TEMPORAL_TASK_QUEUE", "");
    let report = world.add(hello).invoke("{}").await.unwrap().report();
    assert_eq!(report["task_queue"], "of-the-directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_is_refused_leaves_the_environment_as_cold_as_it_was_and_a_line_in_the_log()
 {
    let world = World::new("still-cold").await;
    let file = world.task_root().join("key");
    let hello =
        world.config_with_short_idle("hello", HELLO).env("TEMPORAL_LAMBDA_API_KEY_FILE", &file);
    let hello = world.add(hello);
    let refused = hello.invoke("{}").await.unwrap();
    assert_eq!(refused.error().0, "Configuration");
    assert!(refused.log_text().contains("invocation failed"), "{}", refused.log_text());
    std::fs::write(&file, API_KEY).unwrap();
    let report = hello.invoke("{}").await.unwrap().report();
    assert_eq!(report["cold_start"], true);
    assert_eq!(hello.invoke("{}").await.unwrap().report()["cold_start"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_port_is_said_where_nobody_answers() {
    // Nobody listens at the port of HTTP there.
    let world = World::at("127.63.63.63", "no-port").await;
    let hello = world.add(world.config_with_short_idle("hello", HELLO));
    let invocation = hello.invoke("{}").await.unwrap();
    let (kind, message) = invocation.error();
    assert_eq!(kind, "TemporalUnreachable", "{message}");
    assert!(message.contains("80 was tried") && message.contains("7233"), "{message}");
    let log = invocation.log_text();
    assert!(log.contains("TEMPORAL_ADDRESS is") && log.contains("without a port"), "{log}");
}

/// What the server says to a poll of this version and task queue: nothing, if it takes it.
async fn refusal(
    connection: &Connection,
    name: &str,
    build_id: &str,
    queue: &str,
) -> Option<String> {
    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..Default::default() }),
        deployment_options: Some(WorkerDeploymentOptions {
            deployment_name: name.to_owned(),
            build_id: build_id.to_owned(),
            worker_versioning_mode: WorkerVersioningMode::Versioned.into(),
        }),
        ..Default::default()
    };
    let mut poll = tonic::Request::new(poll);
    // One that is taken lasts as long as it may.
    poll.set_timeout(Duration::from_secs(3));
    let status = connection.workflow_service().poll_workflow_task_queue(poll).await.err()?;
    (status.code() == Code::InvalidArgument).then(|| status.message().to_owned())
}

/// What is refused as configuration is what the server refuses, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_rules_for_names_are_those_of_the_server() {
    let target = Url::parse(&format!("http://{}", server::shared().address())).unwrap();
    let options = ConnectionOptions::new(target).dns_load_balancing(None).build();
    let connection = Connection::connect(options).await.unwrap();
    let (allowed, too_long, queue) = ("n".repeat(480), "n".repeat(481), "n".repeat(1001));
    let (allowed, too_long, queue) = (allowed.as_str(), too_long.as_str(), queue.as_str());
    let refused = [
        ("my.app", "1", "q"),
        ("team:app", "1", "q"),
        ("__app", "1", "q"),
        ("app", "__1", "q"),
        ("app", "1", "/_sys/q"),
        (too_long, "1", "q"),
        ("app", too_long, "q"),
        ("app", "1", queue),
    ]
    .map(|(name, build_id, queue)| refusal(&connection, name, build_id, queue).boxed());
    for (number, refusal) in futures::future::join_all(refused).await.into_iter().enumerate() {
        assert!(refusal.is_some(), "{number}");
    }
    let taken = [("a-b_c", "1.2.3", "q"), ("_app", "a:b", "q.r:s"), (allowed, allowed, "q")]
        .map(|(name, build_id, queue)| refusal(&connection, name, build_id, queue).boxed());
    for refusal in futures::future::join_all(taken).await {
        assert_eq!(refusal, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_server_does_not_take_is_trouble_on_the_servers_side() {
    let server = DevServer::builder()
        .dynamic_config("matching.maxVersionsInDeployment", 1)
        .start()
        .await
        .unwrap();
    let world = World::at(&server.address(), "versions").await;
    let hello = |name: &str, build_id: &str| {
        let hello = world.config(name, HELLO).env("TEMPORAL_LAMBDA_BUILD_ID", build_id);
        world.add(hello.env("TEMPORAL_LAMBDA_IDLE_TIMEOUT", "3s"))
    };
    // On a busy machine a server that has just begun may be too late for the first polls.
    let is_calm =
        async |it: &Invocation| (it.report()["server_trouble"] == json!([])).then_some(());
    invoked_until(&hello("first", "b1"), "an invocation without trouble", is_calm).await;
    // Now the limit is reached. The server leaves polls of another version without an answer.
    let second = hello("second", "b2").invoke("{}").await.unwrap();
    let report = second.report();
    let trouble = report["server_trouble"].as_array().unwrap();
    assert!(trouble.iter().any(|it| it["call"] == "PollWorkflowTaskQueue"), "{report}");
    assert_eq!(report["poisoned"], false);
}
