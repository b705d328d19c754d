//! An activity for workers that need one to be registered.
#![allow(missing_docs, reason = "the macro makes a constant beside each activity")]

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

/// Activities that do nothing.
#[derive(Debug)]
pub struct Nothing;

#[activities]
impl Nothing {
    #[activity]
    pub async fn nothing(_context: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}
