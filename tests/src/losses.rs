//! What a history says of the tasks of a workflow: those that were done, and those that were lost.
//!
//! A task is lost when a worker was given it and the server never heard of it again: then the
//! workflow waits until the task times out.

use std::time::SystemTime;

use temporalio_common::protos::temporal::api::{
    enums::v1::{TimeoutType, WorkflowTaskFailedCause},
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
};

/// The name of the markers that the SDK's core records for local activities.
const LOCAL_ACTIVITY: &str = "core_local_activity";

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A workflow's next steps.
    Workflow,
    /// One attempt of an activity.
    Activity,
    /// A local activity, which is part of a workflow task.
    Local,
    /// A signal, which comes with a workflow task.
    Signal,
    /// A query.
    Query,
    /// An update, which comes with a workflow task.
    Update,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Workflow, Self::Activity, Self::Local, Self::Signal, Self::Query, Self::Update];

    /// Its name in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow tasks",
            Self::Activity => "activities",
            Self::Local => "local activities",
            Self::Signal => "signals",
            Self::Query => "queries",
            Self::Update => "updates",
        }
    }
}

/// A number for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; Kind::ALL.len()]);

impl Counts {
    /// Adds to the number of one kind.
    pub fn add(&mut self, kind: Kind, number: usize) {
        self.0[kind as usize] += number;
    }

    /// Adds each number of `other`.
    pub fn add_all(&mut self, other: Self) {
        for (mine, its) in self.0.iter_mut().zip(other.0) {
            *mine += its;
        }
    }

    /// The number of one kind.
    pub fn of(&self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    /// The sum.
    pub fn all(&self) -> usize {
        self.0.iter().sum()
    }
}

/// A task that was lost, or a workflow that ended as it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it was for.
    pub kind: Kind,
    /// What the history says.
    pub what: String,
    /// Who was given the task, and when, if that is known. Of a task that timed out on a sticky
    /// queue: who had made the workflow sticky, and when.
    pub given: Option<(String, SystemTime)>,
    /// Of an activity, its ID and the attempt that was lost. The history does not say who was given
    /// it, for it only has the last attempt.
    pub attempt: Option<(String, i32)>,
}

impl Loss {
    /// A loss of which nothing else is known.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), given: None, attempt: None }
    }
}

/// What a history says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// How much was done.
    pub done: Counts,
    /// What was lost.
    pub lost: Vec<Loss>,
}

/// Reads a workflow's history.
pub fn read(history: &[HistoryEvent]) -> Reading {
    let mut reading = Reading::default();
    let is_local = history.iter().any(is_local_marker);
    // A task of a workflow that has local activities is given for their sake.
    let kind = if is_local { Kind::Local } else { Kind::Workflow };
    for event in history {
        let Some(attributes) = &event.attributes else { continue };
        match done(attributes) {
            Some(done) => reading.done.add(done, 1),
            None => reading.lost.extend(lost(attributes, kind, history)),
        }
    }
    reading
}

fn done(attributes: &Attributes) -> Option<Kind> {
    match attributes {
        Attributes::WorkflowTaskCompletedEventAttributes(_) => Some(Kind::Workflow),
        Attributes::ActivityTaskCompletedEventAttributes(_) => Some(Kind::Activity),
        Attributes::MarkerRecordedEventAttributes(it) if it.marker_name == LOCAL_ACTIVITY => {
            Some(Kind::Local)
        }
        Attributes::WorkflowExecutionSignaledEventAttributes(_) => Some(Kind::Signal),
        Attributes::WorkflowExecutionUpdateCompletedEventAttributes(_) => Some(Kind::Update),
        _ => None,
    }
}

fn lost(attributes: &Attributes, kind: Kind, history: &[HistoryEvent]) -> Option<Loss> {
    let loss = |kind, what: String| Some(Loss::new(kind, what));
    match attributes {
        Attributes::WorkflowTaskTimedOutEventAttributes(it) => Some(Loss {
            given: match it.timeout_type() {
                TimeoutType::ScheduleToStart => given_before(history, it.scheduled_event_id),
                _ => given(history, it.started_event_id),
            },
            ..Loss::new(kind, format!("workflow task timed out, {:?}", it.timeout_type()))
        }),
        Attributes::WorkflowTaskFailedEventAttributes(it) => match it.cause() {
            // A signal came while the workflow was about to end: the server's way to show it.
            WorkflowTaskFailedCause::UnhandledCommand => None,
            cause => loss(kind, format!("workflow task failed, {cause:?}: {}", words(&it.failure))),
        },
        // A server does not write down the attempts before the last.
        Attributes::ActivityTaskStartedEventAttributes(it) => {
            let timeout = it.last_failure.as_ref().and_then(timeout)?;
            let what = format!("attempt {} after a timeout, {timeout:?}", it.attempt);
            let id = activity_id(history, it.scheduled_event_id);
            Some(Loss {
                attempt: id.map(|id| (id, it.attempt - 1)),
                ..Loss::new(Kind::Activity, what)
            })
        }
        Attributes::ActivityTaskTimedOutEventAttributes(it) => {
            loss(Kind::Activity, format!("activity timed out: {}", words(&it.failure)))
        }
        Attributes::ActivityTaskFailedEventAttributes(it) => {
            loss(Kind::Activity, format!("activity failed: {}", words(&it.failure)))
        }
        Attributes::WorkflowExecutionFailedEventAttributes(it) => {
            loss(kind, format!("workflow failed: {}", words(&it.failure)))
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(_)
        | Attributes::WorkflowExecutionCanceledEventAttributes(_)
        | Attributes::WorkflowExecutionTerminatedEventAttributes(_) => {
            loss(kind, format!("workflow ended as {:?}", attributes.event_type()))
        }
        _ => None,
    }
}

fn is_local_marker(event: &HistoryEvent) -> bool {
    event.attributes.as_ref().is_some_and(|it| done(it) == Some(Kind::Local))
}

fn activity_id(history: &[HistoryEvent], scheduled: i64) -> Option<String> {
    let event = history.iter().find(|event| event.event_id == scheduled)?;
    match event.attributes.as_ref()? {
        Attributes::ActivityTaskScheduledEventAttributes(it) => Some(it.activity_id.clone()),
        _ => None,
    }
}

/// Who started the workflow task of this event, and when.
fn given(history: &[HistoryEvent], started: i64) -> Option<(String, SystemTime)> {
    let event = history.iter().find(|event| event.event_id == started)?;
    match event.attributes.as_ref()? {
        Attributes::WorkflowTaskStartedEventAttributes(it) => {
            Some((it.identity.clone(), event.event_time?.try_into().ok()?))
        }
        _ => None,
    }
}

/// Who was given the last workflow task before this event, and when.
fn given_before(history: &[HistoryEvent], event: i64) -> Option<(String, SystemTime)> {
    let before = history.iter().rev().filter(|it| it.event_id < event);
    before.map(|it| it.event_id).find_map(|started| given(history, started))
}

fn timeout(failure: &Failure) -> Option<TimeoutType> {
    match failure.failure_info.as_ref()? {
        FailureInfo::TimeoutFailureInfo(it) => Some(it.timeout_type()),
        _ => None,
    }
}

fn words(failure: &Option<Failure>) -> String {
    let mut words = Vec::new();
    let mut next = failure.as_ref();
    while let Some(failure) = next {
        words.push(failure.message.as_str());
        next = failure.cause.as_deref();
    }
    words.join(": ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
