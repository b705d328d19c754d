//! Where a function and its worker deployment are.

use temporal_lambda_testkit::server::Deployment;

use super::error::DeployError;
use super::names::Names;
use crate::aws::{Aws, AwsArgs};
use crate::error::CliError;
use crate::settings::{self, Chosen, Settings};

/// Which function and which worker deployment are meant.
#[derive(clap::Args, Debug)]
pub(super) struct PlaceArgs {
    /// The function's name. Default: that of the package in this folder.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// The worker deployment's name. Default: the function's.
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
    /// The Temporal server, as host:port. It, the namespace, TLS and credentials are otherwise those of temporal.toml
    /// and the TEMPORAL_* variables.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    pub(super) aws: AwsArgs,
}

/// A connection to both.
pub(super) struct Place {
    pub(super) names: Names,
    pub(super) aws: Aws,
    pub(super) deployment: Deployment,
    pub(super) settings: Settings,
}

impl PlaceArgs {
    /// The settings that these arguments change.
    pub(super) fn settings(&self) -> Chosen {
        let set = [("TEMPORAL_ADDRESS", &self.address), ("TEMPORAL_NAMESPACE", &self.namespace)];
        let set =
            set.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        set.collect()
    }

    /// Connects to Temporal; AWS is not called yet. `bin` is the name of the program, if that is known.
    pub(super) async fn connect(&self, bin: Option<&str>) -> Result<Place, CliError> {
        let named = self.function.clone().or_else(|| bin.map(str::to_owned)).or_else(package_here);
        let function = named.ok_or(DeployError::NoName)?;
        let settings = settings::resolve(None).await?;
        let names = Names::new(function, self.deployment.clone(), settings.namespace.clone())?;
        let aws = Aws::new(&self.aws).await?;
        let client = settings.connect().await?;
        let deployment = Deployment::new(client, names.deployment.clone());
        Ok(Place { names, aws, deployment, settings })
    }
}

impl Place {
    /// Both in words.
    pub(super) fn tell(&self) {
        println!("Lambda    {} in {}", self.names.function, self.aws.place());
        println!("Temporal  {} at the {}", self.names.deployment, self.settings.server());
    }
}

/// The package of the current folder.
fn package_here() -> Option<String> {
    let manifest: toml::Table = std::fs::read_to_string("Cargo.toml").ok()?.parse().ok()?;
    manifest.get("package")?.get("name")?.as_str().map(str::to_owned)
}
