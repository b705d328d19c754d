//! Writing scripts: what an RPC does instead of its usual answer, and how many times.

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use super::{
    mock::MockFrontend,
    rpc::Rpc,
    scripts::{Action, Entry, Step},
};

impl MockFrontend {
    /// Begins a script for one RPC: choose what it does, then how many times.
    ///
    /// ```
    /// # use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
    /// # use temporalio_client::tonic::Code;
    /// # use std::time::Duration;
    /// let frontend = MockFrontend::new();
    /// // The first poll as usual, the next two fail, the fourth is cut, then as usual again.
    /// frontend.on(Rpc::PollWorkflowTaskQueue).fail(Code::Internal, "oh no").times(2).after(1);
    /// frontend.on(Rpc::PollWorkflowTaskQueue).drop_connection();
    /// // Every heartbeat is answered half a second late.
    /// frontend.on(Rpc::RecordWorkerHeartbeat).delay(Duration::from_millis(500)).always();
    /// ```
    ///
    /// Scripts of one RPC are used up in the order in which they were written. A script starts at
    /// the next call; calls that are already in flight go on as they were.
    pub fn on(&self, rpc: Rpc) -> On<'_> {
        On { frontend: self, rpc }
    }

    /// Forgets the scripts of one RPC. A call that hangs by one of them goes on hanging.
    pub fn clear_scripts(&self, rpc: &Rpc) {
        self.update(|state| state.scripts.clear(rpc));
    }
}

/// An RPC that is about to get a script; see [`MockFrontend::on`].
#[derive(Debug)]
#[must_use = "nothing is scripted until it is said what the RPC does"]
pub struct On<'a> {
    frontend: &'a MockFrontend,
    rpc: Rpc,
}

impl<'a> On<'a> {
    /// Answers with this message.
    pub fn answer(self, message: impl Message) -> Scripted<'a> {
        self.act(Action::Answer(Ok(message.encode_to_vec())), Duration::ZERO)
    }

    /// Answers as usual, `delay` later. The caller's own deadline goes on running.
    pub fn delay(self, delay: Duration) -> Scripted<'a> {
        self.act(Action::Usual, delay)
    }

    /// Never answers. The call ends with the caller's deadline, as `CANCELLED` with the message
    /// `Timeout expired`, which is what the SDK's own channel makes of it.
    pub fn hang(self) -> Scripted<'a> {
        self.act(Action::Hang, Duration::ZERO)
    }

    /// Loses the connection instead of answering: in process an `UNAVAILABLE` status, over
    /// loopback the TCP connection is closed, with every other call that it carried.
    pub fn drop_connection(self) -> Scripted<'a> {
        self.act(Action::Cut, Duration::ZERO)
    }

    /// Fails with this status.
    pub fn fail(self, code: Code, message: impl Into<String>) -> Scripted<'a> {
        self.act(Action::Answer(Err(Status::new(code, message))), Duration::ZERO)
    }

    /// Answers with bytes that are no message of any type. The SDK sees `INTERNAL`.
    pub fn malformed(self) -> Scripted<'a> {
        self.act(Action::Malformed, Duration::ZERO)
    }

    /// Answers as usual. For the calls between two others in a longer script.
    pub fn usual(self) -> Scripted<'a> {
        self.act(Action::Usual, Duration::ZERO)
    }

    fn act(self, action: Action, delay: Duration) -> Scripted<'a> {
        let Self { frontend, rpc } = self;
        let id = frontend.update(|state| state.scripts.add(rpc.clone(), Step { delay, action }));
        Scripted { frontend, rpc, id }
    }
}

/// A script that is in force, for one call unless told otherwise.
#[derive(Debug)]
pub struct Scripted<'a> {
    frontend: &'a MockFrontend,
    rpc: Rpc,
    id: u64,
}

impl Scripted<'_> {
    /// For this many calls.
    pub fn times(self, calls: usize) -> Self {
        self.change(|entry| entry.left = Some(calls))
    }

    /// For every call. Scripts written later for the same RPC are never reached.
    pub fn always(self) -> Self {
        self.change(|entry| entry.left = None)
    }

    /// Lets this many calls go by, answered as usual, before the script starts. They are counted
    /// from when the scripts before this one are used up.
    pub fn after(self, calls: usize) -> Self {
        self.change(|entry| entry.skip = calls)
    }

    /// Does it this much later than the call came in.
    pub fn delayed_by(self, delay: Duration) -> Self {
        self.change(|entry| entry.step.delay = delay)
    }

    fn change(self, change: impl FnOnce(&mut Entry)) -> Self {
        self.frontend.update(|state| state.scripts.change(&self.rpc, self.id, change));
        self
    }
}
