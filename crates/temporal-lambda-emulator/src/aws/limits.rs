//! How a function is invoked: how often at once, and what becomes of `Event` invocations.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Answer, Call, gone, ok},
    deployed::{Deployed, EventConfig},
    name::Name,
    refusal::Refusal,
    settings::{check_range, says_something},
    shapes,
};
use crate::{config::LATEST, function::arn};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Concurrency {
    reserved_concurrent_executions: usize,
}

pub(super) fn put_concurrency(call: &Call) -> Answer {
    let reserved = call.json::<Concurrency>()?.reserved_concurrent_executions;
    set_concurrency(call, Some(reserved))?;
    ok(json!({ "ReservedConcurrentExecutions": reserved }))
}

pub(super) fn get_concurrency(call: &Call) -> Answer {
    let reserved = call.with(&call.unqualified()?, |deployed| Ok(deployed.reserved))?;
    ok(match reserved {
        Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
        None => json!({}),
    })
}

pub(super) fn delete_concurrency(call: &Call) -> Answer {
    set_concurrency(call, None)?;
    gone()
}

fn set_concurrency(call: &Call, reserved: Option<usize>) -> Result<(), Refusal> {
    call.with(&call.unqualified()?, |deployed| {
        deployed.reserved = reserved;
        let config = deployed.latest.function.config();
        let environments = reserved.unwrap_or(config.concurrency);
        let invocations = environments.saturating_mul(config.environment_concurrency);
        deployed.latest.function.set_limit(invocations);
        Ok(())
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventSettings {
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u64>,
    destination_config: Option<Value>,
}

/// Sets all of the configuration: what is not named has its default again.
pub(super) fn put_event_config(call: &Call) -> Answer {
    set_event_config(call, |_| None)
}

/// Changes what is named.
pub(super) fn update_event_config(call: &Call) -> Answer {
    set_event_config(call, |before| before)
}

pub(super) fn get_event_config(call: &Call) -> Answer {
    let target = call.target()?;
    let shape = call.with(&target, |deployed| {
        let qualifier = existing(deployed, &target)?;
        let config = deployed.event_configs.get(qualifier).ok_or_else(|| none(&target))?;
        Ok(shapes::event_config(&target.function, qualifier, config))
    })?;
    ok(shape)
}

pub(super) fn delete_event_config(call: &Call) -> Answer {
    let target = call.target()?;
    call.with(&target, |deployed| {
        let qualifier = existing(deployed, &target)?;
        deployed.event_configs.remove(qualifier).map(|_| ()).ok_or_else(|| none(&target))
    })?;
    gone()
}

fn set_event_config(
    call: &Call,
    keep: impl FnOnce(Option<EventConfig>) -> Option<EventConfig>,
) -> Answer {
    let target = call.target()?;
    let settings: EventSettings = call.json()?;
    if let Some(attempts) = settings.maximum_retry_attempts {
        check_range("maximumRetryAttempts", attempts.into(), 0, 2)?;
    }
    if let Some(seconds) = settings.maximum_event_age_in_seconds {
        check_range("maximumEventAgeInSeconds", seconds, 60, 21600)?;
    }
    if settings.destination_config.as_ref().is_some_and(says_something) {
        return Err(Refusal::invalid("The emulator has no destinations"));
    }
    if settings.maximum_retry_attempts.is_none() && settings.maximum_event_age_in_seconds.is_none()
    {
        return Err(Refusal::invalid("Nothing is set; name retries or the maximum age"));
    }
    let shape = call.with(&target, |deployed| {
        let qualifier = existing(deployed, &target)?;
        let kept = keep(deployed.event_configs.get(qualifier).cloned());
        let (attempts, seconds) =
            kept.map_or((None, None), |it| (it.max_retry_attempts, it.max_age_seconds));
        let config = EventConfig {
            max_retry_attempts: settings.maximum_retry_attempts.or(attempts),
            max_age_seconds: settings.maximum_event_age_in_seconds.or(seconds),
            modified: SystemTime::now(),
        };
        deployed.event_configs.insert(qualifier.to_owned(), config.clone());
        Ok(shapes::event_config(&target.function, qualifier, &config))
    })?;
    ok(shape)
}

/// The qualifier that the configuration belongs to, if there is such a version or alias.
fn existing<'a>(deployed: &Deployed, target: &'a Name) -> Result<&'a str, Refusal> {
    let qualifier = target.qualifier.as_deref().unwrap_or(LATEST);
    let known = deployed.aliases.contains_key(qualifier) || deployed.version(qualifier).is_some();
    known.then_some(qualifier).ok_or_else(|| Refusal::no_function(&target.arn()))
}

fn none(target: &Name) -> Refusal {
    let qualifier = target.qualifier.as_deref().unwrap_or(LATEST);
    let arn = arn(&target.function, Some(qualifier));
    Refusal::not_found(format!("The function {arn} doesn't have an EventInvokeConfig"))
}
