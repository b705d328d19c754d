//! The permissions in the guide.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::quickstart::file;

#[test]
fn the_guides_policy_for_a_deployer_allows_what_the_command_calls_and_nothing_else() {
    let guide = file("crates/temporal-lambda-worker/src/docs/deploying.md");
    let (_, after) = guide.split_once("<!-- policy: deployer -->\n```json\n").unwrap();
    let (policy, _) = after.split_once("```").unwrap();
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let allowed = statements.flat_map(|it| it["Action"].as_array().unwrap());
    let allowed: BTreeSet<_> = allowed.map(|it| it.as_str().unwrap()).collect();

    // Lines of `CreateFunction = "lambda:CreateFunction",`; a test beside them sees that each is called.
    let actions = file("crates/temporal-lambda-cli/src/aws/action.rs");
    let names = actions.lines().filter_map(|line| {
        let (action, name) = line.trim().strip_suffix("\",")?.split_once(" = \"")?;
        name.ends_with(&format!(":{action}")).then_some(name)
    });
    let mut called: BTreeSet<_> = names.collect();
    assert!(called.len() > 10, "{called:?}");
    // Nobody calls it: Lambda asks for it when a function is given its role.
    called.insert("iam:PassRole");
    assert_eq!(allowed, called);
}
