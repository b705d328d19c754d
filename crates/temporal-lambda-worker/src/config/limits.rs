//! How many tasks a worker works on at a time: four numbers, from which the SDK's tuner is made.

use temporalio_sdk::runtime::worker_tuner::{
    FixedSizeSlotSupplier, SlotSupplier, TunerHolder, WorkerTuner,
};

use super::defaults;
use super::read::keys::Keys;
use crate::error::ConfigError;

/// How many tasks of each kind a worker works on at a time. Each must be 1 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Workflow tasks. Default: 10.
    pub workflow_tasks: usize,
    /// Activities. Default: 2.
    pub activities: usize,
    /// Local activities. Default: 2.
    pub local_activities: usize,
    /// Nexus tasks. Default: 5. The SDK's worker cannot serve Nexus yet.
    pub nexus_tasks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workflow_tasks: defaults::MAX_CONCURRENT_WORKFLOW_TASKS,
            activities: defaults::MAX_CONCURRENT_ACTIVITIES,
            local_activities: defaults::MAX_CONCURRENT_LOCAL_ACTIVITIES,
            nexus_tasks: defaults::MAX_CONCURRENT_NEXUS_TASKS,
        }
    }
}

impl Limits {
    pub(super) fn of(keys: &Keys) -> Self {
        let default = Self::default();
        Self {
            workflow_tasks: keys.max_concurrent_workflow_tasks.unwrap_or(default.workflow_tasks),
            activities: keys.max_concurrent_activities.unwrap_or(default.activities),
            local_activities: keys
                .max_concurrent_local_activities
                .unwrap_or(default.local_activities),
            nexus_tasks: keys.max_concurrent_nexus_tasks.unwrap_or(default.nexus_tasks),
        }
    }

    /// The limits of a tuner whose four suppliers of slots have fixed sizes; `None` for any other tuner.
    pub(super) fn of_tuner(tuner: &WorkerTuner) -> Option<Self> {
        let WorkerTuner::TunerHolder(tuner) = tuner else { return None };
        let fixed = |supplier: &SlotSupplier| match supplier {
            SlotSupplier::FixedSize(supplier) => Some(supplier.num_slots),
            _ => None,
        };
        Some(Self {
            workflow_tasks: fixed(&tuner.workflow_task_slot_supplier)?,
            activities: fixed(&tuner.activity_task_slot_supplier)?,
            local_activities: fixed(&tuner.local_activity_task_slot_supplier)?,
            nexus_tasks: fixed(&tuner.nexus_task_slot_supplier)?,
        })
    }

    pub(super) fn tuner(self) -> WorkerTuner {
        let slots = FixedSizeSlotSupplier::new;
        TunerHolder::builder()
            .workflow_task_slot_supplier(slots(self.workflow_tasks))
            .activity_task_slot_supplier(slots(self.activities))
            .local_activity_task_slot_supplier(slots(self.local_activities))
            .nexus_task_slot_supplier(slots(self.nexus_tasks))
            .build()
            .into()
    }

    /// Refuses a limit of 0: the SDK would wait for a slot for ever.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        let numbers = [
            ("config.limits.workflow_tasks", self.workflow_tasks),
            ("config.limits.activities", self.activities),
            ("config.limits.local_activities", self.local_activities),
            ("config.limits.nexus_tasks", self.nexus_tasks),
        ];
        match numbers.into_iter().find(|(_, value)| *value == 0) {
            Some((key, value)) => Err(ConfigError::TooSmall { key, value, least: 1 }),
            None => Ok(()),
        }
    }
}
