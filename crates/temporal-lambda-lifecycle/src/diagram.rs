//! Pictures of the lifecycle, drawn from the [table](super::table) and from nothing else.

use std::fmt::Write as _;

use super::table::{Cell, look_up};
use super::{Event, State, Step};

/// The six states and the events between them, as a Mermaid state diagram.
///
/// Events inside one state are left out; events that lead the same way share an arrow.
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> ColdStart\n");
    for from in State::ALL {
        for to in State::ALL {
            let events = events_between(from, to);
            if from != to && !events.is_empty() {
                let _ = writeln!(text, "    {from} --> {to}: {}", events.join(", "));
            }
        }
    }
    text.push_str("    TornDown --> [*]\n");
    text
}

/// Every step and every event, as a Graphviz graph; a cluster is a state.
pub fn dot() -> String {
    let mut text =
        String::from("digraph lifecycle {\n    rankdir = LR;\n    node [shape = box];\n");
    for state in State::ALL {
        let _ = writeln!(text, "    subgraph cluster_{state} {{ label = \"{state}\";");
        for step in Step::ALL.into_iter().filter(|step| step.state() == state) {
            let _ = writeln!(text, "        {};", step.name());
        }
        text.push_str("    }\n");
    }
    for from in Step::ALL {
        for to in Step::ALL {
            let events: Vec<_> = Event::ALL
                .into_iter()
                .filter(|event| look_up(from, *event) == Cell::To(to))
                .map(Event::name)
                .collect();
            if !events.is_empty() {
                let label = events.join("\\n");
                let _ =
                    writeln!(text, "    {} -> {} [label = \"{label}\"];", from.name(), to.name());
            }
        }
    }
    text.push_str("}\n");
    text
}

fn events_between(from: State, to: State) -> Vec<&'static str> {
    let steps = |state| Step::ALL.into_iter().filter(move |step| step.state() == state);
    Event::ALL
        .into_iter()
        .filter(|event| {
            steps(from).any(
                |step| matches!(look_up(step, *event), Cell::To(target) if target.state() == to),
            )
        })
        .map(Event::name)
        .collect()
}
