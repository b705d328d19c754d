//! How busy the machine was: a worker that is starved of CPU loses tasks, too.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

/// How often it looks.
const STEP: Duration = Duration::from_millis(50);

/// The worst so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worst {
    /// The load average of a minute, where the system has one.
    pub(crate) load: Option<f64>,
    /// By how much this process, which does little, was late.
    pub(crate) late: Duration,
}

/// Looks at the machine until it is dropped.
pub(crate) struct Load {
    worst: watch::Receiver<Worst>,
    looking: JoinHandle<()>,
}

impl Load {
    pub(crate) fn watch() -> Self {
        let (sender, worst) = watch::channel(Worst::default());
        let looking = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                sleep(STEP).await;
                let late = began.elapsed() - STEP;
                let load = load_average();
                sender.send_modify(|worst| {
                    worst.late = worst.late.max(late);
                    worst.load = worst.load.into_iter().chain(load).reduce(f64::max);
                });
            }
        });
        Self { worst, looking }
    }

    pub(crate) fn worst(&self) -> Worst {
        *self.worst.borrow()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
