//! Every state that the machine can get into, with a clock that ticks in whole seconds: from each,
//! everything that can be said is said, and every timer fires.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use super::{at, ms};
use temporal_lambda_lifecycle::rules::Failure;
use temporal_lambda_lifecycle::table::{Cell, READINGS, look_up};
use temporal_lambda_lifecycle::{
    Allowance, Cause, Effect, Ending, Event, Input, Machine, Moment, Refusal, State, Step, Window,
};

/// 7 s to live, the last 3 s for shutting down: 1 s of grace, and 2 s.
const WINDOW: Window = Window { arrival: at(0), deadline: Some(at(7_000)) };
const ALLOWANCE: Allowance = Allowance {
    grace: ms(1_000),
    buffer: ms(3_000),
    idle_timeout: Some(ms(2_000)),
    minimum_stay: ms(1_000),
};
const HOOKS: usize = 2;

/// Everything that can be said.
fn inputs() -> Vec<Input<Failure>> {
    let spent = Window { arrival: at(0), deadline: Some(at(100)) };
    // A buffer that leaves too little time for work.
    let greedy = Allowance { buffer: ms(6_000), ..ALLOWANCE };
    vec![
        Input::Invoked { window: WINDOW, allowance: ALLOWANCE },
        Input::Invoked { window: spent, allowance: ALLOWANCE },
        Input::Configured(ALLOWANCE),
        Input::Configured(greedy),
        Input::Connected,
        // With 0.3 s more, polls are held back 1 s before the stop time.
        Input::WorkerCreated { polls_end_within: ms(700) },
        Input::WorkerStarted,
        Input::Failed(1),
        Input::Busy,
        Input::Quiet,
        Input::PollsEnded,
        Input::Cancelled,
        Input::WorkerStopped,
        Input::WorkerFailed(2),
        Input::HookEnded(0),
        Input::HookEnded(1),
        Input::ShutdownEnded,
        Input::Settled,
    ]
}

/// A machine at a time. Two are the same if they know the same, whatever way they came.
#[derive(Clone)]
struct Place {
    machine: Machine<Failure>,
    now: Moment,
}

impl Place {
    fn key(&self) -> String {
        let text = format!("{:?} {:?}", self.now, self.machine);
        // The moves, last of all, are history and decide nothing.
        text.split(", moves: ").next().unwrap_or_default().to_owned()
    }
}

/// What was met on the way.
#[derive(Default)]
struct Met {
    places: usize,
    edges: BTreeSet<(Step, Event)>,
    refusals: BTreeSet<(Step, Event)>,
    /// Inputs that counted as another event: the event of their name, the step, what they counted as.
    readings: BTreeSet<(Event, Step, Event)>,
    effects: BTreeSet<&'static str>,
    causes: BTreeSet<&'static str>,
    endings: BTreeSet<&'static str>,
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Configure => "Configure",
        Effect::Connect => "Connect",
        Effect::CreateWorker => "CreateWorker",
        Effect::OnStart => "OnStart",
        Effect::Poll => "Poll",
        Effect::HoldPolls => "HoldPolls",
        Effect::ResumePolls => "ResumePolls",
        Effect::AbortStep => "AbortStep",
        Effect::StopWorker => "StopWorker",
        Effect::AbandonActivities => "AbandonActivities",
        Effect::AbandonWorker => "AbandonWorker",
        Effect::Finalize => "Finalize",
        Effect::RunHook(_) => "RunHook",
        Effect::OnShutdown => "OnShutdown",
        Effect::Settle => "Settle",
        Effect::WarnShortWork(_) => "WarnShortWork",
    }
}

fn cause_name(cause: &Cause<Failure>) -> &'static str {
    match cause {
        Cause::Reported(_) => "Reported",
        Cause::Late { .. } => "Late",
        Cause::TooLittleTime { .. } => "TooLittleTime",
        Cause::OutOfTime { .. } => "OutOfTime",
        Cause::WorkerStopped => "WorkerStopped",
        Cause::WorkerNotStopped => "WorkerNotStopped",
        Cause::NotSettled => "NotSettled",
    }
}

fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::DeadlineNear => "DeadlineNear",
        Ending::Idle => "Idle",
        Ending::Cancelled => "Cancelled",
        Ending::Failed => "Failed",
    }
}

/// Carries the effects off and notes what there is.
fn settle(place: &mut Place, met: &mut Met) {
    while let Some(effect) = place.machine.poll_effect() {
        met.effects.insert(effect_name(effect));
    }
    met.causes.extend(place.machine.causes().iter().map(cause_name));
    met.endings.extend(place.machine.ending().map(ending_name));
}

/// Where a place leads to.
fn successors(place: &Place, met: &mut Met) -> Vec<Place> {
    let mut found = Vec::new();
    let step = place.machine.step();
    let glance = |machine: &Machine<Failure>| {
        (machine.step(), machine.next_timeout(), machine.ending(), machine.causes().len())
    };
    for input in inputs() {
        let mut next = place.clone();
        let said = input.event();
        match next.machine.handle(next.now, input) {
            Ok(transition) => {
                met.readings.extend((said != transition.event).then_some((
                    said,
                    step,
                    transition.event,
                )));
                assert_eq!(look_up(step, transition.event), Cell::To(transition.to));
                met.edges.insert((step, transition.event));
                settle(&mut next, met);
                found.push(next);
            }
            Err(Refusal::NoOp { step: at, event } | Refusal::Illegal { step: at, event }) => {
                assert_eq!(at, step);
                assert_eq!(glance(&next.machine), glance(&place.machine), "{event:?}");
                met.refusals.insert((step, event));
            }
        }
    }
    let second = place.now.later(ms(1_000));
    match place.machine.next_timeout() {
        Some(due) if due <= second => {
            let mut next = place.clone();
            next.now = due.max(place.now);
            let Some(transition) = next.machine.handle_timeout(next.now) else {
                panic!("a timer is due and does nothing: {}", place.key());
            };
            assert_eq!(look_up(step, transition.event), Cell::To(transition.to));
            met.edges.insert((step, transition.event));
            settle(&mut next, met);
            found.push(next);
        }
        Some(_) => found.push(Place { now: second, ..place.clone() }),
        // Nothing waits for time where nothing runs, and nowhere else.
        None => assert!(step == Step::ColdStart || step.is_torn_down(), "{}", place.key()),
    }
    found
}

/// Whatever has happened: if nothing answers any more, timers alone bring it to its end in time.
fn silence_ends(mut place: Place) {
    for _ in 0..20 {
        let Some(due) = place.machine.next_timeout() else { break };
        place.now = place.now.max(due);
        assert!(place.machine.handle_timeout(place.now).is_some(), "{}", place.key());
    }
    let begun = place.machine.step() != Step::ColdStart;
    assert!(!begun || place.machine.step().is_torn_down(), "{}", place.key());
    let due = at(7_000 - 50);
    assert!(place.now <= due, "over at {:?}, due at {due:?}", place.now);
}

/// Goes everywhere, once for all tests.
fn met() -> &'static Met {
    static MET: OnceLock<Met> = OnceLock::new();
    MET.get_or_init(|| {
        let mut met = Met::default();
        let mut seen = HashSet::new();
        let mut open: Vec<_> = [Machine::cold(), Machine::warm()]
            .map(|mut machine| {
                machine.note_hooks(HOOKS);
                Place { machine, now: at(0) }
            })
            .into();
        while let Some(place) = open.pop() {
            if !seen.insert(place.key()) {
                continue;
            }
            assert!(seen.len() < 40_000, "there is no end to it: {}", place.key());
            let over = place.machine.step().is_torn_down();
            silence_ends(place.clone());
            let next = successors(&place, &mut met);
            // What follows an end is an invocation like the first.
            let fresh = place.machine.moves().is_empty() && place.machine.causes().is_empty();
            if !over || fresh {
                open.extend(next);
            }
        }
        met.places = seen.len();
        met
    })
}

#[test]
fn the_whole_reachable_state_space_is_as_the_table_says() {
    let all = met();
    // A machine that drains has forgotten when it polled, so many ways lead to the same place.
    assert!(all.places > 3_500, "only {} places", all.places);
    let mut steps = BTreeSet::new();
    for step in Step::all() {
        for event in Event::all() {
            let met = all.edges.contains(&(step, event));
            match look_up(step, event) {
                Cell::To(to) => {
                    assert!(met, "no way leads over {event:?} in {step:?}");
                    steps.extend([step, to]);
                }
                Cell::NoOp | Cell::Illegal => {
                    assert!(!met, "{event:?} in {step:?} is refused and leads on");
                    let refused = all.refusals.contains(&(step, event));
                    assert_eq!(refused, can_be_said(event), "{event:?} in {step:?}");
                }
            }
        }
    }
    assert_eq!(steps.len(), Step::all().len(), "{steps:?}");
    let states: BTreeSet<State> = steps.into_iter().map(Step::state).collect();
    assert_eq!(states.len(), State::ALL.len(), "{states:?}");
}

#[test]
fn no_input_counts_as_another_event_but_where_the_readings_say_so() {
    for (said, step, event) in &met().readings {
        let written = READINGS.iter().any(|it| {
            let here = it.step.is_none_or(|at| at == *step);
            here && it.said == *said && it.counts_as == Some(*event)
        });
        assert!(written, "{said:?} in {step:?} counts as {event:?}");
    }
}

/// Timers are not said, so nobody can be refused one; and only the machine knows which hook is the
/// last.
fn can_be_said(event: Event) -> bool {
    let timer = matches!(
        event,
        Event::Idle
            | Event::StopNear
            | Event::Resumed
            | Event::DeadlineNear
            | Event::GraceOver
            | Event::CapPassed
    );
    !timer && event != Event::HooksEnded && event != Event::Quiesced
}

#[test]
fn every_effect_cause_and_ending_is_met() {
    let effects = [
        Effect::Configure,
        Effect::Connect,
        Effect::CreateWorker,
        Effect::OnStart,
        Effect::Poll,
        Effect::HoldPolls,
        Effect::ResumePolls,
        Effect::AbortStep,
        Effect::StopWorker,
        Effect::AbandonActivities,
        Effect::AbandonWorker,
        Effect::Finalize,
        Effect::RunHook(0),
        Effect::OnShutdown,
        Effect::Settle,
        Effect::WarnShortWork(ms(0)),
    ];
    assert_eq!(met().effects, effects.map(effect_name).into());
    let causes = [
        Cause::Reported(1),
        Cause::Late { remaining: ms(0) },
        Cause::TooLittleTime { remaining: ms(0), buffer: ms(0) },
        Cause::OutOfTime { during: Step::Configuring },
        Cause::WorkerStopped,
        Cause::WorkerNotStopped,
        Cause::NotSettled,
    ];
    assert_eq!(met().causes, causes.each_ref().map(cause_name).into());
    let endings = [Ending::DeadlineNear, Ending::Idle, Ending::Cancelled, Ending::Failed];
    assert_eq!(met().endings, endings.map(ending_name).into());
}
