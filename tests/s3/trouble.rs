//! S3 that is down, slow or empty: what becomes of the tasks.
