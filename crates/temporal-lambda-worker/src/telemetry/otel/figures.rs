//! The metrics of this crate: the figures of an invocation's report, as instruments.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::report::{InvocationReport, TaskCounts};

/// Bucket boundaries for invocations: from a fraction of a second to a quarter of an hour.
const SECONDS: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0];

/// The instruments.
pub(super) struct Figures {
    invocations: Counter<u64>,
    cold_starts: Counter<u64>,
    errors: Counter<u64>,
    duration: Histogram<f64>,
    state: Histogram<f64>,
    tasks: Counter<u64>,
}

impl Figures {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        let histogram = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        Self {
            invocations: counter("faas.invocations", "{invocation}", "Invocations"),
            cold_starts: counter(
                "faas.coldstarts",
                "{coldstart}",
                "Invocations that were the first of their environment",
            ),
            errors: counter("faas.errors", "{error}", "Invocations that failed"),
            duration: histogram("faas.invoke_duration", "How long invocations took"),
            state: histogram(
                "temporal_lambda_worker.state.duration",
                "How long invocations were in a state",
            ),
            tasks: counter(
                "temporal_lambda_worker.tasks",
                "{task}",
                "Tasks by kind and by outcome",
            ),
        }
    }

    /// Records the report of an invocation as of now.
    pub(super) fn record(&self, report: &InvocationReport) {
        let task_queue = KeyValue::new("temporal.task_queue", report.task_queue.clone());
        let mut attributes = vec![task_queue.clone()];
        attributes
            .extend(report.reason.map(|it| KeyValue::new("temporal.invocation.reason", it.name())));
        self.invocations.add(1, &attributes);
        self.cold_starts.add(u64::from(report.cold_start), &attributes);
        self.errors.add(u64::from(!report.errors.is_empty()), &attributes);
        self.duration.record(seconds(report.total_ms), &attributes);
        let times = report.state_ms;
        for (state, millis) in [
            ("Configuring", times.configuring),
            ("Connected", times.connected),
            ("Polling", times.polling),
            ("Draining", times.draining),
        ] {
            let state = KeyValue::new("temporal.invocation.state", state);
            self.state.record(seconds(millis), &[task_queue.clone(), state]);
        }
        self.count(report.tasks, &task_queue);
    }

    fn count(&self, tasks: TaskCounts, task_queue: &KeyValue) {
        for (kind, counts) in [
            ("workflow", tasks.workflow),
            ("activity", tasks.activity),
            ("local_activity", tasks.local_activity),
        ] {
            for (outcome, count) in [
                ("completed", counts.completed),
                ("failed", counts.failed),
                ("cancelled", counts.cancelled),
                ("abandoned", counts.abandoned),
            ] {
                if count > 0 {
                    let kind = KeyValue::new("temporal.task.kind", kind);
                    let outcome = KeyValue::new("temporal.task.outcome", outcome);
                    self.tasks.add(count, &[task_queue.clone(), kind, outcome]);
                }
            }
        }
    }
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
