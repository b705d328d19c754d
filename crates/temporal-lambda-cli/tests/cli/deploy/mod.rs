//! `deploy`, `rollback`, `status` and `prune`, from a package to traffic: a real server whose Worker Controller calls
//! what was deployed to the Lambda emulator.

mod cloud;
mod interrupted;
mod life;
mod moto;
mod policy;
mod source;
