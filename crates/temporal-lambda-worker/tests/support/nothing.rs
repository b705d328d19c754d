//! An activity for workers that need one to be registered.

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

pub(crate) struct Nothing;

#[activities]
impl Nothing {
    #[activity]
    #[allow(dead_code, reason = "the macro makes a constant for workflows to call by")]
    pub(crate) async fn nothing(_context: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}
