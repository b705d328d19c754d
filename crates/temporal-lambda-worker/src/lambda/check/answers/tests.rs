//! Judging the server's answers.

use temporalio_common::protos::temporal::api::deployment::v1::worker_deployment_info::WorkerDeploymentVersionSummary;

use super::*;

fn this() -> WorkerDeploymentVersion {
    WorkerDeploymentVersion::builder().deployment_name("shop").build_id("b1").build()
}

fn proto(build_id: &str) -> Option<VersionProto> {
    let (deployment_name, build_id) = ("shop".to_owned(), build_id.to_owned());
    Some(VersionProto { deployment_name, build_id })
}

fn deployment(build_ids: &[&str], routing: RoutingConfig) -> WorkerDeploymentInfo {
    let summaries = build_ids.iter().map(|build_id| WorkerDeploymentVersionSummary {
        deployment_version: proto(build_id),
        ..Default::default()
    });
    WorkerDeploymentInfo {
        version_summaries: summaries.collect(),
        routing_config: Some(routing),
        ..Default::default()
    }
}

fn found(
    deployment: Option<WorkerDeploymentInfo>,
    described: Option<DescribeWorkerDeploymentVersionResponse>,
) -> Vec<Code> {
    let version = this();
    let answers = Answers { version: &version, task_queue: Some("orders"), deployment, described };
    let findings = super::version(&answers);
    findings.into_iter().map(|it| it.code).filter(|it| *it != Code::Ok).collect()
}

#[test]
fn a_version_that_the_server_does_not_know_is_reported_with_those_that_it_knows() {
    assert_eq!(found(None, None), [Code::NoDeployment]);
    let without = deployment(&[], RoutingConfig::default());
    assert_eq!(found(Some(without), None), [Code::NoVersion]);
    let other = deployment(&["b2"], RoutingConfig::default());
    assert_eq!(found(Some(other), None), [Code::VersionMismatch]);
}

#[test]
fn a_version_is_current_or_ramping_or_gets_no_new_workflows() {
    let bare = || Some(DescribeWorkerDeploymentVersionResponse::default());
    let missing = [Code::NoComputeProvider, Code::NoTaskQueue];
    let routing = |current: &str, ramping: &str| RoutingConfig {
        current_deployment_version: proto(current),
        ramping_deployment_version: proto(ramping),
        ..Default::default()
    };
    for (routing, code) in [
        (routing("b1", "b2"), None),
        (routing("b2", "b1"), Some(Code::Ramping)),
        (routing("b2", "b3"), Some(Code::NotCurrent)),
        (RoutingConfig::default(), Some(Code::NotCurrent)),
    ] {
        let expected: Vec<_> = missing.iter().cloned().chain(code).collect();
        assert_eq!(found(Some(deployment(&["b1"], routing)), bare()), expected);
    }
}

#[test]
fn a_refused_question_is_a_problem_unless_the_server_does_not_know_the_question() {
    for (subject, status, code) in [
        ("namespace", Grpc::PermissionDenied, Code::Refused),
        ("version", Grpc::Unauthenticated, Code::Refused),
        ("namespace", Grpc::Unimplemented, Code::NamespaceUnknown),
        ("deployment", Grpc::ResourceExhausted, Code::DeploymentUnknown),
        ("version", Grpc::Unavailable, Code::Unreachable),
        ("deployment", Grpc::Internal, Code::ServerError),
    ] {
        let finding = refused_by(subject, &Status::new(status, "no"));
        assert_eq!(finding.code, code, "{subject} {status:?}");
        assert!(finding.message.contains(&format!("{status:?}: no")), "{finding:?}");
    }
}
