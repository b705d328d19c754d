//! Takes the steps of a plan, one after the other, and says so.

use std::time::Duration;

use temporal_lambda_testkit::server::TemporalError;
use temporalio_client::tonic::Code;

use super::compute::Compute;
use super::error::DeployError;
use super::package::Package;
use super::place::Place;
use super::plan::{Plan, Wanted};
use super::routing;
use super::step::Step;
use crate::aws::{Configuration, NewFunction};
use crate::error::CliError;
use crate::show::paint;

/// What the steps are taken with.
pub(super) struct Deploying<'a> {
    pub(super) place: &'a Place,
    pub(super) wanted: &'a Wanted,
    pub(super) package: &'a Package,
    pub(super) first_poll: Duration,
}

impl Deploying<'_> {
    /// Takes the steps: the version that is deployed then.
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<Option<Configuration>, CliError> {
        let mut published = plan.published;
        let total = plan.steps.len();
        for (number, step) in (1..).zip(&plan.steps) {
            let build_id = published.as_ref().map(|it| it.version.as_str());
            let told = step.tell(&self.place.names, &self.wanted.architecture, build_id);
            println!("{} {told}", paint::dim(format!("{number:>2}/{total}")));
            if let Some(version) = self.take(step, published.as_ref()).await? {
                println!("      version {} of {}", version.version, self.place.names.function);
                published = Some(version);
            }
        }
        Ok(published)
    }

    /// Takes one step: the version, if that is what it makes.
    async fn take(
        &self,
        step: &Step,
        published: Option<&Configuration>,
    ) -> Result<Option<Configuration>, CliError> {
        let Place { names, aws, deployment, .. } = self.place;
        let function = &names.function;
        let build_id = published.map(|it| it.version.as_str()).unwrap_or_default();
        match step {
            Step::CreateLogGroup => aws.create_log_group(&names.log_group()).await?,
            Step::KeepLog { days } => aws.keep_log(&names.log_group(), *days).await?,
            Step::CreateFunction { role, memory, timeout, variables } => {
                let new = NewFunction {
                    zip: &self.package.zip,
                    architecture: &self.wanted.architecture,
                    role,
                    memory: *memory,
                    timeout: *timeout,
                    variables,
                };
                aws.create_function(function, &new).await?;
            }
            Step::UpdateCode => {
                aws.update_code(function, &self.package.zip, &self.wanted.architecture).await?;
            }
            Step::UpdateConfiguration(update) => aws.update_configuration(function, update).await?,
            Step::ReserveConcurrency { most } => aws.reserve_concurrency(function, *most).await?,
            Step::Publish => {
                let sha256 = &self.package.sha256;
                return Ok(Some(aws.publish(function, sha256, &names.mark()).await?));
            }
            Step::NoRetries => aws.no_retries(function, build_id).await?,
            Step::CreateDeployment => match deployment.create().await {
                Err(error) if error.code() == Some(Code::AlreadyExists) => {}
                created => created?,
            },
            Step::CreateVersion => {
                let compute = self.compute(published);
                let created = routing::create_version(deployment, build_id, &compute).await;
                created.map_err(|error| self.uncallable(build_id, &compute, error))?;
            }
            Step::SetCompute(before) => {
                let mut compute = self.compute(published);
                let kept = before.as_ref().and_then(|it| it.role.clone());
                compute.role = compute.role.or(kept);
                let set = routing::set_compute(deployment, build_id, &compute).await;
                set.map_err(|error| self.uncallable(build_id, &compute, error))?;
            }
            Step::Wake => aws.wake(function, build_id).await?,
            Step::AwaitQueues => self.await_queues(build_id).await?,
            Step::Ramp { percentage } => {
                routing::ramp(deployment, Some((build_id, *percentage))).await?;
            }
            Step::MakeCurrent => routing::make_current(deployment, build_id).await?,
        }
        Ok(None)
    }

    fn compute(&self, published: Option<&Configuration>) -> Compute {
        Compute {
            arn: published.map(|it| it.function_arn.clone()).unwrap_or_default(),
            role: self.wanted.invoke_role.clone(),
        }
    }

    /// What the server says when it cannot see the function or may not call it.
    fn uncallable(&self, build_id: &str, compute: &Compute, error: TemporalError) -> CliError {
        match error {
            TemporalError::Rpc { status, .. } if status.code() == Code::InvalidArgument => {
                let version = self.place.names.version(build_id);
                let (arn, said) = (compute.arn.clone(), status.message().to_owned());
                DeployError::Uncallable { version, arn, said }.into()
            }
            error => error.into(),
        }
    }

    async fn await_queues(&self, build_id: &str) -> Result<(), CliError> {
        let names = &self.place.names;
        match self.place.deployment.wait_for_poll(build_id, self.first_poll).await {
            Ok(queues) => {
                println!("      task queue {}", queues.join(", "));
                Ok(())
            }
            Err(TemporalError::NotInTime { within, .. }) => {
                let (version, log) = (names.version(build_id), names.log_group());
                Err(DeployError::NoPoll { version, within, log }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
