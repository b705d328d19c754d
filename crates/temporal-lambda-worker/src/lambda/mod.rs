//! Lambda's side: the two ways in, and what a function must know before and after `lambda_runtime`.

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
