//! A command in a terminal, and what its screen shows.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use temporal_lambda_test_timing::{TimeLimit, test_timeout};
use vt100::{Parser, Screen};

use crate::support::Process;

/// A terminal of so many rows and columns that runs a command.
pub(crate) struct Terminal {
    shown: Arc<(Mutex<Shown>, Condvar)>,
    _process: Process,
    _limit: TimeLimit,
}

struct Shown {
    parser: Parser,
    /// Every row that the screen ever had, for what is seen for a moment only.
    rows: BTreeSet<String>,
}

impl Terminal {
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let output = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdout(output()).stderr(output());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let process = Process(command.spawn().unwrap());
        let parser = Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let shown = Shown { parser, rows: BTreeSet::new() };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        let showing = shown.clone();
        let mut input = File::from(pty.master);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails once the command has ended and nobody holds the other end.
            while let Ok(read @ 1..) = input.read(&mut bytes) {
                let mut shown = showing.0.lock().unwrap();
                shown.parser.process(&bytes[..read]);
                let seen = self::rows(shown.parser.screen());
                shown.rows.extend(seen);
                showing.1.notify_all();
            }
        });
        Self { shown, _process: process, _limit: TimeLimit::of_this_test() }
    }

    /// Waits for a screen that is as it should be.
    pub(crate) fn until(&self, good: impl FnMut(&Screen) -> bool) -> Screen {
        let screen = self.within(test_timeout(), good);
        screen.unwrap_or_else(|| panic!("still\n{}", self.shown().join("\n")))
    }

    /// The rows that the screen has now.
    pub(crate) fn shown(&self) -> Vec<String> {
        rows(self.shown.0.lock().unwrap().parser.screen())
    }

    /// Waits for so long for a screen that is as it should be.
    pub(crate) fn within(
        &self,
        patience: Duration,
        mut good: impl FnMut(&Screen) -> bool,
    ) -> Option<Screen> {
        let (shown, changed) = &*self.shown;
        let bad = |shown: &mut Shown| !good(shown.parser.screen());
        let waited = changed.wait_timeout_while(shown.lock().unwrap(), patience, bad);
        let (shown, timeout) = waited.unwrap();
        (!timeout.timed_out()).then(|| shown.parser.screen().clone())
    }

    /// Waits for a row with this in it.
    pub(crate) fn row(&self, part: &str) -> String {
        let mut found = None;
        self.until(|screen| {
            found = rows(screen).into_iter().find(|row| row.contains(part));
            found.is_some()
        });
        found.unwrap()
    }

    /// Every row that the screen ever had.
    pub(crate) fn rows(&self) -> BTreeSet<String> {
        self.shown.0.lock().unwrap().rows.clone()
    }
}

/// The rows of a screen, as text.
pub(crate) fn rows(screen: &Screen) -> Vec<String> {
    screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect()
}
