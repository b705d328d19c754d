//! Names that the server refuses. An end-to-end test checks that a real server does.

use super::connection::settled;
use super::*;

fn with(variable: &str, value: &str) -> Place {
    Place::empty().set("TEMPORAL_TASK_QUEUE", "q").set(variable, value)
}

#[tokio::test]
async fn a_name_that_the_server_refuses_is_a_configuration_error() {
    for (variable, value) in [
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "my.app"),
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "team:app"),
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "__app"),
        ("TEMPORAL_LAMBDA_BUILD_ID", "__1"),
        ("TEMPORAL_TASK_QUEUE", "/_sys/q"),
    ] {
        let error = registered(&with(variable, value)).settle().unwrap_err();
        assert!(matches!(error, ConfigError::BadName { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(value) && error.contains(variable), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_the_server_accepts_is_accepted() {
    for (variable, value) in [
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", "_app-1"),
        ("TEMPORAL_LAMBDA_BUILD_ID", "1.2.3"),
        ("TEMPORAL_LAMBDA_BUILD_ID", "a:b"),
        ("TEMPORAL_TASK_QUEUE", "q.r:s/t"),
    ] {
        assert_eq!(settled(&with(variable, value)).warnings.texts(), [""; 0], "{value}");
    }
}

#[tokio::test]
async fn a_name_over_the_usual_limit_is_warned_about() {
    for (variable, limit) in [
        ("TEMPORAL_LAMBDA_DEPLOYMENT_NAME", 480),
        ("TEMPORAL_LAMBDA_BUILD_ID", 480),
        ("TEMPORAL_TASK_QUEUE", 1000),
    ] {
        let warnings = |length| {
            let config = settled(&with(variable, &"n".repeat(length)));
            config.warnings.texts().to_vec()
        };
        assert_eq!(warnings(limit), [""; 0]);
        let over = warnings(limit + 1);
        assert!(over[0].contains(&limit.to_string()) && over[0].contains(variable), "{over:?}");
    }
}
