//! Lambda's side: the handler, `run_worker`, and the code before and after `lambda_runtime`, which keeps any
//! event from ending the process.

pub mod check;
mod event;
mod handler;
mod load;
mod payload;
mod poison;
mod run;
mod runtime_api;

pub use handler::{LambdaWorkerHandler, LambdaWorkerHandlerBuilder};
pub use poison::{POISONED_EXIT_CODE, PoisonLayer, PoisonService};
pub use run::{WorkerFunction, run_worker};
