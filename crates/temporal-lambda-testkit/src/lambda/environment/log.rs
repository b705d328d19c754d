//! The pipe that an environment's stdout and stderr both go to.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
};

use tokio::net::unix::pipe;

use super::state::EnvCore;
use crate::lambda::lock;

/// The reading end, readable at any moment without waiting: so that lines written before an
/// answer are on record when the answer is.
#[derive(Debug)]
pub(in crate::lambda) struct LogPipe {
    direct: Mutex<Direct>,
}

#[derive(Debug)]
struct Direct {
    /// `None` once the environment is gone: its record is kept, its file descriptor is not.
    reader: Option<PipeReader>,
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl LogPipe {
    /// A pipe: the end to watch, the end to read, the end to write.
    pub(super) fn new() -> io::Result<(pipe::Receiver, Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        // Both readers are one open file, so making the watched one non-blocking makes both so.
        let watched = pipe::Receiver::from_owned_fd(OwnedFd::from(reader.try_clone()?))?;
        let direct = Mutex::new(Direct { reader: Some(reader), partial: Vec::new() });
        Ok((watched, Self { direct }, writer))
    }

    /// Reads what is there, without waiting.
    pub(super) fn drain(&self, env: &EnvCore) {
        let mut direct = lock(&self.direct);
        let mut buffer = [0; 8192];
        loop {
            let Some(reader) = &mut direct.reader else {
                return;
            };
            match reader.read(&mut buffer) {
                Ok(0) => return direct.finish(env),
                Ok(n) => direct.take(&buffer[..n], env),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Reads what is there, and nothing any more: what else holds the writing end is not the
    /// environment.
    pub(super) fn close(&self, env: &EnvCore) {
        self.drain(env);
        let mut direct = lock(&self.direct);
        direct.finish(env);
        direct.reader = None;
    }
}

impl Direct {
    fn take(&mut self, bytes: &[u8], env: &EnvCore) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            env.push_line(line.trim_end_matches('\r').to_owned());
        }
    }

    fn finish(&mut self, env: &EnvCore) {
        if !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            env.push_line(String::from_utf8_lossy(&rest).into_owned());
        }
    }
}

/// Takes lines in as they come, until the environment is gone.
pub(super) async fn follow(env: Arc<EnvCore>, watched: pipe::Receiver) {
    let mut buffer = [0; 8192];
    loop {
        tokio::select! {
            () = env.gone.cancelled() => return,
            readable = watched.readable() => if readable.is_err() { return },
        }
        let Some(pipe) = env.pipe.get() else { return };
        let mut direct = lock(&pipe.direct);
        // Reading through the watched end until it would block is what makes it wait again.
        loop {
            match watched.try_read(&mut buffer) {
                Ok(0) => return direct.finish(&env),
                Ok(n) => direct.take(&buffer[..n], &env),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return,
            }
        }
    }
}
