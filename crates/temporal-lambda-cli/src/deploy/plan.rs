//! Which steps are left, decided from what is wanted and what was found; nothing is asked or changed here.

use std::collections::BTreeMap;

use super::compute::{Compute, InvokeRole};
use super::error::DeployError;
use super::names::Names;
use super::step::Step;
use crate::aws::{Configuration, Function, HANDLER, RUNTIME, Update, Variables};

const DEPLOYMENT_NAME: &str = "TEMPORAL_LAMBDA_DEPLOYMENT_NAME";
const BUILD_ID: &str = "TEMPORAL_LAMBDA_BUILD_ID";
/// Of a new function.
const MEMORY: u64 = 256;
const TIMEOUT: u64 = 60;

/// Which workflows a new version gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Traffic {
    All,
    Ramp(u8),
    None,
}

/// What is to be in the end. What is `None` stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) sha256: String,
    pub(super) architecture: String,
    pub(super) role: Option<String>,
    pub(super) memory: Option<u64>,
    pub(super) timeout: Option<u64>,
    /// To be set; others stay.
    pub(super) variables: BTreeMap<String, String>,
    /// To be taken away.
    pub(super) unset: Vec<String>,
    pub(super) reserved_concurrency: Option<u64>,
    pub(super) log_retention: Option<u64>,
    pub(super) invoke_role: Option<InvokeRole>,
    pub(super) traffic: Traffic,
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) function: Option<Function>,
    /// The last version that was published.
    pub(super) newest: Option<Newest>,
    /// Looked at only where a retention is wanted: `Some(None)` keeps it for ever.
    pub(super) log: Option<Option<u64>>,
    pub(super) has_deployment: bool,
    pub(super) current: Option<String>,
    pub(super) ramping: Option<(String, f32)>,
}

/// The last published version of the function, and what Temporal knows of it.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) lambda: Configuration,
    pub(super) retries: Option<u64>,
    /// `None` when Temporal has no version of that build ID.
    pub(super) known: Option<Known>,
}

/// A version that Temporal knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) compute: Option<Compute>,
    pub(super) is_bound: bool,
}

/// The steps that are left, and the version that they are about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// `None` when it has yet to be published.
    pub(super) published: Option<Configuration>,
}

/// Decides what is left to be done.
pub(super) fn plan(names: &Names, wanted: &Wanted, found: &Found) -> Result<Plan, DeployError> {
    let mut steps = Vec::new();
    log(wanted, found, &mut steps);
    function(names, wanted, found, &mut steps)?;
    let is_changed = steps.iter().any(|it| {
        matches!(it, Step::CreateFunction { .. } | Step::UpdateCode | Step::UpdateConfiguration(_))
    });
    if let Some(most) = wanted.reserved_concurrency {
        let reserved = found.function.as_ref().and_then(|it| it.reserved_concurrency);
        if reserved != Some(most) {
            steps.push(Step::ReserveConcurrency { most });
        }
    }
    let newest = found.newest.as_ref().filter(|newest| {
        let latest = found.function.as_ref().map(|it| &it.latest);
        !is_changed && latest.is_some_and(|it| it.runs_like(&newest.lambda))
    });
    if newest.is_none() {
        steps.push(Step::Publish);
    }
    if newest.is_none_or(|it| it.retries != Some(0)) {
        steps.push(Step::NoRetries);
    }
    if !found.has_deployment {
        steps.push(Step::CreateDeployment);
    }
    version(wanted, newest, &mut steps);
    traffic(names, wanted, found, newest, &mut steps)?;
    Ok(Plan { steps, published: newest.map(|it| it.lambda.clone()) })
}

/// Before the function, whose first line would make the group.
fn log(wanted: &Wanted, found: &Found, steps: &mut Vec<Step>) {
    let Some(days) = wanted.log_retention else { return };
    if found.log.is_none() {
        steps.push(Step::CreateLogGroup);
    }
    if found.log != Some(Some(days)) {
        steps.push(Step::KeepLog { days });
    }
}

fn function(
    names: &Names,
    wanted: &Wanted,
    found: &Found,
    steps: &mut Vec<Step>,
) -> Result<(), DeployError> {
    let before = found.function.as_ref().map(|it| it.latest.variables()).unwrap_or_default();
    let mut variables = before.clone();
    variables.0.retain(|name, _| !wanted.unset.contains(name));
    variables.0.extend(wanted.variables.clone());
    if variables.0.contains_key(BUILD_ID) {
        return Err(DeployError::OtherBuildId { name: BUILD_ID });
    }
    let polls_as = variables.0.get(DEPLOYMENT_NAME).unwrap_or(&names.function);
    if *polls_as != names.deployment {
        variables.0.insert(DEPLOYMENT_NAME.to_owned(), names.deployment.clone());
    }
    let Some(Function { latest, .. }) = &found.function else {
        let role = wanted.role.clone();
        let role = role.ok_or_else(|| DeployError::NoRole { function: names.function.clone() })?;
        let memory = wanted.memory.unwrap_or(MEMORY);
        let timeout = wanted.timeout.unwrap_or(TIMEOUT);
        steps.push(Step::CreateFunction { role, memory, timeout, variables });
        return Ok(());
    };
    if latest.code_sha256 != wanted.sha256
        || !latest.architectures.iter().eq([&wanted.architecture])
    {
        steps.push(Step::UpdateCode);
    }
    let update = Update {
        role: wanted.role.clone().filter(|it| *it != latest.role),
        memory: wanted.memory.filter(|it| *it != latest.memory_size),
        timeout: wanted.timeout.filter(|it| *it != latest.timeout),
        variables: (variables != before).then_some(Variables(variables.0)),
        runtime: latest.runtime != RUNTIME || latest.handler != HANDLER,
    };
    if update != Update::default() {
        steps.push(Step::UpdateConfiguration(update));
    }
    Ok(())
}

fn version(wanted: &Wanted, newest: Option<&Newest>, steps: &mut Vec<Step>) {
    let known = newest.and_then(|it| Some((it, it.known.as_ref()?)));
    let Some((newest, known)) = known else {
        steps.extend([Step::CreateVersion, Step::AwaitQueues]);
        return;
    };
    let arn = &newest.lambda.function_arn;
    // Without a role in the arguments the one that is there stays.
    let fits = known.compute.as_ref().is_some_and(|it| {
        it.arn == *arn && (wanted.invoke_role.is_none() || it.role == wanted.invoke_role)
    });
    if !fits {
        steps.push(Step::SetCompute(known.compute.clone()));
    }
    if !known.is_bound {
        steps.extend([Step::Wake, Step::AwaitQueues]);
    }
}

fn traffic(
    names: &Names,
    wanted: &Wanted,
    found: &Found,
    newest: Option<&Newest>,
    steps: &mut Vec<Step>,
) -> Result<(), DeployError> {
    let build_id = newest.map(|it| it.lambda.version.clone());
    let is_current = build_id.is_some() && build_id == found.current;
    match wanted.traffic {
        Traffic::All if !is_current => steps.push(Step::MakeCurrent),
        Traffic::Ramp(_) if found.current.is_none() => {
            let deployment = names.deployment.clone();
            return Err(DeployError::NothingToRampFrom { deployment });
        }
        Traffic::Ramp(percentage) if !is_current => {
            let is_ramping = found.ramping.as_ref().is_some_and(|(ramping, share)| {
                Some(ramping) == build_id.as_ref()
                    && (share - f32::from(percentage)).abs() < f32::EPSILON
            });
            if !is_ramping {
                steps.push(Step::Ramp { percentage });
            }
        }
        Traffic::All | Traffic::Ramp(_) | Traffic::None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
