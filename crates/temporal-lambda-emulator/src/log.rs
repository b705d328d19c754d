//! What an environment writes: lines, and the pipe that its stdout and stderr both go to.

use std::{
    io::{self, PipeReader, PipeWriter, Read},
    os::fd::OwnedFd,
    time::SystemTime,
};

use parking_lot::Mutex;
use tokio::net::unix::pipe;

/// A line that an execution environment wrote to stdout or stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the emulator read it.
    pub at: SystemTime,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The reading end, readable at any moment without waiting: so that lines written before an
/// answer are on record when the answer is.
#[derive(Debug)]
pub(crate) struct LogPipe {
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
    pub(crate) fn new() -> io::Result<(pipe::Receiver, Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        // Both readers are one open file, so making the watched one non-blocking makes both so.
        let watched = pipe::Receiver::from_owned_fd(OwnedFd::from(reader.try_clone()?))?;
        let direct = Mutex::new(Direct { reader: Some(reader), partial: Vec::new() });
        Ok((watched, Self { direct }, writer))
    }

    /// Reads what is there, without waiting, and gives each whole line to `push`, in order.
    pub(crate) fn drain(&self, push: impl FnMut(String)) {
        self.direct.lock().drain(push);
    }

    /// Reads what is there, and nothing any more: what else holds the writing end is not the
    /// environment.
    pub(crate) fn close(&self, mut push: impl FnMut(String)) {
        let mut direct = self.direct.lock();
        direct.drain(&mut push);
        direct.finish(push);
        direct.reader = None;
    }

    /// Reads what is there, through the watched end until it would block: that is what makes it wait
    /// again. Says whether there may be more later.
    pub(crate) fn read_watched(
        &self,
        watched: &pipe::Receiver,
        mut push: impl FnMut(String),
    ) -> bool {
        let mut direct = self.direct.lock();
        let mut buffer = [0; 8192];
        loop {
            match watched.try_read(&mut buffer) {
                Ok(0) => {
                    direct.finish(push);
                    return false;
                }
                Ok(n) => direct.take(&buffer[..n], &mut push),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

impl Direct {
    fn drain(&mut self, mut push: impl FnMut(String)) {
        let mut buffer = [0; 8192];
        loop {
            let Some(reader) = &mut self.reader else {
                return;
            };
            match reader.read(&mut buffer) {
                Ok(0) => return self.finish(push),
                Ok(n) => self.take(&buffer[..n], &mut push),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], mut push: impl FnMut(String)) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            push(line.trim_end_matches('\r').to_owned());
        }
    }

    fn finish(&mut self, mut push: impl FnMut(String)) {
        if !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            push(String::from_utf8_lossy(&rest).into_owned());
        }
    }
}
