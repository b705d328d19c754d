//! Random sequences of events at random times, legal and illegal ones, each brought to its end and
//! held against every rule.

use proptest::prelude::*;

use super::ms;
use super::world::{Act, Finish, Scenario, World};
use temporal_lambda_lifecycle::rules::judge;
use temporal_lambda_lifecycle::{Allowance, Input, Machine, Refusal, Step, Window};

/// Sequences in each of the four tests below: 100,000 together.
const CASES: u32 = 25_000;

fn settings() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        // A seed is no help; the list of events is, and the failure shows it.
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// One act from two small numbers; small ones are the plain ones, so that failures shrink there.
fn act((kind, size): (u8, u8)) -> Act {
    let size = u64::from(size);
    let number = usize::try_from(size % 4).unwrap_or(0);
    let blame = 100 + u32::try_from(size).unwrap_or(0);
    match kind {
        0..=29 => Act::Answer,
        30..=41 => Act::Wait(size * 4),
        42..=49 => Act::Wait(size * size),
        50..=52 => Act::Fail,
        53 => Act::AddHook,
        54 => Act::Freeze(size * size),
        55 => Act::Say(Input::Cancelled),
        56 => Act::Say(Input::WorkerStopped),
        57 => Act::Say(Input::WorkerFailed(blame)),
        58 => Act::Say(Input::Failed(blame)),
        59 => Act::Say(Input::HookEnded(number)),
        60 => Act::Say(Input::ShutdownEnded),
        61 => Act::Say(Input::Settled),
        62 if size % 2 == 0 => Act::Say(Input::PollsEnded),
        62 => Act::Say(Input::Busy),
        _ => Act::Say(strange(number, size)),
    }
}

/// What hardly ever fits.
fn strange(number: usize, size: u64) -> Input<u32> {
    let allowance = allowance(number as u8, size as u8, 0);
    let window = Window { arrival: super::at(size), deadline: None };
    match number {
        0 => Input::Invoked { window, allowance },
        1 => Input::Configured(allowance),
        2 => Input::Connected,
        _ if size % 8 < 4 => Input::WorkerCreated { polls_end_within: ms(size) },
        _ => Input::WorkerStarted,
    }
}

/// Settings that `configure` may leave: the buffer holds the grace period and 0.6 s.
fn allowance(grace: u8, extra: u8, idle: u8) -> Allowance {
    let grace = ms(u64::from(grace) * 25);
    Allowance {
        grace,
        buffer: grace + ms(600 + u64::from(extra) * 10),
        idle_timeout: (idle > 127).then(|| ms(u64::from(idle - 128) * 40)),
        minimum_stay: ms(u64::from(idle % 16) * 100),
    }
}

/// Settings before `configure`: any, also such that would be refused later.
fn any_allowance(grace: u8, buffer: u8) -> Allowance {
    Allowance { buffer: ms(u64::from(buffer) * 40), ..allowance(grace, 0, 0) }
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let window = (any::<u8>(), any::<u8>());
    let after = (any::<u8>(), any::<u8>(), any::<u8>());
    let before = (any::<u8>(), any::<u8>());
    let acts = prop::collection::vec((0_u8..64, any::<u8>()).prop_map(act), 0..20);
    let polls_end = prop::sample::select(vec![0, 200, 1_550, 5_000]);
    (window, before, after, polls_end, 0_usize..4, acts, any::<u8>()).prop_map(
        |((kind, size), before, after, polls_end, hooks, acts, finish)| Scenario {
            lasts: match kind {
                0..=199 => Some(u64::from(size) * 60),
                200..=229 => Some(u64::from(size) * 2),
                _ => None,
            },
            before: any_allowance(before.0, before.1),
            after: allowance(after.0, after.1, after.2),
            polls_end,
            hooks,
            acts,
            finish: match finish {
                0..=127 => Finish::Answering(u64::from(finish) * 8),
                _ => Finish::Silence,
            },
        },
    )
}

/// Plays a scenario and holds it against the rules; the world as it is then.
fn play(scenario: &Scenario) -> World {
    let world = World::play(Machine::cold(), scenario);
    judge(&world.simulation.trace);
    world
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn every_sequence_keeps_every_rule(scenario in scenarios()) {
        play(&scenario);
    }

    #[test]
    fn sequences_without_freezes_keep_every_rule_to_the_millisecond(mut scenario in scenarios()) {
        scenario.acts.retain(|act| !matches!(act, Act::Freeze(_)));
        play(&scenario);
    }

    #[test]
    fn what_follows_an_end_is_an_invocation_like_any_other_or_refused(
        first in scenarios(),
        second in scenarios(),
    ) {
        let ended = play(&first);
        let machine = ended.simulation.machine;
        let poisoned = machine.step() == Step::Poisoned;
        let mut next = World::new(machine, &second);
        if poisoned {
            for act in &second.acts {
                if let Act::Say(input) = act {
                    next.simulation.say(input.clone());
                }
            }
            let machine = next.simulation.machine;
            prop_assert_eq!(machine.step(), Step::Poisoned, "poisoned stays poisoned");
            prop_assert_eq!(machine.next_timeout(), None);
        } else {
            for act in &second.acts {
                next.act(act);
            }
            next.finish(second.finish);
            judge(&next.simulation.trace);
        }
    }

    #[test]
    fn a_refusal_changes_nothing_and_a_state_never_comes_back(scenario in scenarios()) {
        let mut world = World::new(Machine::warm(), &scenario);
        for act in &scenario.acts {
            let before = world.simulation.machine.clone();
            world.act(act);
            if let Act::Say(input) = act {
                let mut again = before.clone();
                again.note_hooks(world.simulation.hooks);
                let unchanged = format!("{again:?}");
                if let Err(refusal) = again.handle(world.simulation.now, input.clone()) {
                    prop_assert_eq!(format!("{again:?}"), unchanged);
                    let (Refusal::NoOp { step, .. } | Refusal::Illegal { step, .. }) = refusal;
                    prop_assert_eq!(step, before.step());
                }
            }
        }
        world.finish(scenario.finish);
        let moves = world.simulation.machine.moves();
        for pair in moves.windows(2) {
            prop_assert_eq!(pair[0].to, pair[1].from);
            prop_assert!(pair[0].at <= pair[1].at);
            let (from, to) = (pair[1].from.state(), pair[1].to.state());
            prop_assert!(from <= to, "{:?} after {:?}", to, from);
        }
    }
}
