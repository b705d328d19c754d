//! The implementation of [`Temporal`] by the SDK.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use temporalio_common::telemetry::TelemetryOptions;
use temporalio_sdk::Runtime;
use temporalio_sdk::runtime::RuntimeOptions;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::diagnosis::Memory;
use super::worker::{Plan, SdkWorker};
use super::{Launched, Ports, Temporal};
use crate::config::LambdaWorkerConfig;
use crate::connection::{ChannelCache, Link, Request};
use crate::error::{ConfigError, Fault};

/// The SDK's runtime and the channel to the server, which are kept from one invocation to the next.
pub(crate) struct Sdk {
    threads: Handle,
    runtime: Mutex<Option<Arc<Runtime>>>,
    channels: ChannelCache,
    memory: Memory,
}

impl Sdk {
    pub(crate) fn new(threads: Handle) -> Self {
        let (channels, memory) = (ChannelCache::default(), Memory::default());
        Self { threads, runtime: Mutex::default(), channels, memory }
    }

    /// The SDK's runtime: telemetry and the heartbeat interval. Made once per environment; one
    /// per invocation would start exporters and threads each time.
    fn runtime(&self, config: &LambdaWorkerConfig) -> Result<Arc<Runtime>, Fault> {
        let mut slot = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            return Ok(runtime.clone());
        }
        // No logger of the SDK's own: its events go to the process's subscriber.
        let telemetry = TelemetryOptions::builder()
            .maybe_metrics(config.telemetry.core_meter.clone())
            // It is the resource that says whose metrics they are.
            .attach_service_name(false)
            .build();
        let options = RuntimeOptions::builder()
            .heartbeat_interval(config.worker_heartbeat_interval)
            .telemetry_options(telemetry)
            .build()
            .map_err(|reason| ConfigError::Profile { reason })?;
        let _threads = self.threads.enter();
        let runtime = Runtime::from_current_tokio(options)
            .map_err(|error| Fault::WorkerCreation { reason: error.to_string() })?;
        Ok(slot.insert(Arc::new(runtime)).clone())
    }
}

impl Temporal for Sdk {
    fn connect(&self, config: &LambdaWorkerConfig) -> BoxFuture<'static, Result<Link, Fault>> {
        let connect = self.channels.clone().connect(Request::of(config));
        // The channel's own tasks run on the runtime on which it is made.
        let connecting = AbortOnDropHandle::new(self.threads.spawn(connect.in_current_span()));
        let panicked = |error: JoinError| {
            Err(Fault::Panicked { place: "connecting", message: error.to_string() })
        };
        connecting.map(move |connected| connected.unwrap_or_else(panicked)).boxed()
    }

    fn launch(&self, link: &Link, config: &LambdaWorkerConfig, ports: Ports) -> Box<dyn Launched> {
        let plan = Plan {
            memory: self.memory.clone(),
            runtime: self.runtime(config),
            idle_timeout: config.idle_timeout,
            worker_options: config.worker_options.clone(),
            client_options: config.client_options.clone(),
            connection_options: config.connection_options.clone(),
            last_plugin: config.last_plugin.clone(),
        };
        Box::new(SdkWorker::launch(&self.threads, link.clone(), plan, ports))
    }

    fn forget(&self) {
        self.channels.forget();
    }
}
