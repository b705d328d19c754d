//! `status`: the versions of a deployment, in Temporal and in Lambda.

use std::process::ExitCode;
use std::time::SystemTime;

use comfy_table::{Table, presets};

use super::look::{left_over, states};
use super::names::Names;
use super::place::PlaceArgs;
use super::states::{State, States};
use crate::aws::Configuration;
use crate::error::CliError;
use crate::settings::Chosen;

/// What is looked at.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
}

impl Args {
    pub(crate) fn settings(&self) -> Chosen {
        self.place.settings()
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let place = args.place.connect(None).await?;
    let states = states(&place).await?.ok_or_else(|| place.names.no_deployment())?;
    let published = place.aws.versions(&place.names.function).await?;
    place.tell();
    println!("{}", table(&place.names, &states, &published).trim_fmt());
    Ok(ExitCode::SUCCESS)
}

fn table(names: &Names, states: &States, published: &[Configuration]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["version", "state", "new workflows", "created", "Lambda version", "code"]);
    for version in &states.versions {
        let lambda = published.iter().find(|it| it.version == version.build_id);
        table.add_row([
            names.version(&version.build_id),
            version.state.name().to_owned(),
            share(states, version.state),
            time(version.created),
            lambda.map_or_else(
                || "gone".to_owned(),
                |it| format!("{}:{}", names.function, it.version),
            ),
            lambda.map(code).unwrap_or_default(),
        ]);
    }
    for it in left_over(names, states, published) {
        let lambda = format!("{}:{}", names.function, it.version);
        let created = it.last_modified.chars().take(16).collect();
        table.add_row([
            String::new(),
            "left over".to_owned(),
            String::new(),
            created,
            lambda,
            code(it),
        ]);
    }
    table
}

/// The share of the new workflows that a version in this state gets.
fn share(states: &States, state: State) -> String {
    let ramp = states.ramping.as_ref().map_or(0.0, |(_, share)| *share);
    match state {
        State::Current => format!("{} %", 100.0 - ramp),
        State::Ramping => format!("{ramp} %"),
        _ => String::new(),
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string().chars().take(16).collect()
}

/// Enough of the code's hash to tell it from others.
fn code(lambda: &Configuration) -> String {
    lambda.code_sha256.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_version_gets_what_the_ramp_leaves() {
        let mut states = States::default();
        assert_eq!(share(&states, State::Current), "100 %");
        states.ramping = Some(("2".to_owned(), 10.0));
        assert_eq!(share(&states, State::Current), "90 %");
        assert_eq!(share(&states, State::Ramping), "10 %");
        assert_eq!(share(&states, State::Drained), "");
    }
}
