//! Who may call, and which namespaces there are.

use super::{MockFrontend, Rpc, dispatch::Call, polls, state::State};
use prost::Message;
use std::time::Duration;
use temporalio_common::protos::temporal::api::{
    enums::v1::NamespaceState,
    namespace::v1::{NamespaceInfo, namespace_info},
    workflowservice::v1::{
        DescribeNamespaceResponse, GetSystemInfoResponse, get_system_info_response,
    },
};
use tonic::Status;
use uuid::Uuid;

/// The version that the frontend claims: that of the server whose behavior it follows.
const SERVER_VERSION: &str = "1.32.0";

/// What the frontend knows before the first call.
pub(crate) struct Settings {
    /// Names and ids of the namespaces.
    namespaces: Vec<(String, String)>,
    api_key: Option<String>,
    denied: bool,
    system: get_system_info_response::Capabilities,
    namespace: namespace_info::Capabilities,
    /// How long a poll without a task lasts at most.
    pub(crate) long_poll: Duration,
    pub(crate) task_timeouts: bool,
}

impl MockFrontend {
    /// Adds a namespace, next to `default`. Calls for any other are answered with `NOT_FOUND`.
    pub fn namespace(&self, name: impl Into<String>) -> &Self {
        let entry = (name.into(), Uuid::new_v4().to_string());
        self.update(|state| state.settings.namespaces.push(entry));
        self
    }

    /// Forgets a namespace; `default` too.
    pub fn remove_namespace(&self, name: &str) -> &Self {
        self.update(|state| state.settings.namespaces.retain(|(known, _)| known != name));
        self
    }

    /// Asks for `authorization: Bearer <key>` from now on; without it a call is answered with
    /// `UNAUTHENTICATED`. The key replaces an earlier one.
    pub fn require_api_key(&self, key: impl Into<String>) -> &Self {
        self.update(|state| state.settings.api_key = Some(key.into()));
        self
    }

    /// Answers every call with `PERMISSION_DENIED` from now on, but for `GetSystemInfo`: a server
    /// lets everyone ask that, so a worker connects well and is refused at its first real call.
    pub fn permission_denied(&self) -> &Self {
        self.update(|state| state.settings.denied = true);
        self
    }

    /// Takes back [`MockFrontend::permission_denied`].
    pub fn permission_granted(&self) -> &Self {
        self.update(|state| state.settings.denied = false);
        self
    }

    /// What `GetSystemInfo` answers. Default: everything that a 1.32 server can do and a worker
    /// asks about.
    pub fn system_capabilities(
        &self,
        capabilities: get_system_info_response::Capabilities,
    ) -> &Self {
        self.update(|state| state.settings.system = capabilities);
        self
    }

    /// What `DescribeNamespace` says that namespaces can do. The default includes worker
    /// heartbeats, and leaves out poller autoscaling's auto-enrollment, worker commands and
    /// completion pagination. `worker_poll_complete_on_shutdown` is also done; see
    /// [`MockFrontend::end_polls_at_shutdown`].
    pub fn namespace_capabilities(&self, capabilities: namespace_info::Capabilities) -> &Self {
        self.update(|state| state.settings.namespace = capabilities);
        self
    }

    /// Ends a worker's long polls when it calls `ShutdownWorker`, and says so in `DescribeNamespace`
    /// (`worker_poll_complete_on_shutdown`). Default off, as on a server where
    /// `frontend.enableCancelWorkerPollsOnShutdown` is not set: a worker that leaves waits for its
    /// polls, or drops them.
    pub fn end_polls_at_shutdown(&self) -> &Self {
        self.update(|state| state.settings.namespace.worker_poll_complete_on_shutdown = true);
        self
    }

    /// After how long a poll without a task is answered with an empty response, if that is sooner
    /// than 1 s before the poll's own deadline. Default: 60 s, as on a server. Counts for polls that
    /// begin from now on.
    pub fn long_poll_timeout(&self, timeout: Duration) -> &Self {
        self.update(|state| state.settings.long_poll = timeout);
        self
    }

    /// Lets tasks time out as on a server: workflow tasks after 10 s, activities after their
    /// start-to-close and heartbeat timeouts. Default off, because a paused clock runs ahead of
    /// work that it cannot see. Counts for tasks handed out from now on.
    pub fn enforce_task_timeouts(&self) -> &Self {
        self.update(|state| state.settings.task_timeouts = true);
        self
    }
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            namespaces: vec![("default".to_owned(), Uuid::new_v4().to_string())],
            api_key: None,
            denied: false,
            system: get_system_info_response::Capabilities {
                signal_and_query_header: true,
                internal_error_differentiation: true,
                activity_failure_include_heartbeat: true,
                supports_schedules: true,
                encoded_failure_attributes: true,
                build_id_based_versioning: true,
                upsert_memo: true,
                eager_workflow_start: true,
                sdk_metadata: true,
                count_group_by_execution_status: true,
                nexus: true,
                ..Default::default()
            },
            namespace: namespace_info::Capabilities {
                eager_workflow_start: true,
                sync_update: true,
                async_update: true,
                worker_heartbeats: true,
                poller_autoscaling: true,
                ..Default::default()
            },
            long_poll: polls::LONGEST,
            task_timeouts: false,
        }
    }

    /// Whether `ShutdownWorker` ends the worker's polls: what the namespace says is what is done.
    pub(crate) fn ends_polls_at_shutdown(&self) -> bool {
        self.namespace.worker_poll_complete_on_shutdown
    }

    /// Refuses a call without the right credentials.
    pub(crate) fn authorize(&self, call: &Call) -> Result<(), Status> {
        if let Some(key) = &self.api_key {
            let given = call
                .headers
                .get(http::header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.strip_prefix("Bearer "));
            match given {
                Some(given) if given == key => {}
                Some(_) => {
                    return Err(Status::unauthenticated("Request unauthenticated: wrong API key."));
                }
                None => {
                    return Err(Status::unauthenticated("Request unauthenticated: no API key."));
                }
            }
        }
        if self.denied && call.rpc != Rpc::GetSystemInfo {
            return Err(Status::permission_denied("Request unauthorized."));
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn system_info(&self) -> Vec<u8> {
        GetSystemInfoResponse {
            server_version: SERVER_VERSION.to_owned(),
            capabilities: Some(self.settings.system),
        }
        .encode_to_vec()
    }

    /// The error of a server for a namespace it does not know.
    pub(crate) fn known_namespace(&self, name: &str) -> Result<(), Status> {
        self.namespace_id(name).map(|_| ())
    }

    pub(crate) fn describe_namespace(&self, name: &str) -> Result<Vec<u8>, Status> {
        let id = self.namespace_id(name)?;
        Ok(DescribeNamespaceResponse {
            namespace_info: Some(NamespaceInfo {
                name: name.to_owned(),
                state: NamespaceState::Registered.into(),
                id,
                capabilities: Some(self.settings.namespace),
                limits: Some(namespace_info::Limits {
                    blob_size_limit_error: 2 * 1024 * 1024,
                    memo_size_limit_error: 2 * 1024 * 1024,
                    ..Default::default()
                }),
                supports_schedules: true,
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec())
    }

    fn namespace_id(&self, name: &str) -> Result<String, Status> {
        let known = self.settings.namespaces.iter().find(|(known, _)| known == name);
        match known {
            Some((_, id)) => Ok(id.clone()),
            None => Err(Status::not_found(format!("Namespace {name} is not found."))),
        }
    }
}
