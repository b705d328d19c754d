//! One dev server for all tests of a process.

use std::{
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use temporal_lambda_testkit::server::DevServer;

/// A server that ends with this process.
#[derive(Debug)]
pub struct Shared {
    address: String,
    _watchdog: Child,
}

impl Shared {
    /// Where the frontend answers: `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// The server, started by whoever asks first. Tests keep apart by deployment and task queue.
///
/// It has a thread and a runtime of its own, since each test's runtime ends with the test.
///
/// # Panics
/// When it cannot be started.
pub fn shared() -> &'static Shared {
    static SERVER: OnceLock<Shared> = OnceLock::new();
    SERVER.get_or_init(|| std::thread::spawn(start).join().expect("the dev server starts"))
}

fn start() -> Shared {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let server = runtime.block_on(DevServer::start()).expect("the dev server starts");
    let address = server.address();
    let watchdog = watchdog(server.pid()).expect("sh starts");
    // Neither is ever dropped: the server has to outlive this thread.
    std::mem::forget((runtime, server));
    Shared { address, _watchdog: watchdog }
}

/// Ends the server once this process is gone: statics are never dropped, so nobody else would. The
/// shell's `read` ends when the pipe closes, however this process ended.
fn watchdog(server: u32) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", "read _; kill \"$1\"", "watchdog", &server.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
