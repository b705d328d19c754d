//! The pictures of the lifecycle are drawn from the table, and whatever shows one shows that.

use temporal_lambda_lifecycle::diagram::{dot, mermaid};
use temporal_lambda_lifecycle::{Event, State, Step};

/// The text between the fences of the Mermaid block that comes first in `text`.
fn fenced(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```mermaid\n")?;
    Some(rest.split_once("```")?.0)
}

#[test]
fn the_mermaid_diagram_is_as_written_down() {
    insta::assert_snapshot!(mermaid());
}

#[test]
fn the_dot_graph_is_as_written_down() {
    insta::assert_snapshot!(dot());
}

#[test]
fn every_state_step_and_event_appears() {
    let (mermaid, dot) = (mermaid(), dot());
    for state in State::ALL {
        assert!(mermaid.contains(state.name()), "{state} is not in the Mermaid diagram");
        assert!(dot.contains(&format!("cluster_{state} ")), "{state} is not in the DOT graph");
    }
    for step in Step::all() {
        assert!(dot.contains(&format!("        {};", step.name())), "{step:?} is not in it");
    }
    for event in Event::all() {
        assert!(dot.contains(event.name()), "{event:?} is not in the DOT graph");
    }
}

#[test]
fn the_documentation_shows_the_diagram_that_the_table_draws() {
    assert_eq!(fenced(include_str!("../../src/diagram.md")), Some(mermaid().as_str()));
}
