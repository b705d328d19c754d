//! The SDK's plugins: they run as with `Client::connect` and `Worker::new`. A plugin of this crate runs after
//! them, so that no plugin changes what the crate guarantees.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use temporalio_client::callback_based::{CallbackBasedGrpcService, GrpcSuccessResponse};
use temporalio_client::errors::ClientConnectError;
use temporalio_client::{
    Client, ClientOptions, ClientPlugin, ConnectionOptions, PluginApplyError, PluginError,
};
use temporalio_sdk::{ClientAndWorkerPlugin, WorkerOptions, WorkerPlugin};

use super::LambdaWorkerConfig;
use crate::error::ConfigError;

/// Sets worker options after all plugins have run.
type LastWord = Box<dyn FnOnce(&mut WorkerOptions) + Send>;

/// The plugin that runs after the user's. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LastPlugin(Arc<Mutex<Slots>>);

#[derive(Default)]
struct Slots {
    /// The connection options after the user's plugins.
    connection: Option<ConnectionOptions>,
    last_word: Option<LastWord>,
}

impl LambdaWorkerConfig {
    /// Runs the plugins of the client options on the connection options and on the client options,
    /// as `Client::connect` does. Those for workers run when the worker is made.
    ///
    /// Runs them once, also if it is called again.
    pub(crate) async fn run_plugins(&mut self) -> Result<(), ConfigError> {
        if self.client_options.plugins().is_empty() || self.last_plugin.is_some() {
            return Ok(());
        }
        let last = LastPlugin::default();
        let client_options = ClientOptions::new(self.client_options.namespace.clone())
            .plugins(self.client_options.plugins().to_vec())
            .plugin(ClientAndWorkerPlugin::new(last.clone()))
            .data_converter(self.client_options.data_converter.clone())
            .client_interceptors(self.client_options.client_interceptors.clone())
            .build();
        // The last plugin replaces the connection options, so that this dials nothing.
        let client = Client::connect(self.connection_options.clone(), client_options).await;
        let client = client.map_err(|error| match error {
            ClientConnectError::Plugin(error) => refused(error),
            other => ConfigError::Profile { reason: other.to_string() },
        })?;
        if let Some(connection_options) = last.slots().connection.take() {
            self.connection_options = connection_options;
        }
        self.client_options = client.options().clone();
        self.last_plugin = Some(last);
        Ok(())
    }
}

impl LastPlugin {
    /// Calls `last_word` on the next worker's options after all plugins have run.
    pub(crate) fn decide(&self, last_word: impl FnOnce(&mut WorkerOptions) + Send + 'static) {
        self.slots().last_word = Some(Box::new(last_word));
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NAME: &str = "temporal-lambda-worker";

impl ClientPlugin for LastPlugin {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_connection_options(
        &self,
        options: &mut ConnectionOptions,
    ) -> Result<(), PluginError> {
        let nowhere = CallbackBasedGrpcService {
            callback: Arc::new(|_| {
                let answer = GrpcSuccessResponse { headers: Default::default(), proto: Vec::new() };
                Box::pin(async { Ok(answer) })
            }),
        };
        let bare = ConnectionOptions::new(options.target.clone())
            .service_override(nowhere)
            .dns_load_balancing(None)
            .build();
        self.slots().connection = Some(std::mem::replace(options, bare));
        Ok(())
    }
}

impl WorkerPlugin for LastPlugin {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_worker_options(&self, options: &mut WorkerOptions) -> Result<(), PluginError> {
        let last_word = self.slots().last_word.take();
        if let Some(decide) = last_word {
            decide(options);
        }
        Ok(())
    }
}

fn refused(error: PluginApplyError) -> ConfigError {
    ConfigError::Plugin {
        plugin: error.plugin_name,
        target: error.target.to_string(),
        source: error.source.into(),
    }
}
