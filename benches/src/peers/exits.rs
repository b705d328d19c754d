//! Activities of very different lengths over short invocations, one after the other: what is in vain at their ends.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt as _, stream};
use temporal_lambda_testkit::lambda::Environment;
use temporal_lambda_tests::losses;
use temporalio_common::protos::temporal::api::history::v1::{
    HistoryEvent, history_event::Attributes,
};

use super::lab::{Deployed, Lab};
use super::record::{Record, Side};
use super::rows::Batch;

/// How long an invocation may take: 8 s of work, and the grace period of 5 s.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// Invocations at a time.
pub(super) const ENVIRONMENTS: usize = 2;
/// How many activities wait in the beginning.
pub(super) const ACTIVITIES: u32 = 120;
/// Most are short, and of each so many, one is long.
const LONG_ONE_OF: u32 = 4;
const SHORTEST: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);
/// Far longer than all of them take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Takes it, side after side, and at a share of a core all sides at once.
pub(super) async fn take(
    lab: &Lab,
    deployed: &[(Side, Deployed)],
    batch: Batch,
    record: &mut Record,
) {
    let served = stream::iter(deployed).map(|(side, deployed)| async move {
        eprintln!("{}, {}: {ACTIVITIES} activities, a minute", batch.words(), side.name());
        let served = serve(lab, deployed).await;
        deployed.function.environments().iter().for_each(Environment::kill);
        (*side, served)
    });
    let mut served = served.buffered(batch.share.sides_at_once());
    while let Some((side, served)) = served.next().await {
        record.keep(batch, side, served);
    }
}

async fn serve(lab: &Lab, deployed: &Deployed) -> Result<[(&'static str, f64); 4]> {
    let mut ids = Vec::new();
    for number in 0..ACTIVITIES {
        ids.push(lab.start_sleep(deployed, length(number)).await?);
    }
    let began = Instant::now();
    let all_done = async {
        for id in &ids {
            lab.result_within(id, PATIENCE).await?;
        }
        Ok::<_, anyhow::Error>(began.elapsed())
    };
    let took = tokio::select! {
        took = all_done => took?,
        failed = one_after_the_other(deployed) => return Err(failed),
        failed = one_after_the_other(deployed) => return Err(failed),
    };
    let exits = deployed.function.invocations().len();
    let (mut wasted, mut lost) = (0, 0);
    for id in &ids {
        let history = lab.history(id).await?;
        wasted += in_vain(&history);
        lost += losses::read(&history).lost.len();
    }
    #[allow(clippy::cast_precision_loss, reason = "they are few")]
    Ok([
        ("exits-number", exits as f64),
        ("exits-lost", lost as f64),
        ("exits-wasted", wasted.into()),
        ("exits-time", took.as_secs_f64()),
    ])
}

/// Invokes it again and again, until an invocation fails.
async fn one_after_the_other(deployed: &Deployed) -> anyhow::Error {
    loop {
        if let Err(failed) = deployed.invoke().await {
            return failed;
        }
    }
}

/// How long an activity takes. Lengths of each kind are spread evenly, and come in the same order for every side.
fn length(number: u32) -> Duration {
    let (least, most) =
        if number.is_multiple_of(LONG_ONE_OF) { (SHORT, LONGEST) } else { (SHORTEST, SHORT) };
    // Has no divisor in common with their number: each comes once.
    let place = number * 49 % ACTIVITIES;
    least + (most - least) * place / ACTIVITIES
}

/// How many attempts of a workflow's activities were made beside those that completed.
fn in_vain(history: &[HistoryEvent]) -> i32 {
    let attributes = history.iter().filter_map(|event| event.attributes.as_ref());
    let attempts = attributes.filter_map(|it| match it {
        Attributes::ActivityTaskStartedEventAttributes(it) => Some(it.attempt - 1),
        _ => None,
    });
    attempts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_activities_are_short_and_long_ones_are_spread_up_to_the_longest() {
        let lengths: Vec<_> = (0..ACTIVITIES).map(length).collect();
        assert_eq!(lengths.iter().filter(|it| **it < SHORT).count(), 90);
        assert!(lengths.iter().all(|it| (SHORTEST..LONGEST).contains(it)));
        let longest = lengths.iter().max().copied().unwrap_or_default();
        assert!(longest > LONGEST * 9 / 10, "{longest:?}");
        let long: Duration = lengths.iter().filter(|it| **it >= SHORT).sum();
        let mean = long / 30;
        assert!(
            (Duration::from_millis(3_900)..Duration::from_millis(4_500)).contains(&mean),
            "{mean:?}"
        );
    }
}
