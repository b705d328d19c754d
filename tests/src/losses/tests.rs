use super::*;
use temporalio_common::protos::temporal::api::{
    failure::v1::{ApplicationFailureInfo, TimeoutFailureInfo},
    history::v1 as events,
};

fn history(attributes: impl IntoIterator<Item = Attributes>) -> Vec<HistoryEvent> {
    let event = |(index, attributes): (usize, Attributes)| HistoryEvent {
        event_id: index as i64 + 1,
        event_time: Some(SystemTime::UNIX_EPOCH.into()),
        event_type: attributes.event_type().into(),
        attributes: Some(attributes),
        ..Default::default()
    };
    attributes.into_iter().enumerate().map(event).collect()
}

fn task_started(identity: &str) -> Attributes {
    Attributes::WorkflowTaskStartedEventAttributes(events::WorkflowTaskStartedEventAttributes {
        identity: identity.to_owned(),
        ..Default::default()
    })
}

fn task_timed_out(started_event_id: i64) -> Attributes {
    Attributes::WorkflowTaskTimedOutEventAttributes(events::WorkflowTaskTimedOutEventAttributes {
        started_event_id,
        timeout_type: TimeoutType::StartToClose.into(),
        ..Default::default()
    })
}

fn not_started(scheduled_event_id: i64) -> Attributes {
    Attributes::WorkflowTaskTimedOutEventAttributes(events::WorkflowTaskTimedOutEventAttributes {
        scheduled_event_id,
        timeout_type: TimeoutType::ScheduleToStart.into(),
        ..Default::default()
    })
}

fn activity_started(attempt: i32, last_failure: Option<FailureInfo>) -> Attributes {
    Attributes::ActivityTaskStartedEventAttributes(events::ActivityTaskStartedEventAttributes {
        scheduled_event_id: 1,
        attempt,
        last_failure: last_failure
            .map(|info| Failure { failure_info: Some(info), ..Default::default() }),
        ..Default::default()
    })
}

fn marker(name: &str) -> Attributes {
    Attributes::MarkerRecordedEventAttributes(events::MarkerRecordedEventAttributes {
        marker_name: name.to_owned(),
        ..Default::default()
    })
}

fn task_failed(cause: WorkflowTaskFailedCause) -> Attributes {
    Attributes::WorkflowTaskFailedEventAttributes(events::WorkflowTaskFailedEventAttributes {
        cause: cause.into(),
        ..Default::default()
    })
}

fn kinds(reading: &Reading) -> Vec<Kind> {
    reading.lost.iter().map(|loss| loss.kind).collect()
}

#[test]
fn a_workflow_task_that_timed_out_was_lost_by_the_worker_that_was_given_it() {
    let reading = read(&history([task_started("one"), task_timed_out(1)]));
    assert_eq!(kinds(&reading), [Kind::Workflow]);
    let (who, at) = reading.lost[0].given.clone().unwrap();
    assert_eq!((who.as_str(), at), ("one", SystemTime::UNIX_EPOCH));
}

#[test]
fn a_workflow_task_that_nobody_took_lay_with_the_worker_that_had_the_one_before() {
    let reading = read(&history([task_started("one"), task_started("two"), not_started(3)]));
    assert_eq!(kinds(&reading), [Kind::Workflow]);
    assert_eq!(reading.lost[0].given.as_ref().unwrap().0, "two");
    assert!(reading.lost[0].what.contains("ScheduleToStart"));
}

#[test]
fn a_workflow_task_that_timed_out_with_local_activities_counts_as_theirs() {
    let reading = read(&history([task_started("one"), task_timed_out(1), marker(LOCAL_ACTIVITY)]));
    assert_eq!(kinds(&reading), [Kind::Local]);
    assert_eq!(reading.done.of(Kind::Local), 1);
    let other = read(&history([task_started("one"), task_timed_out(1), marker("patch")]));
    assert_eq!(kinds(&other), [Kind::Workflow]);
    assert_eq!(other.done.of(Kind::Local), 0);
}

#[test]
fn an_activity_was_lost_when_its_attempt_before_timed_out() {
    let timeout = FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo::default());
    let failure = FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo::default());
    let scheduled = || {
        let scheduled = events::ActivityTaskScheduledEventAttributes {
            activity_id: "7".to_owned(),
            ..Default::default()
        };
        Attributes::ActivityTaskScheduledEventAttributes(scheduled)
    };
    let started = |failure| read(&history([scheduled(), activity_started(2, failure)]));
    let lost = started(Some(timeout));
    assert_eq!(kinds(&lost), [Kind::Activity]);
    assert_eq!(lost.lost[0].attempt, Some(("7".to_owned(), 1)));
    assert!(started(Some(failure)).lost.is_empty(), "it was given back");
    assert!(read(&history([activity_started(1, None)])).lost.is_empty());
}

#[test]
fn a_signal_that_comes_between_is_no_loss() {
    let unhandled = WorkflowTaskFailedCause::UnhandledCommand;
    assert!(read(&history([task_failed(unhandled)])).lost.is_empty());
    let other = WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure;
    assert_eq!(kinds(&read(&history([task_failed(other)]))), [Kind::Workflow]);
}

#[test]
fn a_workflow_that_fails_says_why() {
    let failed = events::WorkflowExecutionFailedEventAttributes {
        failure: Some(Failure {
            message: "one".to_owned(),
            cause: Some(Box::new(Failure { message: "two".to_owned(), ..Default::default() })),
            ..Default::default()
        }),
        ..Default::default()
    };
    let failed = Attributes::WorkflowExecutionFailedEventAttributes(failed);
    let reading = read(&history([failed]));
    assert_eq!(reading.lost[0].what, "workflow failed: one: two");
}
