//! One test for every edge of the lifecycle: its name says the cause and the effect.

use std::collections::BTreeSet;

use super::{at, defaults, ms, window};
use temporal_lambda_lifecycle::rules::Failure;
use temporal_lambda_lifecycle::table::{Cell, Condition, READINGS, look_up};
use temporal_lambda_lifecycle::{
    Allowance, Effect, Event, Input, Machine, Moment, Refusal, Step, Transition,
};

/// A minute to live, two hooks, and 3 s of idleness.
fn allowance() -> Allowance {
    Allowance { idle_timeout: Some(ms(3_000)), ..defaults() }
}

/// A machine with its time.
pub(crate) struct Stand {
    pub(crate) machine: Machine<Failure>,
    pub(crate) now: Moment,
}

impl Stand {
    /// Goes to `step` the shortest way.
    pub(crate) fn in_step(step: Step) -> Self {
        let machine = if step == Step::Healthy { Machine::warm() } else { Machine::cold() };
        let mut this = Self { machine, now: at(0) };
        this.machine.note_hooks(2);
        let way: &[Event] = match step {
            Step::ColdStart | Step::Healthy => &[],
            Step::Configuring => &[Event::Invoked],
            Step::Connecting => &[Event::Invoked, Event::Configured],
            Step::Creating => &[Event::Invoked, Event::Configured, Event::Connected],
            Step::Starting => {
                &[Event::Invoked, Event::Configured, Event::Connected, Event::WorkerCreated]
            }
            Step::Polling => return Self::in_step(Step::Starting).and(Event::WorkerStarted),
            Step::Quiescing => return Self::in_step(Step::Polling).and(Event::Idle),
            Step::Stopping => return Self::in_step(Step::Polling).and(Event::Cancelled),
            Step::Hooks => return Self::in_step(Step::Stopping).and(Event::WorkerStopped),
            Step::Farewell => return Self::in_step(Step::Hooks).and(Event::HooksEnded),
            Step::Settling => return Self::in_step(Step::Farewell).and(Event::ShutdownEnded),
            Step::Poisoned => return Self::in_step(Step::Settling).and(Event::CapPassed),
        };
        for event in way {
            this = this.and(*event);
        }
        this
    }

    fn and(mut self, event: Event) -> Self {
        self.meet(event);
        self.effects();
        self.now = self.now.later(ms(100));
        self
    }

    /// Makes `event` happen: somebody says it, or its time comes.
    fn meet(&mut self, event: Event) -> Transition {
        let busy_until = match (self.machine.step(), event) {
            // Or it would be idle before.
            (Step::Polling, Event::StopNear) => Some(self.now),
            (Step::Quiescing, Event::Resumed) => Some(self.now),
            // A task that came when there was no time to poll on.
            (Step::Quiescing, Event::DeadlineNear) => Some(at(52_000)),
            _ => None,
        };
        if let Some(at) = busy_until {
            self.now = at;
            assert!(self.machine.handle(self.now, Input::Busy).is_ok());
        }
        if (self.machine.step(), event) == (Step::Quiescing, Event::PollsEnded) {
            // Or it would be quiesced.
            assert!(self.machine.handle(at(52_000), Input::Busy).is_ok());
        }
        if (self.machine.step(), event) == (Step::Quiescing, Event::DeadlineNear) {
            assert!(self.machine.handle(self.now, Input::PollsEnded).is_ok());
        }
        if event == Event::HooksEnded {
            assert!(self.machine.handle(self.now, Input::HookEnded(0)).is_ok());
            self.effects();
        }
        match input(event) {
            Some(input) => match self.machine.handle(self.now, input) {
                Ok(transition) => transition,
                Err(refusal) => panic!("{refusal:?}"),
            },
            None => self.fire(event),
        }
    }

    /// Lets timers fire until this one has.
    fn fire(&mut self, event: Event) -> Transition {
        loop {
            let Some(due) = self.machine.next_timeout() else { panic!("no timer for {event:?}") };
            self.now = due;
            match self.machine.handle_timeout(due) {
                Some(fired) if fired.event == event => return fired,
                Some(_) => drop(self.effects()),
                None => panic!("{due:?} is due and does nothing"),
            }
        }
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.machine.poll_effect()).collect()
    }
}

/// How the driver says `event`; `None`: nobody says it, its time comes.
pub(crate) fn input(event: Event) -> Option<Input<Failure>> {
    Some(match event {
        Event::Invoked => Input::Invoked { window: window(60_000), allowance: allowance() },
        Event::InvokedTooLate => Input::Invoked { window: window(100), allowance: allowance() },
        Event::Configured => Input::Configured(allowance()),
        Event::Connected => Input::Connected,
        Event::WorkerCreated => Input::WorkerCreated { polls_end_within: ms(1_550) },
        Event::WorkerStarted => Input::WorkerStarted,
        Event::Failed => Input::Failed(1),
        Event::Busy => Input::Busy,
        Event::Quiet => Input::Quiet,
        Event::PollsEnded | Event::Quiesced => Input::PollsEnded,
        Event::Cancelled => Input::Cancelled,
        Event::WorkerStopped => Input::WorkerStopped,
        Event::WorkerFailed => Input::WorkerFailed(1),
        Event::HookEnded => Input::HookEnded(0),
        Event::HooksEnded => Input::HookEnded(1),
        Event::ShutdownEnded => Input::ShutdownEnded,
        Event::Settled => Input::Settled,
        Event::Idle
        | Event::StopNear
        | Event::Resumed
        | Event::DeadlineNear
        | Event::GraceOver
        | Event::CapPassed => return None,
    })
}

macro_rules! edges {
    (
        $($name:ident:
            $from:ident + $event:ident => $to:ident, [$($effect:ident $(($number:expr))?),*];)*
    ) => {
        /// Every edge that has a test.
        const TESTED: &[(Step, Event)] = &[$((Step::$from, Event::$event)),*];

        $(#[test]
        fn $name() {
            let expected: &[Effect] = &[$(Effect::$effect $(($number))?),*];
            let mut stand = Stand::in_step(Step::$from);
            assert_eq!(stand.machine.step(), Step::$from);
            let before = stand.machine.moves().len();
            let transition = stand.meet(Event::$event);
            let at = stand.now;
            let (from, event, to) = (Step::$from, Event::$event, Step::$to);
            assert_eq!(transition, Transition { from, event, to, at });
            assert_eq!(stand.effects(), expected);
            assert_eq!(stand.machine.step(), to);
            // A move is written down, an event that is only noted is not.
            let moved = stand.machine.moves().get(before..).is_some_and(|it| it.contains(&transition));
            assert_eq!(moved, from != to);
        })*
    };
}

edges! {
    cold_start_and_invoked_goes_to_configuring_and_runs_configure:
        ColdStart + Invoked => Configuring, [Configure];
    healthy_and_invoked_goes_to_configuring_and_runs_configure:
        Healthy + Invoked => Configuring, [Configure];
    cold_start_and_invoked_too_late_is_over_and_does_nothing:
        ColdStart + InvokedTooLate => Healthy, [];
    healthy_and_invoked_too_late_is_over_and_does_nothing:
        Healthy + InvokedTooLate => Healthy, [];
    configuring_and_configured_goes_to_connecting_and_connects:
        Configuring + Configured => Connecting, [Connect];
    connecting_and_connected_goes_to_creating_and_creates_the_worker:
        Connecting + Connected => Creating, [CreateWorker];
    creating_and_worker_created_goes_to_starting_and_runs_on_start:
        Creating + WorkerCreated => Starting, [OnStart];
    starting_and_worker_started_goes_to_polling_and_lets_it_poll:
        Starting + WorkerStarted => Polling, [Poll];
    configuring_and_failed_goes_to_hooks_and_runs_the_first:
        Configuring + Failed => Hooks, [RunHook(0)];
    connecting_and_failed_goes_to_hooks_and_runs_the_first:
        Connecting + Failed => Hooks, [RunHook(0)];
    creating_and_failed_goes_to_hooks_and_takes_out_what_there_is_of_the_worker:
        Creating + Failed => Hooks, [Finalize, RunHook(0)];
    starting_and_failed_goes_to_stopping_and_stops_the_worker:
        Starting + Failed => Stopping, [StopWorker];
    polling_and_busy_stays_and_does_nothing:
        Polling + Busy => Polling, [];
    polling_and_quiet_stays_and_does_nothing:
        Polling + Quiet => Polling, [];
    polling_and_idle_goes_to_quiescing_and_holds_polls_back:
        Polling + Idle => Quiescing, [HoldPolls];
    polling_and_stop_near_goes_to_quiescing_and_holds_polls_back:
        Polling + StopNear => Quiescing, [HoldPolls];
    quiescing_and_busy_stays_and_does_nothing:
        Quiescing + Busy => Quiescing, [];
    quiescing_and_quiet_stays_and_does_nothing:
        Quiescing + Quiet => Quiescing, [];
    quiescing_and_resumed_goes_to_polling_and_lets_polls_go_on:
        Quiescing + Resumed => Polling, [ResumePolls];
    quiescing_and_polls_ended_with_a_task_in_flight_stays_and_does_nothing:
        Quiescing + PollsEnded => Quiescing, [];
    quiescing_and_quiesced_goes_to_stopping_and_stops_the_worker:
        Quiescing + Quiesced => Stopping, [StopWorker];
    quiescing_and_deadline_near_goes_to_stopping_and_stops_the_worker:
        Quiescing + DeadlineNear => Stopping, [StopWorker];
    quiescing_and_cap_passed_goes_to_stopping_and_stops_the_worker:
        Quiescing + CapPassed => Stopping, [StopWorker];
    configuring_and_deadline_near_goes_to_hooks_and_cuts_configure_short:
        Configuring + DeadlineNear => Hooks, [AbortStep, RunHook(0)];
    connecting_and_deadline_near_goes_to_hooks_and_cuts_connecting_short:
        Connecting + DeadlineNear => Hooks, [AbortStep, RunHook(0)];
    creating_and_deadline_near_goes_to_stopping_and_stops_the_worker:
        Creating + DeadlineNear => Stopping, [AbortStep, StopWorker];
    starting_and_deadline_near_goes_to_stopping_and_cuts_on_start_short:
        Starting + DeadlineNear => Stopping, [AbortStep, StopWorker];
    configuring_and_cancelled_goes_to_hooks_and_cuts_configure_short:
        Configuring + Cancelled => Hooks, [AbortStep, RunHook(0)];
    connecting_and_cancelled_goes_to_hooks_and_cuts_connecting_short:
        Connecting + Cancelled => Hooks, [AbortStep, RunHook(0)];
    creating_and_cancelled_goes_to_stopping_and_stops_the_worker:
        Creating + Cancelled => Stopping, [AbortStep, StopWorker];
    starting_and_cancelled_goes_to_stopping_and_cuts_on_start_short:
        Starting + Cancelled => Stopping, [AbortStep, StopWorker];
    polling_and_cancelled_goes_to_stopping_and_stops_the_worker:
        Polling + Cancelled => Stopping, [StopWorker];
    quiescing_and_cancelled_goes_to_stopping_and_stops_the_worker:
        Quiescing + Cancelled => Stopping, [StopWorker];
    starting_and_worker_stopped_goes_to_hooks_and_cuts_on_start_short:
        Starting + WorkerStopped => Hooks, [AbortStep, AbandonActivities, Finalize, RunHook(0)];
    polling_and_worker_stopped_goes_to_hooks_and_drops_activities:
        Polling + WorkerStopped => Hooks, [AbandonActivities, Finalize, RunHook(0)];
    quiescing_and_worker_stopped_goes_to_hooks_and_drops_activities:
        Quiescing + WorkerStopped => Hooks, [AbandonActivities, Finalize, RunHook(0)];
    stopping_and_worker_stopped_goes_to_hooks_and_finalizes:
        Stopping + WorkerStopped => Hooks, [Finalize, RunHook(0)];
    creating_and_worker_failed_goes_to_hooks_and_finalizes:
        Creating + WorkerFailed => Hooks, [AbortStep, AbandonActivities, Finalize, RunHook(0)];
    starting_and_worker_failed_goes_to_hooks_and_cuts_on_start_short:
        Starting + WorkerFailed => Hooks, [AbortStep, AbandonActivities, Finalize, RunHook(0)];
    polling_and_worker_failed_goes_to_hooks_and_drops_activities:
        Polling + WorkerFailed => Hooks, [AbandonActivities, Finalize, RunHook(0)];
    quiescing_and_worker_failed_goes_to_hooks_and_drops_activities:
        Quiescing + WorkerFailed => Hooks, [AbandonActivities, Finalize, RunHook(0)];
    stopping_and_worker_failed_goes_to_hooks_and_drops_activities:
        Stopping + WorkerFailed => Hooks, [AbandonActivities, Finalize, RunHook(0)];
    stopping_and_grace_over_stays_and_drops_the_activities:
        Stopping + GraceOver => Stopping, [AbandonActivities];
    stopping_and_cap_passed_goes_to_hooks_and_gives_the_worker_up:
        Stopping + CapPassed => Hooks, [AbandonWorker, Finalize, RunHook(0)];
    hooks_and_hook_ended_stays_and_runs_the_next:
        Hooks + HookEnded => Hooks, [RunHook(1)];
    hooks_and_hooks_ended_goes_to_farewell_and_runs_on_shutdown:
        Hooks + HooksEnded => Farewell, [OnShutdown];
    farewell_and_shutdown_ended_goes_to_settling_and_waits_for_quiet:
        Farewell + ShutdownEnded => Settling, [Settle];
    farewell_and_cap_passed_goes_to_settling_and_cuts_on_shutdown_short:
        Farewell + CapPassed => Settling, [AbortStep, Settle];
    settling_and_settled_is_over_and_healthy:
        Settling + Settled => Healthy, [];
    settling_and_cap_passed_is_over_and_poisoned:
        Settling + CapPassed => Poisoned, [];
}

#[test]
fn every_edge_of_the_table_has_a_test_and_every_test_an_edge() {
    let mut edges = BTreeSet::new();
    for step in Step::all() {
        for event in Event::all() {
            if let Cell::To(_) = look_up(step, event) {
                edges.insert((step, event));
            }
        }
    }
    assert_eq!(TESTED.iter().copied().collect::<BTreeSet<_>>(), edges);
    assert_eq!(TESTED.len(), edges.len(), "an edge is tested twice");
}

#[test]
fn an_input_counts_as_the_event_that_its_reading_says() {
    for it in READINGS {
        let steps = Step::all().filter(|step| it.step.is_none_or(|at| at == *step));
        for step in steps {
            let (mut stand, mut said) = (Stand::in_step(step), input(it.said));
            match it.condition {
                Condition::WindowIsSpent => said = input(Event::InvokedTooLate),
                Condition::WorkTimeIsTooShort => {
                    said = Some(Input::Configured(Allowance { buffer: ms(59_000), ..allowance() }));
                }
                // The stop time is 7 s before the deadline, and the last polls need 1.85 s.
                Condition::WorkTimeIsOver => stand.now = at(53_000),
                Condition::StopIsNear => stand.now = at(51_150),
                Condition::NoPollIsUnderWay => {
                    for earlier in [Input::Busy, Input::PollsEnded] {
                        assert!(stand.machine.handle(stand.now, earlier).is_ok());
                    }
                }
                Condition::NoTaskIsInFlight => {}
                Condition::AnotherHookRuns => said = Some(Input::HookEnded(1)),
                Condition::NoHookIsLeft => {
                    assert!(stand.machine.handle(stand.now, Input::HookEnded(0)).is_ok());
                    said = Some(Input::HookEnded(1));
                }
            }
            let Some(said) = said else { panic!("nobody says {:?}", it.said) };
            let event = it.counts_as.unwrap_or(it.said);
            let expected = match look_up(step, event) {
                _ if it.counts_as.is_none() => Err(Refusal::NoOp { step, event }),
                Cell::To(to) => Ok(Transition { from: step, event, to, at: stand.now }),
                Cell::NoOp => Err(Refusal::NoOp { step, event }),
                Cell::Illegal => Err(Refusal::Illegal { step, event }),
            };
            assert_eq!(stand.machine.handle(stand.now, said), expected, "{it:?}");
        }
    }
}

/// Without hooks the lifecycle passes through their step without a stop.
#[test]
fn hooks_without_any_goes_on_to_farewell_at_once() {
    for (step, event) in [
        (Step::Configuring, Event::Failed),
        (Step::Connecting, Event::Cancelled),
        (Step::Creating, Event::Failed),
        (Step::Stopping, Event::WorkerStopped),
    ] {
        let mut stand = Stand::in_step(step);
        stand.machine.note_hooks(0);
        let transition = stand.meet(event);
        assert_eq!(transition.to, Step::Hooks);
        assert_eq!(stand.machine.step(), Step::Farewell);
        assert!(stand.effects().ends_with(&[Effect::OnShutdown]));
        let last: Vec<_> = stand.machine.moves().iter().rev().take(2).map(|it| it.to).collect();
        assert_eq!(last, [Step::Farewell, Step::Hooks]);
    }
}

/// A hook that takes too long is cut short, and the next one runs.
#[test]
fn hooks_and_the_end_of_a_share_cuts_the_hook_short_and_runs_the_next() {
    let mut stand = Stand::in_step(Step::Hooks);
    assert_eq!(stand.fire(Event::HookEnded).to, Step::Hooks);
    assert_eq!(stand.effects(), [Effect::AbortStep, Effect::RunHook(1)]);
    assert_eq!(stand.fire(Event::HooksEnded).to, Step::Farewell);
    assert_eq!(stand.effects(), [Effect::AbortStep, Effect::OnShutdown]);
}
