//! What is seen while `dev` runs: on a terminal, a line for each environment under the log;
//! elsewhere, the log alone.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget};
use temporal_lambda_testkit::lambda::{Function, LambdaEmulator};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::log::{Functions, Log};
use crate::error::CliError;
use crate::show::paint;

/// How often the live part is drawn anew.
const REFRESH: Duration = Duration::from_millis(200);

/// A view of an emulator that updates itself. Dropping it leaves the screen as it is.
pub(super) struct View {
    log: Log,
    functions: Functions,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl View {
    /// Shows what happens in the emulator, to functions with so much memory.
    pub(super) fn start(lambda: &LambdaEmulator, memory_mb: u32) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let live = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout()));
        let log = Log::new(live);
        let functions = Functions::default();
        let stop = CancellationToken::new();
        let mut events = lambda.subscribe();
        let mut board = Board::new(log.clone(), functions.clone(), memory_mb);
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut refresh = tokio::time::interval(REFRESH);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return board.end(),
                    event = events.recv() => match event {
                        Ok(event) => board.event(&event),
                        Err(RecvError::Lagged(missed)) => {
                            board.missed(missed);
                        }
                        Err(RecvError::Closed) => return board.end(),
                    },
                    _ = refresh.tick() => board.refresh(),
                }
            }
        });
        Self { log, functions, stop, task }
    }

    /// Shows the environments of this function too.
    pub(super) fn add(&self, function: Function) {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).push(function);
    }

    pub(super) fn say(&self, who: &str, what: impl Display) {
        self.log.line(who, what);
    }

    pub(super) fn complain(&self, error: &CliError) {
        self.log.line("error", paint::red(error));
    }

    /// Ends the live part, with the totals as the last line.
    pub(super) async fn end(self) {
        self.stop.cancel();
        // It only fails by panicking, which has been printed.
        let _ = self.task.await;
    }
}
