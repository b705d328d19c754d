//! The steps of a deployment, and how they are told.

use std::fmt::Write as _;

use super::compute::Compute;
use super::names::Names;
use crate::aws::{Update, Variables};

/// One thing that has to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    CreateLogGroup,
    KeepLog {
        days: u64,
    },
    CreateFunction {
        role: String,
        memory: u64,
        timeout: u64,
        variables: Variables,
    },
    UpdateCode,
    UpdateConfiguration(Update),
    ReserveConcurrency {
        most: u64,
    },
    Publish,
    NoRetries,
    CreateDeployment,
    CreateVersion,
    /// The version is known to Temporal, which calls something else for it, or nothing.
    SetCompute(Option<Compute>),
    /// Temporal has called the version before, but no worker has polled.
    Wake,
    AwaitQueues,
    Ramp {
        percentage: u8,
    },
    MakeCurrent,
}

impl Step {
    /// The step in words. `build_id` is `None` for a version that is not published yet.
    pub(super) fn tell(&self, names: &Names, architecture: &str, build_id: Option<&str>) -> String {
        let Names { function, deployment, .. } = names;
        let log = names.log_group();
        let lambda = match build_id {
            Some(build_id) => format!("{function}:{build_id}"),
            None => format!("the new version of {function}"),
        };
        let version = match build_id {
            Some(build_id) => names.version(build_id),
            None => format!("the new version of {deployment}"),
        };
        match self {
            Self::CreateLogGroup => format!("Logs      create the log group {log}"),
            Self::KeepLog { days } => format!("Logs      keep {log} for {days} days"),
            Self::CreateFunction { memory, timeout, variables, .. } => format!(
                "Lambda    create the function {function}: {architecture}, {memory} MB, timeout {timeout} s{}",
                named(variables)
            ),
            Self::UpdateCode => format!("Lambda    upload new code for {function}, {architecture}"),
            Self::UpdateConfiguration(update) => {
                format!("Lambda    change {function}: {}", changes(update))
            }
            Self::ReserveConcurrency { most } => {
                format!("Lambda    reserve {most} environments for {function}, and allow no more")
            }
            Self::Publish => {
                format!("Lambda    publish a version of {function}: its number is the build ID")
            }
            Self::NoRetries => format!("Lambda    no retries of asynchronous calls of {lambda}"),
            Self::CreateDeployment => {
                format!("Temporal  create the worker deployment {deployment}")
            }
            Self::CreateVersion => {
                format!(
                    "Temporal  create {version}, whose worker is {lambda}; Temporal calls it at once"
                )
            }
            Self::SetCompute(None) => {
                format!("Temporal  have {lambda} called for {version}; nothing is so far")
            }
            Self::SetCompute(Some(before)) => {
                format!(
                    "Temporal  have {lambda} called for {version}, in the place of {}",
                    before.arn
                )
            }
            Self::Wake => {
                format!("Lambda    invoke {lambda}, since no worker of it has polled yet")
            }
            Self::AwaitQueues => format!(
                "Temporal  wait for the first poll of {version}, which binds its task queues"
            ),
            Self::Ramp { percentage } => {
                format!("Temporal  give {version} {percentage} % of the new workflows")
            }
            Self::MakeCurrent => {
                format!("Temporal  make {version} current: new workflows go to it")
            }
        }
    }
}

/// What changes, without any value of a variable.
fn changes(update: &Update) -> String {
    let mut changes = Vec::new();
    changes.extend(update.memory.map(|it| format!("{it} MB")));
    changes.extend(update.timeout.map(|it| format!("timeout {it} s")));
    changes.extend(update.role.as_ref().map(|it| format!("role {it}")));
    changes.extend(update.runtime.then(|| "runtime provided.al2023".to_owned()));
    if let Some(variables) = &update.variables {
        changes.push(format!("environment{}", named(variables)));
    }
    changes.join(", ")
}

fn named(variables: &Variables) -> String {
    let mut text = String::new();
    for name in variables.0.keys() {
        let _ = write!(text, "{}{name}", if text.is_empty() { ", with " } else { ", " });
    }
    text
}
