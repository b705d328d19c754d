//! Random scripted invocations: the driver keeps every rule of the lifecycle, and does the same as the bare machine,
//! at the same times.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::runtime::Builder;

use super::at;
use super::bare_machine::{MachineRun, run_machine};
use super::driven::{Driven, Host};
use super::scripted_invocation::{Drain, How, Part, ScriptedInvocation};
use crate::hooks::Shutdown;
use crate::lifecycle::rules::{RULES, Trace, judge};
use crate::lifecycle::{Effect, Ending, Moment, Window};
use crate::report::CallbackOutcome;

/// Scripted invocations in each of the tests below.
const CASES: u32 = 400;

fn settings() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

fn part(longest: u64) -> impl Strategy<Value = Part> {
    let how = prop_oneof![
        8 => Just(How::Succeeds),
        1 => Just(How::Errs),
        1 => Just(How::Panics),
        1 => Just(How::Hangs),
    ];
    (how, 0..longest).prop_map(|(how, after)| Part::new(how, after))
}

fn drain() -> impl Strategy<Value = Drain> {
    prop_oneof![
        6 => (1_u64..6_000).prop_map(Drain::Stops),
        1 => (1_u64..3_000).prop_map(Drain::Fails),
        1 => Just(Drain::Stubborn),
        1 => Just(Drain::Deaf),
        1 => Just(Drain::Never),
    ]
}

fn scripts() -> impl Strategy<Value = ScriptedInvocation> {
    let time = (
        prop_oneof![9 => (1_u64..40_000).prop_map(Some), 1 => (0_u64..300).prop_map(Some), 1 => Just(None)],
        0_u64..6_000,
        0_u64..3_000,
        prop::option::of(0_u64..4_000),
        0_u64..2_000,
    );
    let parts = (part(3_000), part(2_000), part(1_000), part(1_000), part(1_000));
    let work = (
        prop::collection::vec(1_u64..3_000, 0..5),
        (0_u64..2_000, prop::option::weighted(0.9, 0_u64..2_500)),
        prop::option::weighted(0.2, part(8_000)),
        drain(),
        prop::collection::vec(part(1_500), 0..4),
        prop::option::weighted(0.3, 0_u64..20_000),
    );
    (time, parts, work).prop_map(|(time, parts, work)| {
        let (lasts, grace, spare, idle, stay) = time;
        let (configure, connect, create, on_start, on_shutdown) = parts;
        let (tasks, (polls_end_within, polls_end), gives_up, drain, hooks, cancelled_at) = work;
        ScriptedInvocation {
            lasts,
            grace,
            spare,
            idle,
            stay,
            configure,
            connect,
            create,
            on_start,
            polls_end_within,
            polls_end,
            tasks,
            gives_up,
            drain,
            hooks,
            on_shutdown,
            // Without a deadline and without a cancellation it would never end.
            cancelled_at: cancelled_at.or_else(|| lasts.is_none().then_some(30_000)),
        }
    })
}

/// Runs a scripted invocation on a runtime of its own.
fn drive(script: &ScriptedInvocation) -> Driven {
    match Builder::new_current_thread().enable_all().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(async { Host::new().await.drive(script).await }),
        Err(error) => panic!("{error}"),
    }
}

/// The effects that the traces of both driver and machine show.
fn shown(trace: &Trace) -> Vec<(Moment, Effect)> {
    let hidden = |it| matches!(it, Effect::AbortStep | Effect::Settle | Effect::WarnShortWork(_));
    trace.done().filter(|(_, effect)| !hidden(*effect)).collect()
}

/// Rules about which of two inputs came first, which is open when both came in the same millisecond.
const ORDER: [&str; 3] = [
    "what_failed_is_reported_in_its_order",
    "the_reason_is_what_ended_it",
    "an_idle_worker_polls_for_the_idle_timeout_and_the_minimum_stay",
];

fn judge_but_for_ties(trace: &Trace) {
    for (name, rule) in RULES.iter().filter(|(name, _)| !ORDER.contains(name)) {
        if let Err(why) = rule(trace) {
            panic!("{name}: {why}\n{trace}");
        }
    }
}

/// Whether a callback that was cut short had the time that it was told, to the millisecond.
fn lasts_as_told(trace: &Trace, effect: Effect, ending: &Shutdown) -> bool {
    let mut lines = trace.done().skip_while(|(_, it)| *it != effect);
    match (lines.next(), lines.next()) {
        (Some((begun, _)), Some((cut, Effect::AbortStep))) => {
            let (had, told) = (cut.since(begun), ending.time_allowed);
            had >= told && had <= told + trace.blur
        }
        _ => true,
    }
}

/// Whether the report agrees with the trace.
fn report_agrees(driven: &Driven) -> Result<(), TestCaseError> {
    let Driven { trace, report, error, .. } = driven;
    let errors: Vec<_> = report.errors.iter().map(|it| it.error_type.as_str()).collect();
    let faults = error.iter().flat_map(|it| std::iter::once(it.fault()).chain(it.later()));
    prop_assert_eq!(errors, faults.map(|it| it.error_type()).collect::<Vec<_>>());
    let hooks = trace.count(|it| matches!(it, Effect::RunHook(_)));
    prop_assert_eq!(report.hooks.len(), hooks);
    for (number, hook) in report.hooks.iter().enumerate() {
        prop_assert_eq!(&hook.name, &format!("hook {number}"));
    }
    let millis = |at: Moment| u64::try_from(at.since_origin().as_millis()).ok();
    prop_assert_eq!(report.first_poll_ms, trace.first(Effect::Poll).and_then(millis));
    let end = trace.end.as_ref().and_then(|end| millis(end.at));
    prop_assert_eq!(Some(report.total_ms), end);
    let times = report.state_ms;
    let sum = times.configuring + times.connected + times.polling + times.draining;
    prop_assert!(sum <= report.total_ms && sum + 4 >= report.total_ms, "{times:?}");
    prop_assert!(times.polling == 0 || report.first_poll_ms.is_some());
    for (number, (effect, ending)) in driven.told.iter().enumerate() {
        prop_assert_eq!(Some(ending.reason), report.reason);
        // The report that it is told has the hooks before it.
        prop_assert_eq!(ending.report.hooks.len(), number);
        prop_assert!(lasts_as_told(trace, *effect, ending), "{effect:?} {ending:?}");
    }
    prop_assert_eq!(report.poisoned, trace.end.as_ref().is_some_and(|end| !end.healthy));
    Ok(())
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn the_driver_keeps_every_rule_and_its_report_is_true(script in scripts()) {
        let driven = drive(&script);
        let tied = run_machine(&script, driven.trace.window).tied;
        if tied { judge_but_for_ties(&driven.trace) } else { judge(&driven.trace) }
        report_agrees(&driven)?;
    }

    #[test]
    fn the_driver_does_what_the_machine_does_at_the_same_times(script in scripts()) {
        let driven = drive(&script);
        let trace = driven.trace;
        let machine_run = run_machine(&script, trace.window);
        judge(&machine_run.trace);
        // In the same millisecond either may come first; the test above covers these.
        prop_assume!(!machine_run.tied);
        prop_assert_eq!(shown(&trace), shown(&machine_run.trace), "\n{}\n{}", trace, machine_run.trace);
        prop_assert_eq!(&trace.end, &machine_run.trace.end, "\n{}\n{}", trace, machine_run.trace);
        let hooks: Vec<CallbackOutcome> =
            driven.report.hooks.into_iter().map(|hook| hook.outcome).collect();
        prop_assert_eq!(hooks, machine_run.hooks);
        prop_assert_eq!(driven.report.on_shutdown, machine_run.on_shutdown);
    }
}

/// The random invocations would test little if all of them ended the same way.
#[test]
fn random_invocations_end_in_every_way_and_few_have_ties() {
    let mut runner = TestRunner::deterministic();
    let drives: Vec<MachineRun> = (0..1_000)
        .map(|_| {
            let Ok(tree) = scripts().new_tree(&mut runner) else { panic!("no script") };
            let script = tree.current();
            let deadline = script.lasts.map(at);
            run_machine(&script, Window { arrival: at(0), deadline })
        })
        .collect();
    let ends = || drives.iter().filter_map(|drive| drive.trace.end.as_ref());
    for ending in [Ending::DeadlineNear, Ending::Idle, Ending::Cancelled, Ending::Failed] {
        let times = ends().filter(|end| end.ending == Some(ending)).count();
        assert!(times >= 10, "{ending:?} only {times} times");
    }
    for effect in [
        Effect::Connect,
        Effect::CreateWorker,
        Effect::OnStart,
        Effect::Poll,
        Effect::HoldPolls,
        Effect::ResumePolls,
        Effect::StopWorker,
        Effect::AbandonActivities,
        Effect::AbandonWorker,
        Effect::RunHook(2),
        Effect::OnShutdown,
    ] {
        let times = drives.iter().filter(|drive| drive.trace.first(effect).is_some()).count();
        assert!(times >= 10, "{effect:?} only {times} times");
    }
    assert!(ends().filter(|end| !end.healthy).count() >= 10, "hardly any is poisoned");
    let tied = drives.iter().filter(|drive| drive.tied).count();
    assert!(tied < 100, "{tied} in a thousand are ties");
}
