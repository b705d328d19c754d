//! `rollback`: back to the version that was current before.

use std::process::ExitCode;

use super::error::DeployError;
use super::look::states;
use super::place::PlaceArgs;
use super::routing;
use crate::error::CliError;
use crate::settings::Chosen;
use crate::show::paint;

/// What goes back.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Prints what would be done, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) fn settings(&self) -> Chosen {
        self.place.settings()
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let place = args.place.connect(None).await?;
    let names = &place.names;
    let states = states(&place).await?.ok_or_else(|| names.no_deployment())?;
    let would = if args.dry_run { "would " } else { "" };
    // While a version ramps, the one before it is still current.
    if let Some((ramping, share)) = &states.ramping {
        let version = names.version(ramping);
        println!(
            "Temporal  {would}end the ramp of {version}, which gets {share} % of the new workflows"
        );
        if !args.dry_run {
            routing::ramp(&place.deployment, None).await?;
            let current = states.current.as_ref().map(|it| names.version(it));
            let current = current.unwrap_or_else(|| "no version".to_owned());
            println!("{}", paint::green(format!("{current} is current, and nothing ramps")));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let deployment = &names.deployment;
    let current = states.current.clone();
    let current =
        current.ok_or_else(|| DeployError::NoCurrent { deployment: deployment.clone() })?;
    let before = states.before_current().ok_or_else(|| DeployError::NothingBefore {
        deployment: deployment.clone(),
        current: names.version(&current),
    })?;
    let version = names.version(&before.build_id);
    let published = place.aws.versions(&names.function).await?;
    if published.iter().all(|it| it.version != before.build_id) {
        return Err(DeployError::LambdaVersionGone { version }.into());
    }
    println!(
        "Temporal  {would}make {version} current, in the place of {}",
        names.version(&current)
    );
    if !args.dry_run {
        routing::make_current(&place.deployment, &before.build_id).await?;
        println!("{}", paint::green(format!("{version} is current")));
        println!("Workflows that are pinned to {} stay on it", names.version(&current));
    }
    Ok(ExitCode::SUCCESS)
}
