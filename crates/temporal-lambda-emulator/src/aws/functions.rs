//! Functions: created, changed, looked at, deleted.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    call::{Answer, Call, created, gone, ok},
    deployed::{Deployed, Version},
    refusal::Refusal,
    settings::{Code, Settings, check_architectures, check_name},
    shapes,
};
use crate::{
    config::{self, FunctionConfig, LATEST},
    function::{Function, arn},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    function_name: String,
    code: Code,
    package_type: Option<String>,
    architectures: Option<Vec<String>>,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(flatten)]
    settings: Settings,
}

pub(super) fn create(call: &Call) -> Answer {
    let request: Create = call.json()?;
    let name = request.function_name;
    check_name(&name)?;
    check_architectures(request.architectures.as_deref())?;
    if let Some(other) = request.package_type.filter(|kind| kind != "Zip") {
        return Err(Refusal::invalid(format!("The emulator has no packages of type {other}")));
    }
    // Before the work of unpacking, and again after it.
    let taken = || Refusal::conflict(format!("Function already exist: {name}"));
    if call.account.functions.lock().contains_key(&name) {
        return Err(taken());
    }
    let config = FunctionConfig::package(name.clone(), request.code.unpack()?);
    let config = request.settings.apply(config)?;
    if config.role.is_none() {
        return Err(Refusal::out_of_range("role", "null", "not be null"));
    }
    let mut functions = call.account.functions.lock();
    if functions.contains_key(&name) {
        return Err(taken());
    }
    let mut deployed = Deployed::new(Function::new(config, call.account.shared.clone()));
    deployed.tags = request.tags;
    let shape = changed(&mut deployed, &name, request.publish);
    functions.insert(name, deployed);
    created(shape)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateCode {
    #[serde(flatten)]
    code: Code,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    dry_run: bool,
    revision_id: Option<String>,
}

pub(super) fn update_code(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let request: UpdateCode = call.json()?;
    call.with(&target, |_| Ok(()))?;
    let package = request.code.unpack()?;
    let shape = call.with(&target, |deployed| {
        check_revision(&deployed.latest, request.revision_id.as_deref())?;
        if !request.dry_run {
            let mut config = FunctionConfig::clone(&deployed.latest.function.config());
            config.code = config::Code::Package(package);
            deployed.update(config);
        }
        Ok(changed(deployed, &target.function, request.publish && !request.dry_run))
    })?;
    ok(shape)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateConfiguration {
    #[serde(flatten)]
    settings: Settings,
    revision_id: Option<String>,
}

pub(super) fn update_configuration(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let request: UpdateConfiguration = call.json()?;
    let shape = call.with(&target, |deployed| {
        check_revision(&deployed.latest, request.revision_id.as_deref())?;
        let config = FunctionConfig::clone(&deployed.latest.function.config());
        deployed.update(request.settings.apply(config)?);
        Ok(changed(deployed, &target.function, false))
    })?;
    ok(shape)
}

pub(super) fn get(call: &Call) -> Answer {
    describe(call, shapes::function)
}

pub(super) fn get_configuration(call: &Call) -> Answer {
    describe(call, |_, version, qualifier| shapes::configuration(version, qualifier))
}

pub(super) fn list(call: &Call) -> Answer {
    let functions = call.account.functions.lock();
    let every = call.query("FunctionVersion") == Some("ALL");
    let entries = functions.values().flat_map(|deployed| {
        let latest = shapes::configuration(&deployed.latest, every.then_some(LATEST));
        let published = deployed.published.iter().filter(|_| every);
        let published = published.map(|(number, version)| {
            shapes::configuration(version, Some(number.to_string().as_str()))
        });
        std::iter::once(latest).chain(published)
    });
    call.page("Functions", entries.collect())
}

pub(super) fn delete(call: &Call) -> Answer {
    let target = call.target()?;
    if let Some(qualifier) = &target.qualifier {
        call.with(&target, |deployed| delete_version(deployed, qualifier, &target.arn()))?;
        return gone();
    }
    let deleted = call.account.functions.lock().remove(&target.function);
    let deleted = deleted.ok_or_else(|| Refusal::no_function(&target.arn()))?;
    deleted.versions().for_each(Function::delete);
    gone()
}

fn delete_version(deployed: &mut Deployed, qualifier: &str, arn: &str) -> Result<(), Refusal> {
    if qualifier == LATEST {
        return Err(Refusal::invalid(
            "$LATEST cannot be deleted alone; delete the function, without a qualifier",
        ));
    }
    if deployed.aliases.contains_key(qualifier) {
        return Err(Refusal::invalid(format!(
            "`{qualifier}` is an alias; DeleteAlias deletes it, and DeleteFunction versions"
        )));
    }
    if deployed.version(qualifier).is_none() {
        return Err(Refusal::no_function(arn));
    }
    let aliases = deployed.aliases_of(qualifier);
    if !aliases.is_empty() {
        return Err(Refusal::conflict(format!(
            "Version {qualifier} is what these aliases lead to: {}",
            aliases.join(", ")
        )));
    }
    if deployed.latest.function.config().version == qualifier {
        return Err(Refusal::conflict(format!(
            "Version {qualifier} was added as the function's only one; delete the function"
        )));
    }
    deployed.event_configs.remove(qualifier);
    let number = qualifier.parse().unwrap_or_default();
    if let Some(version) = deployed.published.remove(&number) {
        version.function.delete();
    }
    Ok(())
}

/// Refuses to change what somebody else has changed.
pub(super) fn check_revision(version: &Version, expected: Option<&str>) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != version.revision => Err(Refusal::outdated()),
        _ => Ok(()),
    }
}

/// `$LATEST` after a change, or the version that was made of it.
fn changed(deployed: &mut Deployed, name: &str, publish: bool) -> Value {
    if !publish {
        return shapes::configuration(&deployed.latest, None);
    }
    let version = deployed.publish(None);
    let mut shape = shapes::configuration(&version, None);
    shape["FunctionArn"] = arn(name, Some(&version.function.config().version)).into();
    shape
}

fn describe(
    call: &Call,
    describe: impl FnOnce(&Deployed, &Version, Option<&str>) -> Value,
) -> Answer {
    let target = call.target()?;
    let shape = call.with(&target, |deployed| {
        let qualifier = target.qualifier.as_deref();
        let named = qualifier.unwrap_or(LATEST);
        let version = match deployed.aliases.get(named) {
            Some(alias) => deployed.version(&alias.version),
            None => deployed.version(named),
        };
        let version = version.ok_or_else(|| Refusal::no_function(&target.arn()))?;
        Ok(describe(deployed, version, qualifier))
    })?;
    ok(shape)
}
