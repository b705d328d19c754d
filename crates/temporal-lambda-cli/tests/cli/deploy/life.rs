//! A deployment from its first version on.

use std::process::Command;

use serde_json::{Value, json};
use temporal_lambda_test_timing::{TimeLimit, within};
use temporal_lambda_testkit::server::Deployment;
use temporalio_client::{UntypedSignal, UntypedWorkflow, WorkflowSignalOptions};
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::enums::v1::WorkerDeploymentVersionStatus;

use super::cloud::{Cloud, TASK_QUEUE};
use crate::support::patience;

const FUNCTION: &str = "approvals";

fn with<const N: usize>(mut command: Command, arguments: [&str; N]) -> Command {
    command.args(arguments);
    command
}

/// Starts a workflow, and waits until a version has it.
async fn start(cloud: &Cloud, id: &str) {
    cloud.temporal.start_workflow(TASK_QUEUE, "Approval", id, &Value::Null).await.unwrap();
    let begun = async {
        // Started, scheduled, begun, completed.
        while cloud.temporal.workflow_history(id).await.unwrap().len() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(patience(), begun).await.expect("the first task of a workflow");
}

/// The build IDs that a workflow began and ended on.
async fn approve(cloud: &Cloud, id: &str) -> Value {
    let workflow = cloud.temporal.client().get_workflow_handle::<UntypedWorkflow>(id);
    let by = RawValue::from_value(&"Ada".to_owned(), &PayloadConverter::default());
    let signal = UntypedSignal::new("approve");
    workflow.signal(signal, by, WorkflowSignalOptions::default()).await.unwrap();
    cloud.temporal.workflow_result(id, patience()).await.unwrap()
}

async fn drained(deployment: &Deployment, build_id: &str) {
    let drained = async {
        loop {
            let info = deployment.describe().await.unwrap().unwrap();
            let is_it = info.version_summaries.iter().any(|it| {
                it.deployment_version.as_ref().is_some_and(|it| it.build_id == build_id)
                    && it.status() == WorkerDeploymentVersionStatus::Drained
            });
            if is_it {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    within(format!("version {build_id} to be drained"), drained).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_from_a_first_version_to_a_second_and_back_and_loses_the_first_when_it_is_drained()
 {
    let cloud = Cloud::start(TimeLimit::of_this_test()).await;
    let (one, two) = (cloud.package("one"), cloud.package("two"));
    let deployment = cloud.temporal.deployment(FUNCTION);

    let told = cloud.succeeds(with(cloud.deploy(FUNCTION, &one), ["--dry-run"])).await;
    assert!(told.contains("create the function approvals"), "{told}");
    assert!(told.contains("make the new version of approvals current"), "{told}");
    assert!(told.contains("nothing was changed"), "{told}");
    assert!(cloud.lambda.functions().is_empty());
    assert_eq!(deployment.describe().await.unwrap(), None);

    let told = cloud.succeeds(cloud.deploy(FUNCTION, &one)).await;
    assert!(told.contains("approvals:1 is current"), "{told}");
    assert!(told.contains("task queue approvals"), "{told}");
    let again = cloud.succeeds(with(cloud.deploy(FUNCTION, &one), ["--dry-run"])).await;
    assert!(again.contains("0 steps"), "{again}");
    start(&cloud, "pinned").await;
    let told = cloud.fails(cloud.command("rollback", FUNCTION)).await;
    assert!(told.contains("no version of approvals was current before approvals:1"), "{told}");

    let told = cloud.succeeds(with(cloud.deploy(FUNCTION, &two), ["--ramp", "10"])).await;
    assert!(told.contains("approvals:2 gets 10 % of the new workflows"), "{told}");
    let table = cloud.succeeds(cloud.command("status", FUNCTION)).await;
    let row = |table: &str, start: &str| {
        let row = table.lines().find(|line| line.trim_start().starts_with(start));
        row.unwrap_or_else(|| panic!("no {start} in\n{table}")).to_owned()
    };
    assert!(row(&table, "approvals:2").contains("ramping  10 %"), "{table}");
    assert!(row(&table, "approvals:1").contains("current  90 %"), "{table}");
    let told = cloud.succeeds(cloud.deploy(FUNCTION, &two)).await;
    assert!(told.contains("approvals:2 is current") && told.contains(" 1/1 "), "{told}");

    start(&cloud, "new").await;
    assert_eq!(approve(&cloud, "new").await, json!(["2", "2"]));
    let pruned = cloud.succeeds(with(cloud.command("prune", FUNCTION), ["--keep", "0"])).await;
    assert!(pruned.contains("0 versions are gone"), "{pruned}");
    assert_eq!(approve(&cloud, "pinned").await, json!(["1", "1"]));

    let told = cloud.succeeds(cloud.command("rollback", FUNCTION)).await;
    assert!(told.contains("approvals:1 is current"), "{told}");
    start(&cloud, "back").await;
    assert_eq!(approve(&cloud, "back").await, json!(["1", "1"]));
    let told = cloud.succeeds(cloud.deploy(FUNCTION, &two)).await;
    assert!(told.contains("approvals:2 is current") && told.contains(" 1/1 "), "{told}");

    drained(&deployment, "1").await;
    let kept = cloud.succeeds(with(cloud.command("prune", FUNCTION), ["--keep", "1"])).await;
    assert!(kept.contains("0 versions are gone"), "{kept}");
    let told =
        cloud.succeeds(with(cloud.command("prune", FUNCTION), ["--keep", "0", "--dry-run"])).await;
    assert!(told.contains("would delete approvals:1"), "{told}");
    assert_eq!(cloud.published(FUNCTION), ["1", "2"]);
    let told = cloud.succeeds(with(cloud.command("prune", FUNCTION), ["--keep", "0"])).await;
    assert!(told.contains("1 versions are gone"), "{told}");
    assert_eq!(cloud.published(FUNCTION), ["2"]);
    assert!(deployment.describe_version("1").await.unwrap().is_none());
    let table = cloud.succeeds(cloud.command("status", FUNCTION)).await;
    assert!(row(&table, "approvals:2").contains("current  100 %"), "{table}");
    assert!(!table.contains("approvals:1"), "{table}");
}
