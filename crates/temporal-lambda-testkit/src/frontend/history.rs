//! A workflow's history: events in order, numbered from 1.

use std::time::SystemTime;
use temporalio_common::protos::temporal::api::{
    history::v1::{
        ActivityTaskCancelRequestedEventAttributes, History as ProtoHistory, HistoryEvent,
        history_event::Attributes,
    },
    sdk::v1::UserMetadata,
};

#[derive(Default)]
pub(crate) struct History {
    events: Vec<HistoryEvent>,
}

impl History {
    /// Appends an event and returns its id.
    pub(crate) fn append(&mut self, at: SystemTime, attributes: Attributes) -> i64 {
        self.append_with(at, attributes, None)
    }

    /// Appends an event that came of a command with a summary or details.
    pub(crate) fn append_with(
        &mut self,
        at: SystemTime,
        attributes: Attributes,
        user_metadata: Option<UserMetadata>,
    ) -> i64 {
        let event_id = self.next_id();
        self.events.push(HistoryEvent {
            event_id,
            event_time: Some(at.into()),
            event_type: attributes.event_type().into(),
            task_id: event_id,
            user_metadata,
            attributes: Some(attributes),
            ..Default::default()
        });
        event_id
    }

    /// Takes back the scheduled and the started event of a workflow task that failed again: a
    /// server writes those of a first attempt only.
    pub(crate) fn take_back_task(&mut self, scheduled_event_id: i64) {
        self.events.retain(|event| event.event_id < scheduled_event_id);
    }

    pub(crate) fn next_id(&self) -> i64 {
        self.events.last().map_or(0, |event| event.event_id) + 1
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn events(&self) -> &[HistoryEvent] {
        &self.events
    }

    pub(crate) fn to_proto(&self) -> ProtoHistory {
        ProtoHistory { events: self.events.clone() }
    }

    /// The event with which the workflow asked for an activity's cancellation.
    pub(crate) fn cancel_requested(&self, scheduled: i64) -> Option<i64> {
        self.events.iter().rev().find_map(|event| match &event.attributes {
            Some(Attributes::ActivityTaskCancelRequestedEventAttributes(
                ActivityTaskCancelRequestedEventAttributes { scheduled_event_id, .. },
            )) if *scheduled_event_id == scheduled => Some(event.event_id),
            _ => None,
        })
    }
}
