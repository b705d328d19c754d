//! What a function is made of: its code, its limits, its environment variables.

use std::{ffi::OsString, fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;

use crate::{error::EmulatorError, package::Package};

type HandlerFuture = Pin<Box<dyn Future<Output = Result<Value, Diagnostic>> + Send>>;
pub(crate) type Handler = Arc<dyn Fn(LambdaEvent<Value>) -> HandlerFuture + Send + Sync>;

pub(crate) const LATEST: &str = "$LATEST";

/// Where a function's code runs.
#[derive(Clone)]
pub(crate) enum Code {
    Process {
        program: PathBuf,
        args: Vec<OsString>,
        current_dir: Option<PathBuf>,
    },
    /// `bootstrap` in an unpacked zip, in a bare environment.
    Package(Arc<Package>),
    InProcess(Handler),
}

/// What becomes of `Event` invocations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventPolicy {
    pub(crate) max_retry_attempts: u32,
    pub(crate) max_age: Duration,
}

/// A function, as it would be configured in Lambda. Defaults are Lambda's own unless noted.
///
/// ```
/// use std::time::Duration;
/// use temporal_lambda_emulator::FunctionConfig;
///
/// let config = FunctionConfig::process("worker", "target/debug/my-function")
///     .timeout(Duration::from_secs(15))
///     .memory_mb(512)
///     .env("TEMPORAL_ADDRESS", "127.0.0.1:7233");
/// ```
#[derive(Clone)]
pub struct FunctionConfig {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) description: String,
    pub(crate) role: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) init_timeout: Duration,
    pub(crate) memory_mb: u32,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) inherit_env: bool,
    pub(crate) concurrency: usize,
    pub(crate) environment_concurrency: usize,
    pub(crate) events: EventPolicy,
    pub(crate) event_deliveries: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) throttle_delay: Duration,
    pub(crate) freeze: bool,
    pub(crate) snap_start: bool,
    pub(crate) forward_log: bool,
    pub(crate) code: Code,
}

impl fmt::Debug for FunctionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Environment variables may hold API keys, so only their names are shown.
        let env: Vec<_> = self.env.iter().map(|(key, _)| key).collect();
        f.debug_struct("FunctionConfig")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("timeout", &self.timeout)
            .field("memory_mb", &self.memory_mb)
            .field("concurrency", &self.concurrency)
            .field("env", &env)
            .finish_non_exhaustive()
    }
}

impl FunctionConfig {
    /// A function whose environments are child processes that run `program`.
    pub fn process(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self::new(
            name.into(),
            Code::Process { program: program.into(), args: Vec::new(), current_dir: None },
        )
    }

    /// A function whose environments are tasks of this process that run `handler`.
    ///
    /// The handler is driven over the same Runtime API as a child. An empty or invalid JSON event
    /// reaches it as [`Value::Null`]. It cannot be frozen, and at the timeout it is aborted: its
    /// future is dropped, but threads that it started live on.
    pub fn in_process<F, Fut>(name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(LambdaEvent<Value>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, Diagnostic>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |event| Box::pin(handler(event)));
        Self::new(name.into(), Code::InProcess(handler))
    }

    /// A function whose environments run the `bootstrap` of an unpacked zip.
    pub(crate) fn package(name: String, package: Arc<Package>) -> Self {
        Self::new(name, Code::Package(package))
    }

    fn new(name: String, code: Code) -> Self {
        Self {
            name,
            version: LATEST.to_owned(),
            aliases: Vec::new(),
            runtime: "provided.al2023".to_owned(),
            handler: "bootstrap".to_owned(),
            description: String::new(),
            role: None,
            timeout: Duration::from_secs(3),
            init_timeout: Duration::from_secs(10),
            memory_mb: 128,
            env: Vec::new(),
            inherit_env: false,
            concurrency: 10,
            environment_concurrency: 1,
            events: EventPolicy {
                max_retry_attempts: 2,
                max_age: Duration::from_secs(6 * 60 * 60),
            },
            event_deliveries: 1,
            retry_delay: Duration::from_millis(100),
            throttle_delay: Duration::from_millis(10),
            freeze: true,
            snap_start: false,
            forward_log: false,
            code,
        }
    }

    /// Adds an argument to the program. Nothing happens for an in-process function.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        if let Code::Process { args, .. } = &mut self.code {
            args.push(arg.into());
        }
        self
    }

    /// Adds arguments to the program. Nothing happens for an in-process function.
    #[must_use]
    pub fn args<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, FunctionConfig::arg)
    }

    /// The folder that the program runs in. Default: the emulator's own.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        if let Code::Process { current_dir, .. } = &mut self.code {
            *current_dir = Some(dir.into());
        }
        self
    }

    /// Sets an environment variable of the program, over what Lambda sets.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Sets environment variables of the program, over what Lambda sets.
    #[must_use]
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        vars.into_iter().fold(self, |config, (key, value)| config.env(key, value))
    }

    /// Whether the program inherits the emulator's whole environment. Default: false, so that it
    /// sees only `PATH`, `HOME` and what Lambda and the configuration set.
    #[must_use]
    pub fn inherit_env(mut self, inherit: bool) -> Self {
        self.inherit_env = inherit;
        self
    }

    /// The function's version, `"$LATEST"` (the default) or a number from 1. A function that is
    /// added with a number has this version only, and calls without a qualifier go to it, too.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Adds an alias that the control plane accepts as a qualifier. Default: none.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The runtime's identifier. Default: `provided.al2023`. For others, as in Lambda, the program
    /// is also given `AWS_EXECUTION_ENV`.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.runtime = runtime.into();
        self
    }

    /// How long one invocation may take. Default: 3 s. At most 15 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long init may take, from spawn to the first `/next`. Default: 10 s.
    ///
    /// Unlike Lambda, which runs init once more within the invocation, a failed init ends the
    /// invocation as [`Outcome::InitFailed`](super::Outcome::InitFailed).
    #[must_use]
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = timeout;
        self
    }

    /// The memory size that the function is told, in MB. Default: 128. It is not enforced.
    #[must_use]
    pub fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// How many execution environments there may be at once. Default: 10 (Lambda: 1000 for a
    /// whole account).
    #[must_use]
    pub fn concurrency(mut self, environments: usize) -> Self {
        self.concurrency = environments;
        self
    }

    /// How many events one environment may have at once. Default: 1. More tells the program
    /// `AWS_LAMBDA_MAX_CONCURRENCY`, as Lambda Managed Instances do, and turns freezing off.
    #[must_use]
    pub fn environment_concurrency(mut self, events: usize) -> Self {
        self.environment_concurrency = events;
        self
    }

    /// How often a failed `Event` invocation is tried again. Default: 2.
    #[must_use]
    pub fn max_retry_attempts(mut self, attempts: u32) -> Self {
        self.events.max_retry_attempts = attempts;
        self
    }

    /// How old an `Event` invocation may become before it is dropped: it waits for a free
    /// environment, or for a retry. Default: 6 hours.
    #[must_use]
    pub fn max_event_age(mut self, age: Duration) -> Self {
        self.events.max_age = age;
        self
    }

    /// How long to wait before the first retry; before the second twice as long, and so on.
    /// Default: 100 ms, where Lambda waits a minute, so that tests need not.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// How often every `Event` invocation that succeeds is delivered, with the same request ID.
    /// Default: 1. Lambda promises no more than "at least once".
    #[must_use]
    pub fn event_deliveries(mut self, deliveries: u32) -> Self {
        self.event_deliveries = deliveries;
        self
    }

    /// How long an `Event` invocation that finds all environments busy waits before it is tried again;
    /// after each throttled attempt twice as long, up to 300 times as long. Default: 10 ms, where Lambda
    /// waits 1 s and up to 5 minutes, so that tests need not.
    #[must_use]
    pub fn throttle_delay(mut self, delay: Duration) -> Self {
        self.throttle_delay = delay;
        self
    }

    /// Whether an idle child is stopped (SIGSTOP) until its next event. Default: true, as in
    /// Lambda. In-process functions are never frozen.
    #[must_use]
    pub fn freeze(mut self, freeze: bool) -> Self {
        self.freeze = freeze;
        self
    }

    /// Whether the program is told that it was initialised for SnapStart
    /// (`AWS_LAMBDA_INITIALIZATION_TYPE=snap-start`). Default: false. `/restore/next` answers at
    /// once: no snapshot is taken.
    #[must_use]
    pub fn snap_start(mut self, snap_start: bool) -> Self {
        self.snap_start = snap_start;
        self
    }

    /// Whether the program's lines are also written to this process's stderr. Default: false.
    #[must_use]
    pub fn forward_log(mut self, forward: bool) -> Self {
        self.forward_log = forward;
        self
    }

    pub(crate) fn freezes(&self) -> bool {
        self.freeze && self.environment_concurrency == 1 && !matches!(self.code, Code::InProcess(_))
    }

    /// The version's number; `None` for `$LATEST`.
    pub(crate) fn number(&self) -> Option<u64> {
        self.version.parse().ok().filter(|number| *number > 0)
    }

    pub(crate) fn validate(&self) -> Result<(), EmulatorError> {
        let longest = Duration::from_secs(15 * 60);
        let reason = if self.name.is_empty()
            || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            "a function's name is letters, digits, `-` and `_`; rename it"
        } else if self.version != LATEST && self.number().is_none() {
            "a version is `$LATEST` or a number from 1; change `version`"
        } else if self.timeout.is_zero() || self.timeout > longest {
            "the timeout must be more than zero and at most 15 minutes; change `timeout`"
        } else if self.concurrency == 0 || self.environment_concurrency == 0 {
            "it could never run; set `concurrency` and `environment_concurrency` to at least 1"
        } else {
            return Ok(());
        };
        Err(EmulatorError::InvalidConfig { function: self.name.clone(), reason: reason.to_owned() })
    }
}
