//! The rules of the lifecycle, as two tables: what counts as which event, and what every event does
//! in every step.
//!
//! An input of the driver is an event of the same name, except where [`READINGS`] says that it
//! counts as another one. In the table a row is an event, a column is a step, a cell is what happens:
//!
//! * a step's short name: the lifecycle moves there (to itself: it stays and notes the event);
//! * `.` nothing: the event comes late or says nothing new here, and that is fine;
//! * `!` illegal: it cannot happen unless the driver has a bug.
//!
//! The arrays have the size of the enums, so a new step or event does not compile before every
//! cell it brings is written down. Nothing else decides where an input leads.

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
        const TABLE: [[Cell; Step::ALL.len()]; Event::ALL.len()] = [$([$(cell!($cell)),*]),*];
        /// The events in the order of the rows; a test holds it against `Event::ALL`.
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

/// What has to be so for an input to count as another event. The machine alone knows whether it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing fits between the arrival of the event and its deadline.
    WindowIsSpent,
    /// The settings that `configure` left give [`MIN_WORK_TIME`](super::MIN_WORK_TIME) or less for work.
    WorkTimeIsTooShort,
    /// The time for work is over.
    WorkTimeIsOver,
    /// The stop time is so near that polls are held back.
    StopIsNear,
    /// No poll is under way.
    NoPollIsUnderWay,
    /// No task is in flight.
    NoTaskIsInFlight,
    /// Another hook runs than the one that is said to have ended.
    AnotherHookRuns,
    /// No hook is left to be run.
    NoHookIsLeft,
}

/// An input that counts as another event than the one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The event of the input's name.
    pub said: Event,
    /// The step in which this holds. `None`: in every one.
    pub step: Option<Step>,
    /// What has to be so.
    pub condition: Condition,
    /// The event that it counts as. `None`: as nothing new.
    pub counts_as: Option<Event>,
}

macro_rules! readings {
    (@step any) => { None };
    (@step $step:ident) => { Some(Step::$step) };
    (@event nothing) => { None };
    (@event $event:ident) => { Some(Event::$event) };
    ($($said:ident in $step:ident, $condition:ident: $counts_as:ident;)*) => {
        /// Every input that counts as another event, and when. The first that fits counts.
        pub const READINGS: &[Reading] = &[$(Reading {
            said: Event::$said,
            step: readings!(@step $step),
            condition: Condition::$condition,
            counts_as: readings!(@event $counts_as),
        }),*];
    };
}

#[rustfmt::skip]
readings! {
    Invoked       in any,         WindowIsSpent:      InvokedTooLate;
    Configured    in Configuring, WorkTimeIsTooShort: Failed;
    // What comes when the time for work is over leads no further, even if it is heard before the
    // timer: a thawed environment must not begin to poll.
    Configured    in Configuring, WorkTimeIsOver:     DeadlineNear;
    Connected     in Connecting,  WorkTimeIsOver:     DeadlineNear;
    WorkerCreated in Creating,    WorkTimeIsOver:     DeadlineNear;
    WorkerStarted in Starting,    WorkTimeIsOver:     DeadlineNear;
    // And news of tasks without end must not keep the timer from being heard.
    Busy          in Polling,     StopIsNear:         StopNear;
    Quiet         in Polling,     StopIsNear:         StopNear;
    Quiet         in Quiescing,   NoPollIsUnderWay:   Quiesced;
    PollsEnded    in Quiescing,   NoTaskIsInFlight:   Quiesced;
    HookEnded     in Hooks,       AnotherHookRuns:    nothing;
    HookEnded     in Hooks,       NoHookIsLeft:       HooksEnded;
}

/// What an input counts as in `step`, if it is called `said` and these conditions hold. `None`: it
/// says nothing new.
pub fn read(step: Step, said: Event, mut holds: impl FnMut(Condition) -> bool) -> Option<Event> {
    let mut readings = READINGS.iter().filter(|it| it.said == said);
    let fits = |it: &&Reading| it.step.is_none_or(|at| at == step) && holds(it.condition);
    readings.find(fits).map_or(Some(said), |it| it.counts_as)
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
