//! A mock Temporal frontend: for the states that a real server cannot be made to show.
//!
//! [`MockFrontend`] speaks the part of Temporal's gRPC API that a worker uses. Unscripted it is a
//! plausible server: it knows the namespace `default`, hands out workflow and activity tasks, and
//! keeps each workflow's history. Scripts make single RPCs fail, hang, come late, come malformed, or
//! lose their connection.
//!
//! There are two ways in:
//!
//! - [`MockFrontend::service`] (or [`MockFrontend::connection_options`]): in process, no socket.
//!   It only uses tokio's clock, so it works under `#[tokio::test(start_paused = true)]`. Mind that
//!   a paused clock runs ahead of work that it does not see, and that a worker has a thread of its
//!   own for workflows: pause the clock for connections and activities, not for workflows.
//! - [`MockFrontend::serve`] and [`MockFrontend::serve_tls`]: the same frontend as real gRPC over
//!   the loopback interface. Do not use it with a paused clock, which runs ahead of sockets.
//!
//! ```
//! use temporal_lambda_testkit::frontend::{MockFrontend, Rpc};
//! use temporalio_client::{Connection, tonic::Code};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let frontend = MockFrontend::new();
//! frontend.on(Rpc::GetSystemInfo).fail(Code::Unavailable, "not yet").times(2);
//!
//! // The first two attempts fail; from then on the frontend answers as usual.
//! assert!(Connection::connect(frontend.connection_options()).await.is_err());
//! assert!(Connection::connect(frontend.connection_options()).await.is_err());
//! assert!(Connection::connect(frontend.connection_options()).await.is_ok());
//! assert_eq!(frontend.count(Rpc::GetSystemInfo), 3);
//! # Ok(())
//! # }
//! ```
//!
//! Give a worker something to do with [`MockFrontend::start_workflow`] or
//! [`MockFrontend::schedule_activity`], then look at what came of it with
//! [`MockFrontend::workflow_result`], [`MockFrontend::activity_attempts`] and
//! [`MockFrontend::seen`].
//!
//! # What it does as server 1.32.0 does
//!
//! - A long poll without a task is answered 1 s before its own deadline (`grpc-timeout`), after 60 s
//!   at the latest. One that asks for 2 s or less is refused with `FAILED_PRECONDITION`, one without
//!   a deadline with `INVALID_ARGUMENT`.
//! - `ShutdownWorker` ends the polls on the sticky queue that it names, and leaves others alone, unless
//!   [`MockFrontend::end_polls_at_shutdown`].
//! - An activity can only be canceled when the test has asked for that: any other
//!   `RespondActivityTaskCanceled` is refused with `INVALID_ARGUMENT`, and the worker still has the
//!   task.
//! - The next attempt of an activity gets the details of its last heartbeat, or those that came with
//!   its failure.
//!
//! # What it does not do
//!
//! - Every task comes with its whole history, on the normal queue; sticky queues stay empty.
//! - Tasks go to whoever polls: deployment versions are recorded, never used for routing.
//! - Tasks do not time out, and only its policy ends an activity's retries.
//! - Its workflows have activities, timers and local activities, and no more: no signals, queries,
//!   updates, cancellation, child workflows, continue-as-new or Nexus. A workflow that sends a command
//!   which the frontend does not support fails at once, with a message that names the command. Clients
//!   can start workflows and no more. Test workflow logic on a dev server,
//!   `DevServer`.

mod calls;
mod engine;
mod error;
mod mock;
mod model;
mod recorder;
mod rpc;
mod script;
mod scripts;
mod service;
mod settings;
mod setup;
mod state;
mod transport;
mod work;

pub use calls::{DeploymentVersion, RecordedCall};
pub use error::FrontendError;
pub use mock::MockFrontend;
pub use model::{ActivityStart, ActivityStatus, WorkflowStart, WorkflowStatus};
pub use recorder::DEFAULT_WAIT;
pub use rpc::Rpc;
pub use script::{On, Scripted};
pub use transport::{MockTls, ServedFrontend};
