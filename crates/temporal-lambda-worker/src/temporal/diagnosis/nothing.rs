//! Judging why a worker that was invoked gets no task.

use temporalio_client::tonic::Code;
use temporalio_common::protos::temporal::api::deployment::v1::{
    WorkerDeploymentInfo, WorkerDeploymentVersion as Version,
};
use temporalio_common::protos::temporal::api::enums::v1::WorkerDeploymentVersionStatus as Rank;
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeWorkerDeploymentVersionResponse;

/// A worker as the server knows it.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) deployment_name: String,
    pub(super) build_id: String,
    pub(super) task_queue: String,
}

impl Worker {
    fn is(&self, version: &Version) -> bool {
        version.deployment_name == self.deployment_name && version.build_id == self.build_id
    }
}

/// The server's answers about a version and its task queue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answers {
    pub(super) version: Result<DescribeWorkerDeploymentVersionResponse, Code>,
    /// `None`: no answer.
    pub(super) deployment: Option<WorkerDeploymentInfo>,
    /// How many tasks wait on the task queue; `None`: no answer.
    pub(super) backlog: Option<i64>,
    /// The versions that the task queue's tasks go to.
    pub(super) queue_current: Option<Version>,
    pub(super) queue_ramping: Option<Version>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            version: Err(Code::Unknown),
            deployment: None,
            backlog: None,
            queue_current: None,
            queue_ramping: None,
        }
    }
}

impl Answers {
    /// The deployment's current version.
    pub(super) fn current(&self) -> Option<&Version> {
        self.deployment.as_ref()?.routing_config.as_ref()?.current_deployment_version.as_ref()
    }
}

/// The text about a worker without a task; `refusal`: the server's message to polls that it refused. `None`: nothing
/// is wrong, or the server did not answer.
pub(super) fn judge(worker: &Worker, answers: &Answers, refusal: Option<&str>) -> Option<String> {
    let Worker { deployment_name, build_id, task_queue } = worker;
    let name = format!("{deployment_name}/{build_id}");
    let described = match &answers.version {
        Ok(described) => described,
        // The worker has polled as this version, and the first poll creates a version.
        Err(Code::NotFound) => return Some(not_taken(&name, answers, refusal)),
        Err(_) => return None,
    };
    let info = described.worker_deployment_version_info.clone().unwrap_or_default();
    let waiting = |count: i64| match count {
        1 => "1 task waits".to_owned(),
        more => format!("{more} tasks wait"),
    };
    let backlog = match answers.backlog {
        Some(count) if count > 0 => format!("; {} on task queue {task_queue:?}", waiting(count)),
        _ => String::new(),
    };
    let set_current = format!(
        "temporal worker deployment set-current-version --deployment-name {deployment_name} --build-id \
         {build_id}"
    );
    let goes_to = || match answers.current() {
        Some(version) => {
            format!("new workflows go to {}/{}", version.deployment_name, version.build_id)
        }
        None => "the deployment has no current version, so new workflows go to workers without one"
            .to_owned(),
    };
    match info.status() {
        Rank::Current | Rank::Ramping => {}
        Rank::Draining | Rank::Drained => {
            return Some(format!(
                "version {name} is being replaced: {}{backlog}. Take away what still invokes this \
                 function, or make the version current again: {set_current}",
                goes_to()
            ));
        }
        _ => {
            return Some(format!(
                "version {name} is neither current nor ramping: {}{backlog}. Make it current: \
                 {set_current}",
                goes_to()
            ));
        }
    }
    let queues = &described.version_task_queues;
    if !queues.iter().any(|it| it.name == *task_queue) {
        return Some(format!(
            "task queue {task_queue:?} is not bound to version {name}, though this worker polls it: the \
             server gives it no task from there. {}Use another task queue or deployment name",
            refusal.map(|words| format!("The server said: {words}. ")).unwrap_or_default()
        ));
    }
    if let Some(other) = answers.queue_current.as_ref().filter(|it| !worker.is(it))
        && !answers.queue_ramping.as_ref().is_some_and(|it| worker.is(it))
        && other.deployment_name != *deployment_name
    {
        return Some(format!(
            "tasks of task queue {task_queue:?} go to {}/{}, a version of another deployment{backlog}. \
             Give each deployment a task queue of its own",
            other.deployment_name, other.build_id
        ));
    }
    let other = queues.iter().filter(|it| it.name != *task_queue).find_map(|it| {
        let count = it.stats.as_ref()?.approximate_backlog_count;
        (count > 0).then_some((&it.name, count))
    });
    other.filter(|_| backlog.is_empty()).map(|(queue, count)| {
        format!(
            "no task waits on task queue {task_queue:?}, but {} for version {name} on {queue:?}, which \
             this worker does not poll. Set TEMPORAL_TASK_QUEUE, or serve that task queue with a \
             function of its own",
            waiting(count)
        )
    })
}

fn not_taken(name: &str, answers: &Answers, refusal: Option<&str>) -> String {
    let others = match &answers.deployment {
        Some(deployment) => match deployment.version_summaries.len() {
            1 => "the deployment has 1 version".to_owned(),
            more => format!("the deployment has {more} versions"),
        },
        None => "it does not know the deployment".to_owned(),
    };
    let limit = "versions and deployments (100 each, unless it is set otherwise): delete versions that are \
                 drained (temporal worker deployment delete-version)";
    match refusal {
        Some(words) => format!(
            "the server does not take version {name}, though this worker polls as it (it says: {words}): \
             {others}. A server takes a limited number of {limit}"
        ),
        None => format!(
            "the server has no version {name}, though this worker polls as it: {others}. Either it was too \
             busy to take a poll in the time of an invocation, or it has its limit of {limit}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::deployment::v1::{
        RoutingConfig, WorkerDeploymentInfo, WorkerDeploymentVersionInfo,
        worker_deployment_info::WorkerDeploymentVersionSummary,
    };
    use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueueStats;
    use temporalio_common::protos::temporal::api::workflowservice::v1::{
        DescribeWorkerDeploymentVersionResponse,
        describe_worker_deployment_version_response::VersionTaskQueue,
    };

    use super::*;

    fn worker() -> Worker {
        Worker {
            deployment_name: "shop".to_owned(),
            build_id: "b1".to_owned(),
            task_queue: "orders".to_owned(),
        }
    }

    fn version(deployment_name: &str, build_id: &str) -> Version {
        Version { deployment_name: deployment_name.to_owned(), build_id: build_id.to_owned() }
    }

    fn queue(name: &str, backlog: i64) -> VersionTaskQueue {
        let stats = TaskQueueStats { approximate_backlog_count: backlog, ..Default::default() };
        VersionTaskQueue { name: name.to_owned(), stats: Some(stats), ..Default::default() }
    }

    fn answers(rank: Rank, queues: &[VersionTaskQueue]) -> Answers {
        let info = WorkerDeploymentVersionInfo { status: rank.into(), ..Default::default() };
        let routing = RoutingConfig {
            current_deployment_version: Some(version("shop", "b2")),
            ..Default::default()
        };
        Answers {
            version: Ok(DescribeWorkerDeploymentVersionResponse {
                worker_deployment_version_info: Some(info),
                version_task_queues: queues.to_vec(),
            }),
            deployment: Some(WorkerDeploymentInfo {
                routing_config: Some(routing),
                version_summaries: vec![WorkerDeploymentVersionSummary::default(); 3],
                ..Default::default()
            }),
            backlog: Some(0),
            queue_current: Some(version("shop", "b1")),
            queue_ramping: None,
        }
    }

    fn said(answers: &Answers) -> Option<String> {
        judge(&worker(), answers, None)
    }

    #[test]
    fn no_diagnosis_is_made_of_a_current_or_ramping_version_that_is_bound_nor_without_an_answer() {
        assert_eq!(said(&answers(Rank::Current, &[queue("orders", 0)])), None);
        assert_eq!(said(&answers(Rank::Ramping, &[queue("orders", 0), queue("mail", 0)])), None);
        for code in [Code::PermissionDenied, Code::Unimplemented, Code::Unavailable] {
            assert_eq!(said(&Answers { version: Err(code), ..Answers::default() }), None);
        }
    }

    #[test]
    fn a_version_that_gets_no_new_workflows_is_named_with_the_one_that_gets_them() {
        for rank in [Rank::Inactive, Rank::Created, Rank::Draining, Rank::Drained] {
            let mut answers = answers(rank, &[queue("orders", 0)]);
            answers.backlog = Some(4);
            let text = said(&answers).unwrap();
            assert!(text.contains("version shop/b1 is"), "{text}");
            assert!(
                text.contains("go to shop/b2; 4 tasks wait on task queue \"orders\""),
                "{text}"
            );
            assert!(text.contains("--deployment-name shop --build-id b1"), "{text}");
            answers.deployment = Some(WorkerDeploymentInfo::default());
            assert!(said(&answers).unwrap().contains("has no current version"));
        }
    }

    #[test]
    fn a_task_queue_that_is_unbound_or_belongs_to_another_deployment_is_named() {
        let text = said(&answers(Rank::Current, &[queue("mail", 0)])).unwrap();
        assert!(text.contains("\"orders\" is not bound to version shop/b1"), "{text}");
        let bound = [queue("orders", 0)];
        let mut answers = answers(Rank::Current, &bound);
        answers.queue_current = Some(version("store", "b9"));
        assert!(said(&answers).unwrap().contains("go to store/b9"));
    }

    #[test]
    fn another_task_queue_is_named_if_tasks_wait_only_there() {
        let mut answers = answers(Rank::Current, &[queue("orders", 0), queue("mail", 1)]);
        let text = said(&answers).unwrap();
        assert!(text.contains("1 task waits for version shop/b1 on \"mail\""), "{text}");
        answers.backlog = Some(1);
        assert_eq!(said(&answers), None, "a task waits here, too");
    }

    #[test]
    fn a_version_that_the_server_refuses_is_told_from_one_that_it_may_have_been_too_busy_for() {
        let mut answers = Answers { version: Err(Code::NotFound), ..answers(Rank::Current, &[]) };
        let text = judge(&worker(), &answers, Some("maximum number of versions")).unwrap();
        assert!(text.contains("does not take version shop/b1"), "{text}");
        assert!(text.contains("(it says: maximum number of versions)"), "{text}");
        assert!(text.contains("has 3 versions"), "{text}");
        let text = said(&answers).unwrap();
        assert!(text.contains("has no version shop/b1"), "{text}");
        assert!(text.contains("too busy") && text.contains("limit"), "{text}");
        answers.deployment = None;
        assert!(said(&answers).unwrap().contains("does not know the deployment"));
    }
}
