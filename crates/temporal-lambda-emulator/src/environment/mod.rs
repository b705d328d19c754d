//! One execution environment: a process (or task) that serves events one after another, and is
//! frozen in between.

mod child;
mod extension;
mod in_process;
mod runtime_api;
mod state;
mod waits;

use std::{
    fmt,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::broadcast;

pub(super) use self::{
    state::{Answer, Completion, Delivery, EnvCore, Exit},
    waits::Init,
};
use super::{
    config::{Code, FunctionConfig},
    error::EmulatorError,
    event::{EmulatorEvent, EnvEvent},
    log::LogLine,
};

/// What an execution environment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvironmentState {
    /// Init: it has not asked for its first event.
    Starting,
    /// It waits for an event.
    Idle,
    /// It waits for an event, and is stopped meanwhile.
    Frozen,
    /// It has at least one event.
    Busy,
    /// It ended.
    Gone,
}

impl fmt::Display for EnvironmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Frozen => "frozen",
            Self::Busy => "busy",
            Self::Gone => "gone",
        })
    }
}

/// What an execution environment looked like at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EnvironmentView {
    /// Its ID.
    pub id: String,
    /// The process; `None` in-process and when gone.
    pub pid: Option<u32>,
    /// What it was doing.
    pub state: EnvironmentState,
    /// The invocations that it had, each with its deadline (`None` until it is handed out).
    pub running: Vec<(String, Option<SystemTime>)>,
    /// From spawn to the first `/next`; `None` before that.
    pub init: Option<Duration>,
    /// The process's peak resident memory, in kibibytes, as last read.
    pub peak_rss_kb: Option<u64>,
    /// How long it had existed.
    pub age: Duration,
}

/// A handle to an execution environment. It stays readable after the environment is gone.
#[derive(Clone)]
pub struct Environment {
    pub(super) core: Arc<EnvCore>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl Environment {
    /// Its ID: the function's name and a number, such as `worker/1`.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// The process; `None` in-process and when gone.
    pub fn pid(&self) -> Option<u32> {
        self.core.state.lock().pid
    }

    /// What it is doing.
    pub fn state(&self) -> EnvironmentState {
        self.view().state
    }

    /// How it looks now. Reads the process's memory.
    pub fn view(&self) -> EnvironmentView {
        let mut state = self.core.state.lock();
        state::read_peak(&mut state);
        EnvironmentView {
            id: self.core.id.to_string(),
            pid: state.pid,
            state: if state.exit.is_some() {
                EnvironmentState::Gone
            } else if state.init.is_none() {
                EnvironmentState::Starting
            } else if !state.running.is_empty() {
                EnvironmentState::Busy
            } else if state.frozen {
                EnvironmentState::Frozen
            } else {
                EnvironmentState::Idle
            },
            running: state
                .running
                .iter()
                .map(|(id, running)| (id.clone(), running.handed_out.map(|(_, deadline)| deadline)))
                .collect(),
            init: state.init,
            peak_rss_kb: state.peak_kb,
            age: self.core.started.elapsed(),
        }
    }

    /// Everything that happened to it, in order.
    pub fn timeline(&self) -> Vec<(Instant, EnvEvent)> {
        self.core.state.lock().timeline.clone()
    }

    /// [`timeline`](Self::timeline) without the times.
    pub fn events(&self) -> Vec<EnvEvent> {
        self.core.state.lock().timeline.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Everything that it wrote so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.core.drain_log();
        self.core.state.lock().log.clone()
    }

    /// Stops it by hand, whatever it is doing. Nothing happens when it is frozen already.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Signal`] when it has no process.
    pub fn freeze(&self) -> Result<(), EmulatorError> {
        self.core.freeze().map_err(|reason| self.signal_error(reason))
    }

    /// Continues it by hand. Nothing happens when it is not frozen.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Signal`] when it has no process.
    pub fn thaw(&self) -> Result<(), EmulatorError> {
        self.core.thaw().map_err(|reason| self.signal_error(reason))
    }

    /// Kills it, as if its machine were lost. Nothing happens when it is gone.
    pub fn kill(&self) {
        self.core.kill();
    }

    /// Waits until it is gone: its exit code and signal. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::NotInTime`] after `within`.
    pub async fn gone(
        &self,
        within: Duration,
    ) -> Result<(Option<i32>, Option<i32>), EmulatorError> {
        let exit = self.core.wait_until(|state| state.exit);
        match tokio::time::timeout(within, exit).await {
            Ok(exit) => Ok((exit.code, exit.signal)),
            Err(_) => Err(EmulatorError::NotInTime {
                function: self.core.function.to_string(),
                what: format!("the end of environment {}", self.core.id),
                within,
                seen: format!("it is {}", self.state()),
            }),
        }
    }

    fn signal_error(&self, reason: String) -> EmulatorError {
        EmulatorError::Signal { environment: self.core.id.to_string(), reason }
    }
}

impl EnvCore {
    /// Starts an environment. One that cannot be started is gone from the beginning, with an
    /// init error that says why.
    pub(super) fn start(
        id: Arc<str>,
        function: Arc<str>,
        config: Arc<FunctionConfig>,
        events: broadcast::Sender<EmulatorEvent>,
    ) -> Arc<Self> {
        let env = Arc::new(Self::new(id, function, config, events));
        if let Err(error) = env.launch() {
            let message = match &env.config.code {
                Code::Process { program, .. } => {
                    format!("cannot start {}: {error}", program.display())
                }
                Code::Package(_) => format!("cannot start the package's `bootstrap`: {error}"),
                Code::InProcess(_) => format!("cannot start its Runtime API: {error}"),
            };
            env.state.lock().init_error = Some(("Runtime.InvalidEntrypoint".to_owned(), message));
            env.exited(Exit { code: None, signal: None });
        }
        env
    }

    fn launch(self: &Arc<Self>) -> std::io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        runtime_api::serve(self.clone(), listener)?;
        match &self.config.code {
            Code::Process { .. } | Code::Package(_) => child::spawn(self, address),
            Code::InProcess(handler) => {
                let mut state = self.state.lock();
                let task = in_process::spawn(self, handler.clone(), address);
                state.task = Some(task);
                self.record(&mut state, EnvEvent::Spawned);
                Ok(())
            }
        }
    }
}
