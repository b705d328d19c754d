//! Who may call, which namespaces there are, and what they are said to do.

use std::time::Duration;

use http::{HeaderMap, header::AUTHORIZATION};
use temporalio_common::protos::temporal::api::{
    enums::v1::NamespaceState,
    namespace::v1::{NamespaceInfo, namespace_info},
    workflowservice::v1::{
        DescribeNamespaceResponse, GetSystemInfoResponse, get_system_info_response,
    },
};
use tonic::Status;
use uuid::Uuid;

use super::rpc::Rpc;

/// The version that the frontend claims: that of the server whose behavior it follows.
const SERVER_VERSION: &str = "1.32.0";
/// How long a poll without a task lasts on a server, whatever the caller's deadline.
const LONGEST_POLL: Duration = Duration::from_secs(60);

pub(super) struct Settings {
    /// Names and ids of the namespaces.
    namespaces: Vec<(String, String)>,
    pub(super) api_key: Option<String>,
    pub(super) denied: bool,
    /// Whether `ShutdownWorker` ends the worker's polls.
    pub(super) ends_polls: bool,
    /// How long a poll without a task lasts at most.
    pub(super) longest_poll: Duration,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            namespaces: vec![("default".to_owned(), Uuid::new_v4().to_string())],
            api_key: None,
            denied: false,
            ends_polls: false,
            longest_poll: LONGEST_POLL,
        }
    }

    pub(super) fn add_namespace(&mut self, name: String) {
        self.namespaces.push((name, Uuid::new_v4().to_string()));
    }

    pub(super) fn remove_namespace(&mut self, name: &str) {
        self.namespaces.retain(|(known, _)| known != name);
    }

    /// Refuses a call without the right credentials.
    pub(super) fn authorize(&self, rpc: &Rpc, headers: &HeaderMap) -> Result<(), Status> {
        if let Some(key) = &self.api_key {
            let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            match given.and_then(|value| value.strip_prefix("Bearer ")) {
                Some(given) if given == key => {}
                Some(_) => {
                    return Err(Status::unauthenticated("Request unauthenticated: wrong API key."));
                }
                None => {
                    return Err(Status::unauthenticated("Request unauthenticated: no API key."));
                }
            }
        }
        if self.denied && *rpc != Rpc::GetSystemInfo {
            return Err(Status::permission_denied("Request unauthorized."));
        }
        Ok(())
    }

    /// What a 1.32 server can do and a worker asks about.
    pub(super) fn system_info(&self) -> GetSystemInfoResponse {
        GetSystemInfoResponse {
            server_version: SERVER_VERSION.to_owned(),
            capabilities: Some(get_system_info_response::Capabilities {
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
            }),
        }
    }

    /// The ID of a namespace, or a server's error for one that it does not know.
    pub(super) fn namespace_id(&self, name: &str) -> Result<&str, Status> {
        let known = self.namespaces.iter().find(|(known, _)| known == name);
        let id = known.map(|(_, id)| id.as_str());
        id.ok_or_else(|| Status::not_found(format!("Namespace {name} is not found.")))
    }

    /// Without poller autoscaling's auto-enrollment, worker commands and completion pagination.
    pub(super) fn describe_namespace(
        &self,
        name: &str,
    ) -> Result<DescribeNamespaceResponse, Status> {
        let info = NamespaceInfo {
            name: name.to_owned(),
            state: NamespaceState::Registered.into(),
            id: self.namespace_id(name)?.to_owned(),
            capabilities: Some(namespace_info::Capabilities {
                eager_workflow_start: true,
                sync_update: true,
                async_update: true,
                worker_heartbeats: true,
                poller_autoscaling: true,
                worker_poll_complete_on_shutdown: self.ends_polls,
                ..Default::default()
            }),
            limits: Some(namespace_info::Limits {
                blob_size_limit_error: 2 * 1024 * 1024,
                memo_size_limit_error: 2 * 1024 * 1024,
                ..Default::default()
            }),
            supports_schedules: true,
            ..Default::default()
        };
        Ok(DescribeNamespaceResponse { namespace_info: Some(info), ..Default::default() })
    }
}
