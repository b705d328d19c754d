//! An activity for workers that need one to be registered.

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

/// Activities that do nothing.
#[derive(Debug)]
pub struct Nothing;

#[activities]
#[allow(missing_docs, reason = "the macro makes a constant beside each activity")]
impl Nothing {
    #[activity]
    pub async fn nothing(_context: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}
