//! The guide's chapter on deploying: its permissions and its commands.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::quickstart::file;
use crate::support::{command, run, text};

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

#[test]
fn the_commands_in_the_guide_and_the_readme_have_flags_that_this_command_knows() {
    let mut looked_at = 0;
    for page in ["crates/temporal-lambda-worker/src/docs/deploying.md", "README.md"] {
        let page = file(page).replace("\\\n", " ");
        let lines =
            page.lines().map(str::trim).filter_map(|it| it.strip_prefix("temporal-lambda "));
        for line in lines {
            let words: Vec<_> = line.split_whitespace().collect();
            let help = text(&run(command().arg(words[0]).arg("--help")));
            for flag in words.iter().filter(|it| it.starts_with("--") && it.len() > 2) {
                let known = help.split_whitespace().any(|word| word == *flag);
                assert!(known, "temporal-lambda {line}\nhas {flag}, but the command says\n{help}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 8, "{looked_at}");
}
