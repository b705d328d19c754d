//! The Lambda-tuned defaults. They are the numbers that the other SDKs' Lambda workers share.

use std::time::Duration;

use temporalio_common::worker::VersioningBehavior;

/// Activities at a time: 2.
pub const MAX_CONCURRENT_ACTIVITIES: usize = 2;
/// Workflow tasks at a time: 10.
pub const MAX_CONCURRENT_WORKFLOW_TASKS: usize = 10;
/// Local activities at a time: 2.
pub const MAX_CONCURRENT_LOCAL_ACTIVITIES: usize = 2;
/// Nexus tasks at a time: 5. The SDK's worker cannot serve Nexus yet; the slots are reserved.
pub const MAX_CONCURRENT_NEXUS_TASKS: usize = 5;
/// Polls for workflow tasks at a time, at most: 2, the least that a worker with a cache may have.
pub const WORKFLOW_TASK_POLLERS: usize = 2;
/// Polls for activity tasks at a time, at most: 1.
pub const ACTIVITY_TASK_POLLERS: usize = 1;
/// Polls for Nexus tasks at a time, at most: 1.
pub const NEXUS_TASK_POLLERS: usize = 1;
/// Workflows kept in memory: 30.
pub const MAX_CACHED_WORKFLOWS: usize = 30;
/// How long activities may go on after polling has stopped: 5 s.
pub const GRACEFUL_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// What workflows do when a new version is deployed: stay on their version.
pub const VERSIONING_BEHAVIOR: VersioningBehavior = VersioningBehavior::Pinned;
/// With an idle timeout, the least time that the worker polls: 1 s. An invocation that the server
/// started for a task gets the task within about 0.2 s; the rest allows for a slow network.
pub const MINIMUM_STAY: Duration = Duration::from_secs(1);
/// How old a kept connection may become, by wall clock: 340 s. Load balancers in front of Temporal
/// drop connections that were silent for 350 s.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(340);
/// How long one attempt to connect may take: 10 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
