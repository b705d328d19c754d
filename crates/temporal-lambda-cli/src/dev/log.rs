//! Where the lines of `dev` go, and the functions that they are about.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use indicatif::MultiProgress;
use temporal_lambda_testkit::lambda::Function;

use crate::show::event_log::Timestamps;

/// The functions whose environments are shown.
pub(super) type Functions = Arc<Mutex<Vec<Function>>>;

/// Where lines go: above the live part, or plainly out.
#[derive(Clone)]
pub(super) struct Log {
    timestamps: Timestamps,
    live: Option<MultiProgress>,
}

impl Log {
    /// A log whose times count from now.
    pub(super) fn new(live: Option<MultiProgress>) -> Self {
        Self { timestamps: Timestamps::begin(), live }
    }

    pub(super) fn line(&self, who: &str, what: impl Display) {
        let line = self.timestamps.line(who, what);
        match &self.live {
            // It fails when the terminal is gone, and then nobody reads.
            Some(live) => drop(live.println(line)),
            None => println!("{line}"),
        }
    }

    /// The live part, on a terminal.
    pub(super) fn live(&self) -> Option<&MultiProgress> {
        self.live.as_ref()
    }
}
