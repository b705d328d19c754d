//! A build without the features pulls in none of their dependencies.

use std::process::Command;

/// The crates that a function is built from.
fn dependencies(features: &[&str]) -> Vec<String> {
    let cargo = std::env::var("CARGO").expect("cargo runs tests");
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--package", "temporal-lambda-worker", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--features", &features.join(",")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn telemetry(names: &[String]) -> Vec<&String> {
    let is_of_it = |name: &&String| name.contains("opentelemetry") || *name == "tonic-types";
    names.iter().filter(is_of_it).collect()
}

#[test]
fn without_the_features_nothing_of_telemetry_is_built() {
    let bare = dependencies(&[]);
    assert!(bare.contains(&"temporalio-sdk".to_owned()), "the list is one");
    assert_eq!(telemetry(&bare), [""; 0]);
}

#[test]
fn emf_needs_nothing_and_otel_no_second_http_client_and_no_second_tls() {
    let bare = dependencies(&[]);
    assert_eq!(dependencies(&["emf"]), bare);
    let otel = dependencies(&["otel"]);
    assert!(!telemetry(&otel).is_empty());
    assert!(!otel.contains(&"reqwest".to_owned()), "exports go over hyper, which is there");
    let is_new = |name: &&String| name.contains("tls") && !bare.contains(name);
    let mut tls: Vec<&String> = otel.iter().filter(is_new).collect();
    tls.dedup();
    // It joins what is there: hyper and rustls.
    assert_eq!(tls, ["hyper-rustls"]);
}
