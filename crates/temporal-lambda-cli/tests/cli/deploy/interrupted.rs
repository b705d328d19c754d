//! A deployment that is interrupted, and one that cannot work.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use temporal_lambda_test_timing::TimeLimit;

use temporal_lambda_testkit::lambda::LambdaEmulator;

use super::cloud::Cloud;

/// The steps of a first deployment.
const STEPS: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_killed_at_any_step_goes_on_when_it_is_run_again() {
    let cloud = Cloud::start(TimeLimit::of_this_test()).await;
    for step in 1..=STEPS {
        let function = format!("killed-{step}");
        let package = cloud.package(&function);
        let mut child = cloud.deploy(&function, &package).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines().map_while(Result::ok);
        let told = lines.find(|line| line.trim_start().starts_with(&format!("{step}/{STEPS} ")));
        assert!(told.is_some(), "there is no step {step} of {STEPS}");
        child.kill().unwrap();
        child.wait().unwrap();

        let told = cloud.succeeds(cloud.deploy(&function, &package)).await;
        assert!(told.contains(&format!("{function}:1 is current")), "{told}");
        assert_eq!(cloud.published(&function), ["1"]);
        let mut again = cloud.deploy(&function, &package);
        again.arg("--dry-run");
        let again = cloud.succeeds(again).await;
        assert!(again.contains("0 steps"), "killed at step {step}: {again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_poll_gets_no_workflows_and_the_reason_is_told_where_to_find() {
    let cloud = Cloud::start(TimeLimit::of_this_test()).await;
    let package = cloud.package("deaf");
    let mut command = cloud.deploy("deaf", &package);
    command.args(["--env", "TEMPORAL_ADDRESS=127.0.0.1:1", "--first-poll", "3s"]);
    let told = cloud.fails(command).await;
    assert!(told.contains("no worker polled as deaf:1 within 3s"), "{told}");
    assert!(told.contains("/aws/lambda/deaf"), "{told}");
    let info = cloud.temporal.deployment("deaf").describe().await.unwrap().unwrap();
    let current = info.routing_config.and_then(|it| it.current_deployment_version);
    assert_eq!(current.map(|it| it.build_id).unwrap_or_default(), "");

    // Mended, it is another version: the variables belong to a version.
    let told = cloud.succeeds(cloud.deploy("deaf", &package)).await;
    assert!(told.contains("deaf:2 is current"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_source_of_the_build_id_is_refused_before_anything_is_made() {
    let cloud = Cloud::start(TimeLimit::of_this_test()).await;
    let mut command = cloud.deploy("two-sources", &cloud.package("two-sources"));
    command.args(["--env", "TEMPORAL_LAMBDA_BUILD_ID=a"]);
    let told = cloud.fails(command).await;
    assert!(told.contains("the build ID is the number of the published version"), "{told}");
    assert!(cloud.lambda.functions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_temporal_may_not_assume_is_told_and_the_deployment_goes_on_with_the_right_one()
{
    let lambda = LambdaEmulator::builder().expect_external_id("the-right-one").start().await;
    let cloud = Cloud::around(TimeLimit::of_this_test(), lambda.unwrap()).await;
    let package = cloud.package("roles");
    let with = |external_id: &str| {
        let mut command = cloud.deploy("roles", &package);
        command.args(["--invoke-role", "arn:aws:iam::000000000000:role/invoker"]);
        command.args(["--external-id", external_id]);
        command
    };
    let told = cloud.fails(with("the-wrong-one")).await;
    assert!(
        told.contains("Temporal cannot call roles:1") && told.contains("sts:AssumeRole"),
        "{told}"
    );
    assert!(!told.contains("the-wrong-one"), "{told}");
    let told = cloud.succeeds(with("the-right-one")).await;
    assert!(told.contains("roles:1 is current"), "{told}");
    let mut again = with("the-right-one");
    again.arg("--dry-run");
    let again = cloud.succeeds(again).await;
    assert!(again.contains("0 steps"), "{again}");
}
