//! An execution environment that is a child process: its variables, its signals, its end.

use std::{
    ffi::OsString, io, net::SocketAddr, os::unix::process::ExitStatusExt, path::Path,
    process::Stdio, sync::Arc,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    net::unix::pipe,
    process::{Child, Command},
};

use super::state::{EnvCore, Exit, deadline_ms, read_peak};
use crate::{
    config::{Code, FunctionConfig},
    event::EnvEvent,
    log::LogPipe,
    shared::{REGION, SHUTDOWN_TIME},
};

/// Starts the function's program and watches over it. It dies with the returned task's runtime,
/// or by [`EnvCore::kill`].
pub(super) fn spawn(env: &Arc<EnvCore>, runtime_api: SocketAddr) -> io::Result<()> {
    let (watched, pipe, writer) = LogPipe::new()?;
    let mut command = command(&env.config)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).kill_on_drop(true);
    command.envs(variables(&env.config, &env.id, runtime_api));
    command.envs(env.config.env.iter().map(|(key, value)| (key, value)));

    // Under the lock, so that a Runtime API call of a very fast child finds itself on record.
    let mut state = env.state.lock();
    let child = command.spawn()?;
    // The command holds the writing end of the log; while it lives, the log would have no end.
    drop(command);
    state.pid = child.id();
    let _ = env.pipe.set(pipe);
    env.record(&mut state, EnvEvent::Spawned);
    drop(state);
    tokio::spawn(follow(env.clone(), watched));
    tokio::spawn(watch(env.clone(), child));
    Ok(())
}

async fn watch(env: Arc<EnvCore>, mut child: Child) {
    let exit = match child.wait().await {
        Ok(status) => Exit { code: status.code(), signal: status.signal() },
        Err(_) => Exit { code: None, signal: None },
    };
    env.exited(exit);
}

/// Takes lines in as they come, until the environment is gone.
async fn follow(env: Arc<EnvCore>, watched: pipe::Receiver) {
    loop {
        tokio::select! {
            () = env.gone.cancelled() => return,
            readable = watched.readable() => if readable.is_err() { return },
        }
        let Some(pipe) = env.pipe.get() else { return };
        if !pipe.read_watched(&watched, |line| env.push_line(line)) {
            return;
        }
    }
}

/// The program with its arguments, its folder, and what it has of its surroundings.
fn command(config: &FunctionConfig) -> io::Result<Command> {
    match &config.code {
        Code::Process { program, args, current_dir } => {
            let mut command = Command::new(program);
            command.args(args);
            if let Some(dir) = current_dir {
                command.current_dir(dir);
            }
            if !config.inherit_env {
                command.env_clear();
                let kept = ["PATH", "HOME"].map(|key| (key, std::env::var_os(key)));
                command.envs(kept.into_iter().filter_map(|(key, value)| Some((key, value?))));
            }
            let root = program.parent().filter(|folder| !folder.as_os_str().is_empty());
            command.env("LAMBDA_TASK_ROOT", root.unwrap_or(Path::new(".")));
            Ok(command)
        }
        Code::Package(package) => {
            let root = package.folder();
            let mut command = Command::new(root.join("bootstrap"));
            command
                .current_dir(root)
                .env_clear()
                .env("LAMBDA_TASK_ROOT", root)
                .env("LAMBDA_RUNTIME_DIR", "/var/runtime")
                .env("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin");
            Ok(command)
        }
        Code::InProcess(_) => Err(io::Error::other("the function has no program")),
    }
}

fn variables(
    config: &FunctionConfig,
    environment: &str,
    runtime_api: SocketAddr,
) -> Vec<(OsString, OsString)> {
    let init_type = if config.snap_start { "snap-start" } else { "on-demand" };
    let mut vars: Vec<(OsString, OsString)> = vec![
        ("AWS_LAMBDA_RUNTIME_API".into(), runtime_api.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_NAME".into(), config.name.clone().into()),
        ("AWS_LAMBDA_FUNCTION_VERSION".into(), config.version.clone().into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".into(), config.memory_mb.to_string().into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME".into(), format!("/aws/lambda/{}", config.name).into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME".into(), environment.into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE".into(), init_type.into()),
        ("AWS_REGION".into(), REGION.into()),
        ("AWS_DEFAULT_REGION".into(), REGION.into()),
        ("AWS_ACCESS_KEY_ID".into(), "test".into()),
        ("AWS_SECRET_ACCESS_KEY".into(), "test".into()),
        ("AWS_SESSION_TOKEN".into(), "test".into()),
        ("_HANDLER".into(), config.handler.clone().into()),
        ("TZ".into(), ":UTC".into()),
        ("LANG".into(), "en_US.UTF-8".into()),
    ];
    // Lambda leaves it out for OS-only runtimes.
    if !config.runtime.starts_with("provided") {
        vars.push(("AWS_EXECUTION_ENV".into(), format!("AWS_Lambda_{}", config.runtime).into()));
    }
    if config.environment_concurrency > 1 {
        vars.push((
            "AWS_LAMBDA_MAX_CONCURRENCY".into(),
            config.environment_concurrency.to_string().into(),
        ));
    }
    vars
}

impl EnvCore {
    /// Sends `signal` and records `event`, when the process lives. `Err` says why it could not.
    fn signal(&self, signal: Signal, event: EnvEvent) -> Result<(), String> {
        let mut state = self.state.lock();
        // The number is forgotten as soon as the process is collected, under this lock, so that a
        // signal does not go to whoever gets the number next.
        let pid = state.pid.ok_or("it has no process (any more)")?;
        if signal == Signal::SIGKILL {
            state.doomed = true;
            read_peak(&mut state);
        }
        kill(Pid::from_raw(pid.cast_signed()), signal).map_err(|errno| errno.desc().to_owned())?;
        match signal {
            Signal::SIGSTOP => state.frozen = true,
            Signal::SIGCONT => state.frozen = false,
            _ => {}
        }
        self.record(&mut state, event);
        Ok(())
    }

    pub(crate) fn freeze(&self) -> Result<(), String> {
        if self.state.lock().frozen {
            return Ok(());
        }
        self.drain_log();
        self.signal(Signal::SIGSTOP, EnvEvent::Frozen)
    }

    pub(crate) fn thaw(&self) -> Result<(), String> {
        if !self.state.lock().frozen {
            return Ok(());
        }
        self.signal(Signal::SIGCONT, EnvEvent::Thawed)
    }

    /// Asks the process to end, as Lambda does before it takes an environment away: thawed
    /// first, since a stopped process hears nothing.
    pub(crate) fn terminate(&self) {
        self.state.lock().doomed = true;
        self.announce_shutdown();
        if self.abort_task() {
            return;
        }
        // A failure means that it is gone already.
        let _ = self.thaw();
        let _ = self.signal(Signal::SIGTERM, EnvEvent::Terminated);
    }

    /// Kills the process, stopped or not. Nothing happens when it is gone.
    pub(crate) fn kill(&self) {
        if !self.abort_task() {
            let _ = self.signal(Signal::SIGKILL, EnvEvent::Killed);
        }
    }

    fn abort_task(&self) -> bool {
        let mut state = self.state.lock();
        let Some(task) = state.task.take() else {
            return false;
        };
        state.doomed = true;
        task.abort();
        self.record(&mut state, EnvEvent::Killed);
        true
    }

    fn announce_shutdown(&self) {
        for extension in self.state.lock().extensions.values() {
            let _ = extension.sender.send(serde_json::json!({
                "eventType": "SHUTDOWN",
                "shutdownReason": "spindown",
                "deadlineMs": deadline_ms(std::time::SystemTime::now() + SHUTDOWN_TIME),
            }));
        }
    }
}
