//! `prune`: away with versions that nobody needs any more, in Temporal and in Lambda.

use std::process::ExitCode;

use temporal_lambda_testkit::server::TemporalError;
use temporalio_client::tonic::Code;

use super::error::DeployError;
use super::look::{left_over, states};
use super::place::PlaceArgs;
use super::routing;
use crate::error::CliError;
use crate::settings::Chosen;
use crate::show::paint;

/// What goes.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// How many drained versions stay: those that were current last, for `rollback`.
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    /// Prints what would be deleted, and deletes nothing.
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
    if states.current.is_none() {
        return Err(DeployError::NoCurrent { deployment: names.deployment.clone() }.into());
    }
    let published = place.aws.versions(&names.function).await?;
    let would = if args.dry_run { "would " } else { "" };
    let mut deleted = 0;
    for version in states.to_prune(args.keep) {
        let build_id = &version.build_id;
        println!("Temporal  {would}delete {}, which is drained", names.version(build_id));
        if !args.dry_run {
            match routing::delete_version(&place.deployment, build_id).await {
                // It got workflows meanwhile, or something still polls. Its Lambda version stays, too.
                Err(TemporalError::Rpc { status, .. })
                    if status.code() == Code::FailedPrecondition =>
                {
                    println!("          it stays: {}", status.message());
                    continue;
                }
                deleted => deleted?,
            }
        }
        let lambda = published.iter().find(|it| it.version == *build_id).and_then(|it| it.number());
        if let Some(number) = lambda {
            println!("Lambda    {would}delete {}:{number}", names.function);
            if !args.dry_run {
                place.aws.delete_version(&names.function, number).await?;
            }
        }
        deleted += 1;
    }
    for number in left_over(names, &states, &published).into_iter().filter_map(|it| it.number()) {
        println!(
            "Lambda    {would}delete {}:{number}, which is no version in Temporal",
            names.function
        );
        if !args.dry_run {
            place.aws.delete_version(&names.function, number).await?;
        }
        deleted += 1;
    }
    let (verb, not) =
        if args.dry_run { ("would go", "; nothing was deleted") } else { ("are gone", "") };
    println!("{}", paint::green(format!("{deleted} versions {verb}{not}")));
    Ok(ExitCode::SUCCESS)
}
