//! `deploy`: from source to traffic.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use super::build::BuildArgs;
use super::carry_out::Deploying;
use super::compute::InvokeRole;
use super::error::DeployError;
use super::look::look;
use super::place::{Place, PlaceArgs};
use super::plan::{Traffic, Wanted, plan};
use crate::error::CliError;
use crate::settings::{Chosen, Settings};
use crate::show::paint;

/// A role that an emulator takes for a function without one.
const EMULATED_ROLE: &str = "arn:aws:iam::000000000000:role/temporal-lambda";
const API_KEY: &str = "TEMPORAL_API_KEY";

/// What is deployed, and how.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    build: BuildArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// The ARN of the role that the function runs as. Needed for a new function.
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// The ARN of the role that Temporal assumes to call the function.
    #[arg(long, value_name = "ARN", requires = "external_id")]
    invoke_role: Option<String>,
    /// The external ID that the role's trust policy asks Temporal for.
    #[arg(long, value_name = "ID", requires = "invoke_role")]
    external_id: Option<String>,
    /// The function's memory in MB. Default: as it is; 256 for a new function.
    #[arg(long, value_name = "MB")]
    memory: Option<u64>,
    /// The function's timeout, in whole seconds. Default: as it is; 60s for a new function.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// An environment variable of the function; without a value, this process's own value. May be given more than
    /// once. The server's address and the namespace are set in any case; what else the function has stays.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
    /// An environment variable to take away from the function. May be given more than once.
    #[arg(long, value_name = "NAME")]
    unset_env: Vec<String>,
    /// The most environments at once, reserved for the function. Default: as it is.
    #[arg(long, value_name = "N")]
    reserved_concurrency: Option<u64>,
    /// How many days the function's log is kept. Default: as it is.
    #[arg(long, value_name = "DAYS")]
    log_retention: Option<u64>,
    /// Gives the version so many percent of the new workflows, in the place of all. Run the command again with a
    /// larger share, then without, to go on.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    ramp: Option<u8>,
    /// Gives the version no workflows.
    #[arg(long, conflicts_with = "ramp")]
    no_traffic: bool,
    /// How long the first poll of a new version may take.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    first_poll: Duration,
    /// Prints what would be done, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// The settings that these arguments change.
    pub(crate) fn settings(&self) -> Chosen {
        self.place.settings()
    }

    fn traffic(&self) -> Traffic {
        match self.ramp {
            _ if self.no_traffic => Traffic::None,
            Some(percentage) => Traffic::Ramp(percentage),
            None => Traffic::All,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let given = given(&args.variables)?;
    let place = args.place.connect(args.build.bin.as_deref()).await?;
    let is_local = args.place.aws.is_local();
    let (package, architecture) = args.build.package(is_local).await?;
    let mut variables = for_the_server(&place.settings);
    variables.extend(given);
    warn_of_a_missing_key(&place.settings, &variables);
    let role = args.role.clone().or_else(|| is_local.then(|| EMULATED_ROLE.to_owned()));
    let wanted = Wanted {
        sha256: package.sha256.clone(),
        architecture,
        role,
        memory: args.memory,
        timeout: args.timeout.map(|it| it.as_secs()),
        variables,
        unset: args.unset_env.clone(),
        reserved_concurrency: args.reserved_concurrency,
        log_retention: args.log_retention,
        invoke_role: args
            .invoke_role
            .clone()
            .zip(args.external_id.clone())
            .map(|(arn, external_id)| InvokeRole { arn, external_id }),
        traffic: args.traffic(),
    };
    place.tell();
    let found = look(&place, &wanted).await?;
    let plan = plan(&place.names, &wanted, &found)?;
    if args.dry_run {
        let build_id = plan.published.as_ref().map(|it| it.version.as_str());
        for step in &plan.steps {
            println!("      {}", step.tell(&place.names, &wanted.architecture, build_id));
        }
        println!("{} steps would be taken; nothing was changed", plan.steps.len());
        return Ok(ExitCode::SUCCESS);
    }
    let (place, wanted, package) = (&place, &wanted, &package);
    let first_poll = args.first_poll;
    let deployed = Deploying { place, wanted, package, first_poll }.carry_out(plan).await?;
    let build_id = deployed.map(|it| it.version).unwrap_or_default();
    println!("{}", paint::green(conclusion(place, wanted.traffic, &build_id)));
    Ok(ExitCode::SUCCESS)
}

fn conclusion(place: &Place, traffic: Traffic, build_id: &str) -> String {
    let version = place.names.version(build_id);
    match traffic {
        Traffic::All => format!("{version} is current: start workflows"),
        Traffic::Ramp(percentage) => format!("{version} gets {percentage} % of the new workflows"),
        Traffic::None => format!("{version} is ready, and gets no workflows"),
    }
}

/// The variables by which the function finds the server that this command uses.
fn for_the_server(settings: &Settings) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("TEMPORAL_ADDRESS".to_owned(), settings.address()),
        ("TEMPORAL_NAMESPACE".to_owned(), settings.namespace.clone()),
    ]);
    if settings.connection.tls_options.is_some() {
        variables.insert("TEMPORAL_TLS".to_owned(), "true".to_owned());
    }
    variables
}

fn given(variables: &[String]) -> Result<BTreeMap<String, String>, DeployError> {
    let value = |given: &String| match given.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(given) {
            Ok(value) => Ok((given.clone(), value)),
            Err(_) => Err(DeployError::NoVariable { name: given.clone() }),
        },
    };
    variables.iter().map(value).collect()
}

fn warn_of_a_missing_key(settings: &Settings, variables: &BTreeMap<String, String>) {
    if settings.connection.api_key.is_some() && !variables.contains_key(API_KEY) {
        let text = "this command uses an API key, which it does not give to the function. If the function does not \
                    fetch one itself, add --env TEMPORAL_API_KEY; whoever may read the function's configuration can \
                    then read it";
        println!("{} {text}", paint::yellow("note:"));
    }
}
