//! What an invocation is billed, in its full length: nothing is cut short here.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, stream};
use temporal_lambda_testkit::lambda::Invocation;
use tokio::task::JoinHandle;

use super::lab::{Deployed, Lab, ms};
use super::record::{Record, Side};
use super::rows::Batch;

/// How long an invocation may take. The peers work until 7 s before that.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// What every Lambda worker keeps for its end.
const BUFFER: Duration = Duration::from_secs(7);
/// Ours ends when there was nothing to do for so long. The peers have no such setting.
pub(super) const IDLE_TIMEOUT: &str = "500ms";
/// Workflows of a burst.
pub(super) const BURST: usize = 10;
/// Invocations in an hour of sparse work: one every five minutes.
const PER_HOUR: f64 = 12.0;
const HOURS_PER_MONTH: f64 = 730.0;
/// Lambda on x86-64 in us-east-1: for a GB and a second, and for an invocation.
const DOLLARS_PER_GB_SECOND: f64 = 0.000_016_666_7;
const DOLLARS_PER_INVOCATION: f64 = 0.000_000_2;
/// The memory that Temporal recommends for its Lambda workers.
const GIGABYTES: f64 = 0.25;

/// The functions of a side.
pub(super) struct Functions {
    /// Whose.
    pub(super) side: Side,
    /// Is called for one workflow.
    pub(super) one: Deployed,
    /// Is called for a burst.
    pub(super) burst: Deployed,
    /// Is called for a burst, on the server that ends polls.
    pub(super) ended: Deployed,
    /// Is called for one workflow, and polls until its stop time.
    pub(super) whole: Deployed,
}

/// An invocation that has done what it was called for, and may go on for a minute.
type Begun = JoinHandle<Result<Invocation>>;

/// Takes it. No workflow waits while another function begins or works, but that at a share of a core one of each side
/// does; then all invocations go on to their ends together, since all but an instant of that is waiting.
pub(super) async fn take(
    (stock, ends_polls): (&Lab, &Lab),
    functions: &[Functions],
    (batch, rounds): (Batch, usize),
    record: &mut Record,
) {
    for round in 1..=rounds {
        eprintln!("{}, round {round} of {rounds}: two to four minutes", batch.words());
        let begun = stream::iter(functions).map(|functions| async move {
            let Functions { side, one, burst, ended, whole } = functions;
            // An idle timeout is a setting of ours: a peer would be waited for until its stop time.
            let ends_soon = *side == Side::Ours;
            Ok::<_, anyhow::Error>([
                begin(stock, one, 1, ends_soon).await?,
                begin(stock, burst, BURST, ends_soon).await?,
                begin(ends_polls, ended, BURST, ends_soon).await?,
                begin(stock, whole, 1, false).await?,
            ])
        });
        let begun: Vec<_> = begun.buffered(batch.share.sides_at_once()).collect().await;
        for (begun, functions) in begun.into_iter().zip(functions) {
            let ended = async { end(begun?, functions).await };
            let measured = ended.await.map(|invocations| values(&invocations));
            record.keep(batch, functions.side, measured);
        }
    }
}

/// Calls a cold function for some workflows that wait, until they are done, and where it ends soon, until its end,
/// which is not disturbed by what comes next.
async fn begin(lab: &Lab, deployed: &Deployed, workflows: usize, ends_soon: bool) -> Result<Begun> {
    let mut ids = Vec::new();
    for _ in 0..workflows {
        ids.push(lab.start_workflow(deployed).await?);
    }
    let begun = deployed.begin();
    for id in ids {
        lab.result(&id).await?;
    }
    if ends_soon {
        deployed.function.idle(TIMEOUT).await?;
    }
    Ok(begun)
}

async fn end(begun: [Begun; 4], functions: &Functions) -> Result<[Invocation; 4]> {
    let [one, burst, ended, whole] = begun;
    let invocations = [one.await??, burst.await??, ended.await??, whole.await??];
    let Functions { one, burst, ended, whole, .. } = functions;
    for deployed in [one, burst, ended, whole] {
        deployed.environment()?.kill();
    }
    Ok(invocations)
}

fn values([one, burst, ended, whole]: &[Invocation; 4]) -> [(&'static str, f64); 7] {
    let billed = |it: &Invocation| it.billed.as_secs_f64();
    // In five minutes an environment is often gone: each invocation is reckoned as cold.
    let hour = billed(one) * PER_HOUR;
    [
        ("billed-one", billed(one)),
        ("billed-burst", billed(burst)),
        ("billed-ended", billed(ended)),
        ("billed-hour", hour),
        ("dollars-burst", 1e6 * dollars(billed(burst), 1.0)),
        ("dollars-month", HOURS_PER_MONTH * dollars(hour, PER_HOUR)),
        ("drain", ms(whole.duration) - ms(TIMEOUT - BUFFER)),
    ]
}

fn dollars(seconds: f64, invocations: f64) -> f64 {
    seconds * GIGABYTES * DOLLARS_PER_GB_SECOND + invocations * DOLLARS_PER_INVOCATION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_of_an_hour_of_a_quarter_of_a_gigabyte_are_what_lambda_says() {
        // 900 GB-seconds, and 100 invocations.
        assert!((dollars(3600.0, 100.0) - 0.015_020_03).abs() < 1e-9);
    }
}
