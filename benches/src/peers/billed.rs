//! What an invocation is billed, in its full length: nothing is cut short here.

use std::time::Duration;

use anyhow::Result;

use super::lab::{Deployed, Lab, ms};
use super::record::{Record, Side};
use super::rows::Group;

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

/// The three functions of a side.
pub(super) struct Functions {
    /// Whose.
    pub(super) side: Side,
    /// Is called for one workflow.
    pub(super) one: Deployed,
    /// Is called for a burst.
    pub(super) burst: Deployed,
    /// Is called for one workflow, and polls until its stop time.
    pub(super) whole: Deployed,
}

/// Takes it, all sides at the same time, since all but an instant of it is waiting.
pub(super) async fn take(lab: &Lab, functions: &[Functions], rounds: usize, record: &mut Record) {
    for round in 1..=rounds {
        eprintln!("billed, round {round} of {rounds}: all sides at once, a minute");
        let taken = functions.iter().map(|it| async {
            let (one, burst, whole) = tokio::join!(
                billed(lab, &it.one, 1),
                billed(lab, &it.burst, BURST),
                billed(lab, &it.whole, 1)
            );
            Ok::<_, anyhow::Error>((one?.1, burst?.1, whole?.0))
        });
        let taken = futures::future::join_all(taken).await;
        for (Functions { side, .. }, taken) in functions.iter().zip(taken) {
            match taken {
                Ok((one, burst, whole)) => add(record, *side, one, burst, whole),
                Err(error) => {
                    eprintln!("billed: {}: {error:#}", side.name());
                    record.miss_all(Group::Billed, *side, &format!("it failed: {error}"));
                }
            }
        }
    }
}

fn add(record: &mut Record, side: Side, one: Duration, burst: Duration, whole: Duration) {
    record.add("billed-one", side, one.as_secs_f64());
    record.add("billed-burst", side, burst.as_secs_f64());
    // In five minutes an environment is often gone: each invocation is reckoned as cold.
    let hour = one.as_secs_f64() * PER_HOUR;
    record.add("billed-hour", side, hour);
    record.add("dollars-burst", side, 1e6 * dollars(burst.as_secs_f64(), 1.0));
    record.add("dollars-month", side, HOURS_PER_MONTH * dollars(hour, PER_HOUR));
    record.add("drain", side, ms(whole) - ms(TIMEOUT - BUFFER));
}

/// A cold invocation for some workflows that wait: its duration, and what of it and of its init is billed.
async fn billed(lab: &Lab, deployed: &Deployed, workflows: usize) -> Result<(Duration, Duration)> {
    let mut ids = Vec::new();
    for _ in 0..workflows {
        ids.push(lab.start_workflow(deployed).await?);
    }
    let invocation = deployed.invoke().await?;
    for id in ids {
        lab.result(&id).await?;
    }
    deployed.environment()?.kill();
    Ok((invocation.duration, invocation.billed))
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
