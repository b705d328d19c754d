//! The plan alone: what is left to be done after each step, and what is left alone.

use super::*;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:hello:1";

fn names() -> Names {
    Names {
        function: "hello".to_owned(),
        deployment: "hello".to_owned(),
        namespace: "default".to_owned(),
    }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn wanted() -> Wanted {
    Wanted {
        sha256: "code".to_owned(),
        architecture: "arm64".to_owned(),
        role: Some("arn:role".to_owned()),
        memory: None,
        timeout: None,
        variables: variables(&[("TEMPORAL_ADDRESS", "a:7233")]),
        unset: Vec::new(),
        reserved_concurrency: Some(5),
        log_retention: Some(14),
        invoke_role: Some(InvokeRole {
            arn: "arn:invoke".to_owned(),
            external_id: "id".to_owned(),
        }),
        traffic: Traffic::All,
    }
}

/// What there is after a step.
fn take(step: &Step, found: &mut Found, wanted: &Wanted) {
    let compute = || Compute { arn: ARN.to_owned(), role: wanted.invoke_role.clone() };
    let known = |found: &mut Found, known: Known| {
        if let Some(newest) = &mut found.newest {
            newest.known = Some(known);
        }
    };
    let is_bound = matches!(step, Step::AwaitQueues);
    match step {
        Step::CreateLogGroup => found.log = Some(None),
        Step::KeepLog { days } => found.log = Some(Some(*days)),
        Step::CreateFunction { role, memory, timeout, variables } => {
            let mut latest = Configuration::default();
            (latest.runtime, latest.handler) = (RUNTIME.to_owned(), HANDLER.to_owned());
            latest.role.clone_from(role);
            (latest.memory_size, latest.timeout) = (*memory, *timeout);
            latest.set_variables(variables.clone());
            latest.code_sha256.clone_from(&wanted.sha256);
            latest.architectures = vec![wanted.architecture.clone()];
            found.function = Some(Function { latest, reserved_concurrency: None });
        }
        Step::ReserveConcurrency { most } => {
            found.function.as_mut().expect("a function").reserved_concurrency = Some(*most);
        }
        Step::Publish => {
            let mut lambda = found.function.as_ref().expect("a function").latest.clone();
            lambda.version = "1".to_owned();
            lambda.function_arn = ARN.to_owned();
            found.newest = Some(Newest { lambda, retries: None, known: None });
        }
        Step::NoRetries => found.newest.as_mut().expect("a version").retries = Some(0),
        Step::CreateDeployment => found.has_deployment = true,
        Step::CreateVersion | Step::AwaitQueues | Step::SetCompute(_) => {
            known(found, Known { compute: Some(compute()), is_bound });
        }
        Step::MakeCurrent => found.current = Some("1".to_owned()),
        Step::Ramp { percentage } => {
            found.ramping = Some(("1".to_owned(), f32::from(*percentage)));
        }
        Step::UpdateCode | Step::UpdateConfiguration(_) | Step::Wake => {}
    }
}

/// Everything is there, and this is wanted of it.
fn finished(wanted: &Wanted) -> Found {
    let mut found = Found::default();
    for step in steps(wanted, &found) {
        take(&step, &mut found, wanted);
    }
    found
}

fn steps(wanted: &Wanted, found: &Found) -> Vec<Step> {
    plan(&names(), wanted, found).expect("a plan").steps
}

#[test]
fn a_plan_that_is_interrupted_after_any_step_goes_on_with_the_next() {
    let wanted = wanted();
    let all = steps(&wanted, &Found::default());
    assert_eq!(all.len(), 10);
    let mut found = Found::default();
    for taken in 0..all.len() {
        let mut left = steps(&wanted, &found);
        // Whoever was interrupted while waiting for the first poll invokes the function again.
        left.retain(|step| *step != Step::Wake);
        assert_eq!(left, all[taken..], "after {taken} steps");
        take(&all[taken], &mut found, &wanted);
    }
    assert_eq!(steps(&wanted, &found), []);
}

#[test]
fn another_setting_or_other_code_makes_another_version_and_the_rest_stays() {
    let before = wanted();
    let found = finished(&before);
    let next =
        [Step::Publish, Step::NoRetries, Step::CreateVersion, Step::AwaitQueues, Step::MakeCurrent];
    let code = Wanted { sha256: "other".to_owned(), ..before.clone() };
    let [first, rest @ ..] = &steps(&code, &found)[..] else { panic!("no steps") };
    assert_eq!(*first, Step::UpdateCode);
    assert_eq!(rest, next);
    let set = Wanted { variables: variables(&[("NEW", "1")]), memory: Some(512), ..before };
    let [first, rest @ ..] = &steps(&set, &found)[..] else { panic!("no steps") };
    let all = variables(&[("NEW", "1"), ("TEMPORAL_ADDRESS", "a:7233")]);
    let update = Update { memory: Some(512), variables: Some(Variables(all)), ..Update::default() };
    assert_eq!(*first, Step::UpdateConfiguration(update));
    assert_eq!(rest, next);
}

#[test]
fn code_that_was_changed_elsewhere_since_the_last_version_is_published() {
    let wanted = wanted();
    let mut found = finished(&wanted);
    found.newest.as_mut().expect("a version").lambda.code_sha256 = "older".to_owned();
    assert_eq!(steps(&wanted, &found).first(), Some(&Step::Publish));
}

#[test]
fn a_version_that_a_poll_made_gets_the_function_to_call() {
    let wanted = wanted();
    let mut found = finished(&wanted);
    let newest = found.newest.as_mut().expect("a version");
    newest.known = Some(Known { compute: None, is_bound: true });
    assert_eq!(steps(&wanted, &found), [Step::SetCompute(None)]);
}

#[test]
fn a_role_of_temporals_stays_unless_another_is_given() {
    let before = wanted();
    let found = finished(&before);
    let silent = Wanted { invoke_role: None, ..before.clone() };
    assert_eq!(steps(&silent, &found), []);
    let role = InvokeRole { arn: "arn:other".to_owned(), external_id: "id".to_owned() };
    let other = Wanted { invoke_role: Some(role), ..before };
    assert!(matches!(steps(&other, &found)[..], [Step::SetCompute(Some(_))]));
}

#[test]
fn a_ramp_goes_up_and_needs_a_current_version_to_begin_from() {
    let ramp = |percentage| Wanted { traffic: Traffic::Ramp(percentage), ..wanted() };
    let refused = plan(&names(), &ramp(10), &Found::default());
    assert!(matches!(refused, Err(DeployError::NothingToRampFrom { .. })));
    let mut found = finished(&wanted());
    assert_eq!(steps(&ramp(10), &found), [], "a current version has all of the workflows");
    found.current = Some("0".to_owned());
    assert_eq!(steps(&ramp(10), &found), [Step::Ramp { percentage: 10 }]);
    found.ramping = Some(("1".to_owned(), 10.0));
    assert_eq!(steps(&ramp(10), &found), []);
    assert_eq!(steps(&ramp(50), &found), [Step::Ramp { percentage: 50 }]);
    assert_eq!(steps(&wanted(), &found), [Step::MakeCurrent]);
}

#[test]
fn the_build_id_has_one_source() {
    let set =
        |name: &str, value: &str| Wanted { variables: variables(&[(name, value)]), ..wanted() };
    let refused = plan(&names(), &set(BUILD_ID, "7"), &Found::default());
    assert!(matches!(refused, Err(DeployError::OtherBuildId { .. })));
    // Of a function that exists, too; and it can be taken away.
    let mut found = finished(&wanted());
    let latest = &mut found.function.as_mut().expect("a function").latest;
    latest.set_variables(Variables(variables(&[(BUILD_ID, "7")])));
    assert!(plan(&names(), &wanted(), &found).is_err());
    let unset = Wanted { unset: vec![BUILD_ID.to_owned()], ..wanted() };
    assert!(plan(&names(), &unset, &found).is_ok());
}

#[test]
fn a_function_polls_for_a_deployment_of_another_name_when_it_is_told() {
    let names = Names { deployment: "orders".to_owned(), ..names() };
    let steps = plan(&names, &wanted(), &Found::default()).expect("a plan").steps;
    let created = steps.iter().find_map(|step| match step {
        Step::CreateFunction { variables, .. } => variables.0.get(DEPLOYMENT_NAME),
        _ => None,
    });
    assert_eq!(created.map(String::as_str), Some("orders"));
}

#[test]
fn a_new_function_needs_a_role() {
    let refused = plan(&names(), &Wanted { role: None, ..wanted() }, &Found::default());
    assert!(matches!(refused, Err(DeployError::NoRole { .. })));
}
