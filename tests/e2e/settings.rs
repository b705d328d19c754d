//! Settings: where they come from, and what is said about bad ones. No Temporal is needed for
//! most of this: a bad setting is an error before anybody connects.

use std::time::Duration;

use temporal_lambda_test_timing::assert_soon;
use temporal_lambda_testkit::lambda::FunctionConfig;
use temporal_lambda_tests::{API_KEY, Invoked as _, World};

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
    let hello = |name: &str| world.brief(name, HELLO);
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
    let nameless = world.brief("h", PROBE).env("TEMPORAL_TASK_QUEUE", "");
    refused(&world, nameless, &["TEMPORAL_TASK_QUEUE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_named_and_nothing_of_them_is_shown() {
    let world = World::at(NOWHERE, "files").await;
    let hello = |name: &str| world.brief(name, HELLO);
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
        ("d", "[lambda_workers]\n".to_owned(), ["[lambda_workers]", "did you mean"]),
        // Without its end, the line with the key is where the parser stops.
        ("e", format!("[profile.default]\n{}", &key[..key.len() - 1]), ["line 2", "temporal.toml"]),
        ("f", format!("[profile.default]\napi_key = [\"{API_KEY}\"]\n"), ["temporal.toml", "type"]),
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
