//! What a kept connection saves: from the event to the first poll, over TLS and a link with a
//! round trip of 25 ms, with a new connection for every invocation and with the one that is kept.
//!
//! Fails if the kept one takes more than 0.4 of the time of the new one: that would mean that it
//! is not kept, or that something else asks the server before polling. The shortest times are
//! compared, since a busy machine makes times longer, never shorter.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use temporal_lambda_benches::{median, millis, print_table};
use temporal_lambda_testkit::frontend::{MockFrontend, MockTls};
use temporal_lambda_tests::{Nothing, Proxy};
use temporal_lambda_worker::{
    BoxError, LambdaWorkerConfig, LambdaWorkerHandler, WorkerDeploymentVersion,
};
use temporalio_client::Url;

const ROUND_TRIP: Duration = Duration::from_millis(25);
const INVOCATIONS: usize = 15;
const MOST: f64 = 0.4;

/// From the event to the first poll, invocation after invocation in one environment.
async fn first_polls(target: &Url, tls: &MockTls, reuse: bool) -> Vec<Duration> {
    let (target, tls) = (target.clone(), tls.tls_options());
    let configure = move |config: &mut LambdaWorkerConfig| -> Result<(), BoxError> {
        config.connection_options.target = target.clone();
        config.connection_options.tls_options = Some(tls.clone());
        config.worker_options.task_queue = "bench".to_owned();
        config.worker_options.register_activities(Nothing);
        config.reuse_connection = reuse;
        config.idle_timeout = Some(Duration::from_millis(1));
        config.minimum_stay = Duration::from_millis(60);
        Ok(())
    };
    let version = WorkerDeploymentVersion::builder().deployment_name("bench").build_id("1").build();
    let handler = LambdaWorkerHandler::new(version, configure).expect("threads start");
    let mut times = Vec::new();
    for number in 0..INVOCATIONS {
        let mut context = Context::default();
        context.request_id = format!("{reuse}-{number}");
        let deadline = SystemTime::now() + Duration::from_secs(60);
        let since_epoch = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        context.deadline = u64::try_from(since_epoch.as_millis()).expect("before the end of time");
        let report = handler.handle(LambdaEvent::new((), context)).await.expect("it succeeds");
        // The first one is cold either way.
        if number > 0 {
            times.push(Duration::from_millis(report.first_poll_ms.expect("it polled")));
        }
    }
    times
}

#[tokio::main]
async fn main() {
    let frontend = MockFrontend::new();
    let tls = MockTls::new().expect("certificates");
    let served = frontend.serve_tls(tls.clone()).await.expect("the frontend is served");
    let proxy = Proxy::with_round_trip(&served.address().to_string(), ROUND_TRIP).await;
    let target = Url::parse(&format!("https://{}", proxy.address())).expect("a URL");

    let new = first_polls(&target, &tls, false).await;
    let reused = first_polls(&target, &tls, true).await;
    let least = |times: &[Duration]| times.iter().min().expect("times").as_secs_f64();
    let ratio = least(&reused) / least(&new);
    let row = |name: &str, times: Vec<Duration>| {
        let least = times.iter().min().copied().expect("times");
        vec![name.to_owned(), millis(least), millis(median(times))]
    };
    print_table(
        &["warm event to first poll, 25 ms round trip, TLS", "least ms", "median ms"],
        vec![
            row("a new connection each time", new),
            row("the kept connection", reused),
            vec!["ratio of the least".to_owned(), format!("{ratio:.2}"), String::new()],
        ],
    );
    if ratio > MOST {
        eprintln!("the kept connection takes {ratio:.2} of the time of a new one, not {MOST}");
        std::process::exit(1);
    }
}
