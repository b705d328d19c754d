//! Versions: published, listed.

use serde::Deserialize;

use super::{
    call::{Answer, Call, created},
    functions::check_revision,
    refusal::Refusal,
    shapes,
};
use crate::config::{Code, LATEST};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publish {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

pub(super) fn publish(call: &Call) -> Answer {
    let target = call.unqualified()?;
    let request: Publish = call.json()?;
    let shape = call.with(&target, |deployed| {
        check_revision(&deployed.latest, request.revision_id.as_deref())?;
        let config = deployed.latest.function.config();
        let sha256 = match &config.code {
            Code::Package(package) => package.sha256(),
            Code::Process { .. } | Code::InProcess(_) => "",
        };
        if let Some(expected) = request.code_sha256.filter(|expected| expected != sha256) {
            return Err(Refusal::invalid(format!(
                "The CodeSha256 of $LATEST is {sha256}, not {expected}"
            )));
        }
        let description = request.description.filter(|text| !text.is_empty());
        let version = deployed.publish(description);
        let number = version.function.config().version.clone();
        Ok(shapes::configuration(&version, Some(&number)))
    })?;
    created(shape)
}

pub(super) fn list(call: &Call) -> Answer {
    let target = call.target()?;
    let entries = call.with(&target, |deployed| {
        let only = deployed.latest.function.config().version != LATEST;
        let latest = (!only).then(|| shapes::configuration(&deployed.latest, Some(LATEST)));
        let published = deployed.published.iter().map(|(number, version)| {
            shapes::configuration(version, Some(number.to_string().as_str()))
        });
        Ok(latest.into_iter().chain(published).collect())
    })?;
    call.page("Versions", entries)
}
