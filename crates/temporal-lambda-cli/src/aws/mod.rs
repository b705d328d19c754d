//! AWS as far as a deployment needs it: Lambda and CloudWatch Logs, by small signed requests. AWS's own SDK asks
//! for a newer Rust than this workspace, and brings a second provider of TLS.

mod action;
mod client;
mod credentials;
mod denied;
mod error;
mod function;
mod http;
mod lambda;
mod logs;
mod said;

pub(crate) use self::client::{Aws, AwsArgs, LOCAL_PORT};
pub(crate) use self::error::AwsError;
pub(crate) use self::function::{
    Configuration, Function, HANDLER, NewFunction, RUNTIME, Update, Variables,
};
