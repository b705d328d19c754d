//! What the workflows of a swarm do, and when.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;
use temporal_lambda_tests::losses::{self, Kind, Loss, Reading};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    client::{Client, Waiting, has_ended},
    random::Random,
};

/// How long a workflow may go without a step: an event, or another attempt of a task. A lost activity costs 20 s, and
/// where connections are cut, more than one is lost after the other.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often it is looked for the end of a workflow.
const LOOK: Duration = Duration::from_secs(1);
/// Between two messages to a workflow, at most.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(1_200);

/// One workflow.
pub(crate) struct Job {
    /// When it is started.
    at: Duration,
    work: Work,
}

enum Work {
    /// Activities of so many milliseconds.
    Chain(Vec<u64>),
    /// Local activities of so many milliseconds.
    LocalChain(Vec<u64>),
    /// What is sent, each after a pause.
    Mailbox(Vec<(Duration, Message)>),
}

#[derive(Clone, Copy, PartialEq)]
enum Message {
    Signal,
    Query,
    Update,
}

/// How many workflows have come how far.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) started: AtomicUsize,
    pub(crate) ended: AtomicUsize,
}

/// Workflows for `lasting`, about `rate` a second. They come in bursts, with pauses between that are
/// now shorter, now longer than an idle timeout: many come when an invocation is about to end.
pub(crate) fn jobs(random: &mut Random, lasting: Duration, rate: f64) -> Vec<Job> {
    let second = Duration::from_secs(1);
    let mut jobs = Vec::new();
    let mut now = Duration::ZERO;
    while now < lasting {
        let burst = random.between(second / 2, 3 * second);
        let pause = random.between(Duration::ZERO, 4 * second);
        let number = (burst + pause).mul_f64(rate).as_secs_f64().round() as u64;
        jobs.extend(
            (0..number).map(|_| Job {
                at: now + burst.mul_f64(random.fraction()),
                work: Work::any(random),
            }),
        );
        now += burst + pause;
    }
    jobs.retain(|job| job.at < lasting);
    jobs.sort_by_key(|job| job.at);
    jobs
}

impl Work {
    fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => {
                let number = 1 + random.below(3);
                let millis = |random: &mut Random| match random.below(10) {
                    0..6 => 0,
                    6..9 => random.below(300),
                    // Some outlast the grace period.
                    _ => random.below(2_500),
                };
                Self::Chain((0..number).map(|_| millis(random)).collect())
            }
            4..6 => {
                // One that outlasts the grace period costs its workflow task's timeout, and so would
                // a chain of them. That is known, and not looked for here.
                let number = 1 + random.below(2);
                Self::LocalChain((0..number).map(|_| random.below(2) * random.below(300)).collect())
            }
            _ => {
                let number = 1 + random.below(3);
                let message = |random: &mut Random| match random.below(10) {
                    0..4 => Message::Signal,
                    4..7 => Message::Query,
                    _ => Message::Update,
                };
                let messages = (0..number).map(|_| message(random));
                let mut messages = messages.collect::<Vec<_>>();
                // It waits for one at least.
                messages.push(Message::Signal);
                let pause = |random: &mut Random| random.between(Duration::ZERO, BETWEEN_MESSAGES);
                Self::Mailbox(messages.into_iter().map(|it| (pause(random), it)).collect())
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Chain(_) => "Chain",
            Self::LocalChain(_) => "LocalChain",
            Self::Mailbox(_) => "Mailbox",
        }
    }

    fn input(&self) -> serde_json::Value {
        match self {
            Self::Chain(millis) | Self::LocalChain(millis) => json!(millis),
            Self::Mailbox(messages) => {
                json!(messages.iter().filter(|(_, it)| *it != Message::Query).count())
            }
        }
    }
}

/// Does one job: starts the workflow `id`, sends it what it waits for, and reads its history once it
/// has ended.
pub(crate) async fn carry_out(
    job: &Job,
    id: &str,
    client: &Client,
    began: Instant,
    progress: &Progress,
) -> Reading {
    sleep_until(began + job.at).await;
    client.start(id, job.work.kind(), job.work.input()).await;
    progress.started.fetch_add(1, Ordering::Relaxed);
    let mut reading = Reading::default();
    if let Work::Mailbox(messages) = &job.work {
        send(messages, id, client, &mut reading).await;
    }
    let mut attempts = HashMap::new();
    let mut last_step = Instant::now();
    let mut so_far = (0, Waiting::default());
    let history = loop {
        let history = client.history(id).await;
        if has_ended(&history) {
            progress.ended.fetch_add(1, Ordering::Relaxed);
            break history;
        }
        // Who has an attempt is only told while it is not over.
        let waiting = client.waiting(id).await;
        attempts.extend(waiting.activities.iter().cloned());
        let now = (history.len(), waiting);
        if now != so_far {
            (last_step, so_far) = (Instant::now(), now);
        }
        if last_step.elapsed() > PATIENCE {
            let kinds = history.iter().map(|event| event.event_type().as_str_name());
            let kinds = kinds.map(|kind| kind.trim_start_matches("EVENT_TYPE_"));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            let what = format!("not a step for {PATIENCE:?}; it has {kinds}");
            println!("  {id}: {what}");
            reading.lost.push(Loss::new(Kind::Workflow, what));
            break history;
        }
        sleep(LOOK).await;
    };
    let read = losses::read(&history);
    reading.done.add_all(read.done);
    for loss in read.lost {
        let given = loss.attempt.as_ref().and_then(|attempt| attempts.remove(attempt));
        reading.lost.push(Loss { given: given.or_else(|| loss.given.clone()), ..loss });
    }
    reading
}

async fn send(messages: &[(Duration, Message)], id: &str, client: &Client, reading: &mut Reading) {
    for (number, (pause, message)) in (1..).zip(messages) {
        sleep(*pause).await;
        match message {
            Message::Signal => client.signal(id, "put", number).await,
            Message::Query => match client.query(id, "received").await {
                Ok(()) => reading.done.add(Kind::Query, 1),
                Err(what) => reading.lost.push(Loss::new(Kind::Query, what)),
            },
            Message::Update => {
                if let Err(what) = client.update(id, "put_and_count", number).await {
                    reading.lost.push(Loss::new(Kind::Update, what));
                }
            }
        }
    }
}
