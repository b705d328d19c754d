//! The one table: what every event does in every step of an invocation's life.
//!
//! A row is an event, a column is a step, a cell is what happens:
//!
//! * a step's short name: the lifecycle moves there (to itself: it stays and notes the event);
//! * `.` nothing: the event comes late or says nothing new here, and that is fine;
//! * `!` illegal: it cannot happen unless the driver has a bug.
//!
//! The arrays have the size of the enums, so a new step or event does not compile before every
//! cell it brings is written down. Nothing else in this crate decides where an event leads.

use super::{Event, Step};

/// What one event does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// The lifecycle moves to this step.
    To(Step),
    /// Nothing changes: the event is late, or says nothing new.
    NoOp,
    /// The event cannot happen here.
    Illegal,
}

macro_rules! cell {
    (.) => {
        Cell::NoOp
    };
    (!) => {
        Cell::Illegal
    };
    (cold) => {
        Cell::To(Step::ColdStart)
    };
    (conf) => {
        Cell::To(Step::Configuring)
    };
    (conn) => {
        Cell::To(Step::Connecting)
    };
    (make) => {
        Cell::To(Step::Creating)
    };
    (strt) => {
        Cell::To(Step::Starting)
    };
    (poll) => {
        Cell::To(Step::Polling)
    };
    (quie) => {
        Cell::To(Step::Quiescing)
    };
    (stop) => {
        Cell::To(Step::Stopping)
    };
    (hook) => {
        Cell::To(Step::Hooks)
    };
    (fare) => {
        Cell::To(Step::Farewell)
    };
    (setl) => {
        Cell::To(Step::Settling)
    };
    (heal) => {
        Cell::To(Step::Healthy)
    };
    (pois) => {
        Cell::To(Step::Poisoned)
    };
}

macro_rules! table {
    ($($event:ident [$($cell:tt)*])*) => {
        /// Every event in every step: `TABLE[event][step]`, both in declaration order.
        pub const TABLE: [[Cell; Step::ALL.len()]; Event::ALL.len()] = [$([$(cell!($cell)),*]),*];
        /// The events in the order of the rows; a test holds it against [`Event::ALL`].
        #[cfg(test)]
        const ROWS: [Event; Event::ALL.len()] = [$(Event::$event),*];
    };
}

#[rustfmt::skip]
table! {
    //               ColdStart Configuring Connected   Polling     Draining              TornDown
    //               cold      conf conn   make strt   poll quie   stop hook fare setl   heal pois
    Invoked        [ conf      !    !      !    !      !    !      !    !    !    !      conf ! ]
    InvokedTooLate [ heal      !    !      !    !      !    !      !    !    !    !      heal ! ]
    Configured     [ !         conn !      !    !      !    !      .    .    .    .      .    . ]
    Connected      [ !         !    make   !    !      !    !      .    .    .    .      .    . ]
    WorkerCreated  [ !         !    !      strt !      !    !      .    .    .    .      .    . ]
    WorkerStarted  [ !         !    !      !    poll   !    !      .    .    .    .      .    . ]
    Failed         [ !         hook hook   hook stop   !    !      .    .    .    .      .    . ]
    Busy           [ !         !    !      !    !      poll quie   .    .    .    .      .    . ]
    Quiet          [ !         !    !      !    !      poll quie   .    .    .    .      .    . ]
    Idle           [ !         !    !      !    !      quie .      .    .    .    .      .    . ]
    StopNear       [ !         !    !      !    !      quie .      .    .    .    .      .    . ]
    Resumed        [ !         !    !      !    !      !    poll   .    .    .    .      .    . ]
    PollsEnded     [ !         !    !      !    !      .    quie   .    .    .    .      .    . ]
    Quiesced       [ !         !    !      !    !      !    stop   .    .    .    .      .    . ]
    DeadlineNear   [ !         hook hook   stop stop   !    stop   .    .    .    .      .    . ]
    Cancelled      [ .         hook hook   stop stop   stop stop   .    .    .    .      .    . ]
    WorkerStopped  [ !         !    !      !    hook   hook hook   hook .    .    .      .    . ]
    WorkerFailed   [ !         !    !      hook hook   hook hook   hook .    .    .      .    . ]
    GraceOver      [ !         !    !      !    !      !    !      stop .    .    .      .    . ]
    HookEnded      [ !         !    !      !    !      !    !      !    hook .    .      .    . ]
    HooksEnded     [ !         !    !      !    !      !    !      !    fare .    .      .    . ]
    ShutdownEnded  [ !         !    !      !    !      !    !      !    !    setl .      .    . ]
    CapPassed      [ !         !    !      !    !      !    stop   hook !    setl pois   !    ! ]
    Settled        [ !         !    !      !    !      !    !      !    !    !    heal   .    . ]
}

/// What `event` does in `step`.
pub const fn look_up(step: Step, event: Event) -> Cell {
    TABLE[event as usize][step as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_events() {
        assert_eq!(ROWS, Event::ALL);
    }

    #[test]
    fn columns_stand_in_the_order_of_the_steps() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, index, "{step:?}");
        }
        for (index, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index, "{event:?}");
        }
    }
}
