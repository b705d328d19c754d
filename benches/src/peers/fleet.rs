//! Many workflows at once for a function that has no environment: Temporal's Worker Controller calls it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::billed;
use super::lab::{Deployed, Lab, Setting};
use super::programs::Program;
use super::record::Record;
use super::rows::Batch;

/// How many workflows come at once.
pub(super) const WORKFLOWS: usize = 400;
/// How long the activity of each takes.
const ACTIVITY: Duration = Duration::from_millis(500);
/// How many environments there may be.
const ENVIRONMENTS: usize = 40;
/// How many workflows are started, or looked at, at once.
const AT_ONCE: usize = 20;
/// Far longer than all of them take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Takes it, side after side: in the end of each, nothing of it runs.
pub(super) async fn take(lab: &Lab, programs: &[Program], batch: Batch, record: &mut Record) {
    let setting = Setting {
        environments: ENVIRONMENTS,
        ..Setting::new("fleet", billed::TIMEOUT).idle_timeout(billed::IDLE_TIMEOUT)
    };
    for program in programs {
        let side = program.side;
        eprintln!("fleet, {}: {WORKFLOWS} workflows, one to two minutes", side.name());
        let served = async {
            let deployed = lab.deploy_from_zero(program, &setting).await?;
            serve(lab, &deployed).await
        };
        record.keep(batch, side, served.await);
    }
}

async fn serve(lab: &Lab, deployed: &Deployed) -> Result<[(&'static str, f64); 3]> {
    let before = deployed.function.invocations().len();
    let began = SystemTime::now();
    let ids: Vec<String> = stream::iter(0..WORKFLOWS)
        .map(|_| lab.start_sleep(deployed, ACTIVITY))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let ends: Vec<SystemTime> = stream::iter(&ids)
        .map(|id| async move {
            lab.result_within(id, PATIENCE).await?;
            lab.closed(id).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let last = ends.into_iter().max().unwrap_or(began);
    // They are billed until they end, and the peers go on until their stop time.
    deployed.function.idle(PATIENCE).await?;
    let invocations = deployed.function.invocations().split_off(before);
    let environments: BTreeSet<_> = invocations.iter().map(|it| &it.environment).collect();
    let billed: Duration = invocations.iter().map(|it| it.billed).sum();
    deployed.function.environments().iter().for_each(|it| it.kill());
    #[allow(clippy::cast_precision_loss, reason = "they are few")]
    Ok([
        ("fleet-size", environments.len() as f64),
        ("fleet-time", last.duration_since(began)?.as_secs_f64()),
        ("fleet-billed", billed.as_secs_f64()),
    ])
}
