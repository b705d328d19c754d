//! How the last attempt of a transfer failed. A client repeats requests until its future is dropped,
//! and what is dropped returns nothing: it leaves a note here before each pause.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use crate::s3::error::S3Error;

tokio::task_local! {
    static LAST: RefCell<Option<S3Error>>;
}

/// Notes that an attempt failed and another one follows.
pub(crate) fn note(error: S3Error) {
    // A client that is used without a driver has nobody who would read it.
    let _ = LAST.try_with(|last| last.replace(Some(error)));
}

/// Runs a transfer. If it takes longer than `limit`, the result is how its last attempt failed;
/// `None` if no attempt had ended.
pub(crate) async fn in_time<T>(
    limit: Duration,
    transfer: impl Future<Output = T>,
) -> Result<T, Option<S3Error>> {
    let in_time =
        async { tokio::time::timeout(limit, transfer).await.map_err(|_| LAST.with(RefCell::take)) };
    LAST.scope(RefCell::default(), in_time).await
}
