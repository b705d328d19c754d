//! Aliases: names that lead to a version, and can be led to another.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    call::{Answer, Call, created, gone, ok},
    deployed::{Alias, Deployed, revision},
    refusal::Refusal,
    shapes,
};
use crate::{config::LATEST, function::arn};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Routing {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

pub(super) fn create(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let settings: Settings = call.json()?;
    let name = settings.name.clone().unwrap_or_default();
    check_name(&name)?;
    let shape = call.with(&target, |deployed| {
        let function = &target.function;
        if deployed.aliases.contains_key(&name) {
            let arn = arn(function, Some(&name));
            return Err(Refusal::conflict(format!("Alias already exists: {arn}")));
        }
        let alias = Alias {
            version: settings.function_version.clone().unwrap_or_default(),
            description: String::new(),
            weights: BTreeMap::new(),
            revision: String::new(),
        };
        let alias = changed(deployed, function, alias, settings)?;
        deployed.aliases.insert(name.clone(), alias.clone());
        Ok(shapes::alias(function, &name, &alias))
    })?;
    created(shape)
}

pub(super) fn update(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let settings: Settings = call.json()?;
    let shape = call.with(&target, |deployed| {
        let alias = find(deployed, &target.function, call.alias())?.clone();
        if settings.revision_id.as_ref().is_some_and(|expected| *expected != alias.revision) {
            return Err(Refusal::outdated());
        }
        let alias = changed(deployed, &target.function, alias, settings)?;
        deployed.aliases.insert(call.alias().to_owned(), alias.clone());
        Ok(shapes::alias(&target.function, call.alias(), &alias))
    })?;
    ok(shape)
}

pub(super) fn get(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let shape = call.with(&target, |deployed| {
        let alias = find(deployed, &target.function, call.alias())?;
        Ok(shapes::alias(&target.function, call.alias(), alias))
    })?;
    ok(shape)
}

pub(super) fn list(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let entries = call.with(&target, |deployed| {
        let wanted = |alias: &Alias| {
            call.query("FunctionVersion").is_none_or(|version| version == alias.version)
        };
        let aliases = deployed.aliases.iter().filter(|(_, alias)| wanted(alias));
        Ok(aliases.map(|(name, alias)| shapes::alias(&target.function, name, alias)).collect())
    })?;
    call.page("Aliases", entries)
}

/// Deletes the alias; as in Lambda, one that is not there is no mistake.
pub(super) fn delete(call: &Call) -> Answer {
    let target = call.unqualified()?;
    call.with(&target, |deployed| {
        deployed.aliases.remove(call.alias());
        deployed.event_configs.remove(call.alias());
        Ok(())
    })?;
    gone()
}

/// The alias with these settings, if it can have them.
fn changed(
    deployed: &Deployed,
    function: &str,
    mut alias: Alias,
    settings: Settings,
) -> Result<Alias, Refusal> {
    alias.version = settings.function_version.unwrap_or(alias.version);
    alias.description = settings.description.unwrap_or(alias.description);
    if let Some(routing) = settings.routing_config {
        alias.weights = routing.additional_version_weights;
    }
    alias.revision = revision();
    for version in alias.weights.keys().chain([&alias.version]) {
        if deployed.version(version).is_none() {
            return Err(Refusal::no_function(&arn(function, Some(version))));
        }
    }
    let weights = || alias.weights.values();
    if !weights().all(|weight| (0.0..=1.0).contains(weight)) || weights().sum::<f64>() > 1.0 {
        return Err(Refusal::invalid("Weights are shares: from 0 to 1, and at most 1 in all"));
    }
    if !alias.weights.is_empty() && alias.version == LATEST {
        return Err(Refusal::invalid("An alias of $LATEST has no RoutingConfig"));
    }
    Ok(alias)
}

fn find<'a>(deployed: &'a Deployed, function: &str, name: &str) -> Result<&'a Alias, Refusal> {
    let missing =
        || Refusal::not_found(format!("Cannot find alias arn: {}", arn(function, Some(name))));
    deployed.aliases.get(name).ok_or_else(missing)
}

/// Refuses what would be taken for a version.
fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !name.chars().all(|c| c.is_ascii_digit());
    if fits {
        return Ok(());
    }
    let rule = "be 1 to 128 letters, digits, hyphens and underscores, and no number";
    Err(Refusal::out_of_range("name", name, rule))
}
