//! The pictures of the lifecycle are drawn from the table, and whatever shows one shows that.

use std::path::Path;

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

/// In the workspace; a packaged crate has its README elsewhere.
#[test]
fn the_readme_shows_the_diagram_that_the_table_draws() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let Ok(readme) = std::fs::read_to_string(&path) else {
        assert!(!path.with_file_name("Cargo.toml").exists(), "the workspace has no README.md");
        return;
    };
    let marker = "<!-- lifecycle diagram -->";
    let parts: Vec<_> = readme.split(marker).collect();
    assert!(parts.len() > 1, "README.md has no {marker}");
    let shown = parts[1].trim_start();
    assert!(shown.starts_with("```mermaid\n"), "no Mermaid block stands after {marker}");
    assert_eq!(fenced(shown), Some(mermaid().as_str()), "README.md shows another lifecycle");
}
