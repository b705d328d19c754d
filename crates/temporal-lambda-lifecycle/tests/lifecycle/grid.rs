//! The table as people read it: every event in every state, word by word.

use std::fmt::Write as _;

use temporal_lambda_lifecycle::table::{Cell, READINGS, look_up};
use temporal_lambda_lifecycle::{Event, State, Step};

/// What a cell says, for a reader.
fn word(step: Step, cell: Cell) -> &'static str {
    match cell {
        Cell::To(to) if to == step => "(noted)",
        Cell::To(to) => to.name(),
        Cell::NoOp => ".",
        Cell::Illegal => "!",
    }
}

/// One grid for each of the six states: a row for each event, a column for each step.
fn grid() -> String {
    let mut text = String::from(
        "A step's name: it goes there. (noted): it stays and takes note. \
         . : late or nothing new. ! : a bug of the driver.\n",
    );
    for state in State::ALL {
        let steps: Vec<_> = Step::all().filter(|step| step.state() == state).collect();
        let _ = write!(text, "\n{:<16}", state.name());
        for step in &steps {
            let _ = write!(text, "{:<13}", step.name());
        }
        text = text.trim_end().to_owned();
        text.push('\n');
        for event in Event::all() {
            let _ = write!(text, "{:<16}", event.name());
            for step in &steps {
                let _ = write!(text, "{:<13}", word(*step, look_up(*step, event)));
            }
            text = text.trim_end().to_owned();
            text.push('\n');
        }
    }
    text.push_str("\nWhat counts as another event:\n");
    for it in READINGS {
        let step = it.step.map_or("any step", Step::name);
        let counts_as = it.counts_as.map_or(".", Event::name);
        let (said, condition) = (it.said.name(), format!("{:?}", it.condition));
        let _ = writeln!(text, "{said:<16}{step:<13}{condition:<20}{counts_as}");
    }
    text
}

/// A reading after one that always fits before it would never be looked at.
#[test]
fn no_input_counts_as_two_events_in_the_same_step_for_the_same_reason() {
    for (index, it) in READINGS.iter().enumerate() {
        let same = |other: &&temporal_lambda_lifecycle::table::Reading| {
            (other.said, other.step, other.condition) == (it.said, it.step, it.condition)
        };
        assert_eq!(READINGS[..index].iter().find(same), None);
    }
}

#[test]
fn every_event_in_every_state_is_as_written_down() {
    insta::assert_snapshot!(grid());
}

#[test]
fn every_state_has_steps_and_every_step_is_entered() {
    for state in State::ALL {
        assert!(Step::all().any(|step| step.state() == state), "{state} has no step");
    }
    let cells = Step::all().flat_map(|step| Event::all().map(move |event| look_up(step, event)));
    let entered: Vec<_> = cells.collect();
    for step in Step::all() {
        // The machine of an environment's first invocation begins there; nothing leads back.
        let begins = step == Step::ColdStart;
        assert_eq!(entered.contains(&Cell::To(step)), !begins, "{step:?}");
    }
}

#[test]
fn every_event_leads_somewhere() {
    for event in Event::all() {
        let leads = Step::all().any(|step| matches!(look_up(step, event), Cell::To(_)));
        assert!(leads, "{event:?} is good for nothing");
    }
}

#[test]
fn names_are_what_debug_shows_and_states_keep_their_names() {
    for step in Step::all() {
        assert_eq!(step.name(), format!("{step:?}"));
    }
    for event in Event::all() {
        assert_eq!(event.name(), format!("{event:?}"));
    }
    // These six are known outside: in reports, traces and alarms.
    let names = ["ColdStart", "Configuring", "Connected", "Polling", "Draining", "TornDown"];
    assert_eq!(State::ALL.map(State::name), names);
    assert_eq!(State::ALL.map(|state| state.to_string()), names);
}

/// Draining never goes back to work, and what is over stays over until the next invocation.
#[test]
fn no_edge_leads_back_to_an_earlier_state() {
    for step in Step::all() {
        for event in Event::all() {
            let Cell::To(to) = look_up(step, event) else { continue };
            let next_invocation = step == Step::Healthy && to == Step::Configuring;
            assert!(to.state() >= step.state() || next_invocation, "{event:?}: {step:?} to {to:?}");
        }
    }
}

#[test]
fn poisoned_leads_nowhere() {
    for event in Event::all() {
        assert!(!matches!(look_up(Step::Poisoned, event), Cell::To(_)), "{event:?}");
    }
}
