//! What AWS says when somebody may not do something.

use super::action::Action;

/// A refusal, taken apart: who may not do what, and with what.
#[derive(Debug, PartialEq)]
pub(crate) struct Denied {
    principal: String,
    /// Not always what was called: whoever gives a function its role needs `iam:PassRole`.
    action: String,
    resource: Option<String>,
    /// Some policy forbids it, so that another that allows it is no help.
    is_forbidden: bool,
}

impl Denied {
    /// What `message` says of the refusal of `action`, which was called with the access key `key_id`.
    pub(super) fn new(action: Action, key_id: &str, message: &str) -> Self {
        let after = |mark: &str| message.split_once(mark).map(|(_, rest)| rest);
        let word = |text: &str| {
            let word = text.split_whitespace().next().unwrap_or_default();
            word.trim_end_matches(['.', ',']).to_owned()
        };
        Self {
            principal: after("User: ").map_or_else(|| format!("the access key {key_id}"), word),
            action: after("not authorized to perform: ").map_or_else(|| action.to_string(), word),
            resource: after("on resource: ").map(word),
            is_forbidden: message.contains("explicit deny"),
        }
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { principal, action, resource, is_forbidden } = self;
        let resource = resource.as_deref().unwrap_or("*");
        write!(f, "AWS denies {action} to {principal}, on {resource}. ")?;
        if *is_forbidden {
            return f.write_str(
                "A policy forbids it in so many words (an explicit deny, also of the organization or as a permissions \
                 boundary): whoever administers the account has to change that policy",
            );
        }
        write!(
            f,
            "Add this to a policy of that identity: \
             {{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"{resource}\"}}. The guide's \
             chapter on deploying has the whole policy"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_the_principal_the_action_and_what_to_add() {
        let said = "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: lambda:CreateFunction on \
                    resource: arn:aws:lambda:eu-west-1:123456789012:function:hello because no identity-based policy \
                    allows the lambda:CreateFunction action";
        let shown = Denied::new(Action::CreateFunction, "AKIA", said).to_string();
        let expected = "AWS denies lambda:CreateFunction to arn:aws:iam::123456789012:user/ada, on \
                        arn:aws:lambda:eu-west-1:123456789012:function:hello. Add this to a policy of that identity: \
                        {\"Effect\": \"Allow\", \"Action\": \"lambda:CreateFunction\", \"Resource\": \
                        \"arn:aws:lambda:eu-west-1:123456789012:function:hello\"}. The guide's chapter on deploying \
                        has the whole policy";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_denial_names_the_permission_that_is_missing_and_not_the_call() {
        let said = "User: arn:aws:sts::1:assumed-role/ci/run is not authorized to perform: iam:PassRole on resource: \
                    arn:aws:iam::1:role/hello because no identity-based policy allows the iam:PassRole action";
        let shown = Denied::new(Action::CreateFunction, "AKIA", said).to_string();
        assert!(
            shown.contains("denies iam:PassRole to arn:aws:sts::1:assumed-role/ci/run"),
            "{shown}"
        );
    }

    #[test]
    fn a_denial_in_other_words_names_the_call_and_the_access_key() {
        let shown = Denied::new(Action::GetFunction, "AKIA", "no").to_string();
        assert!(
            shown.starts_with("AWS denies lambda:GetFunction to the access key AKIA, on *."),
            "{shown}"
        );
    }

    #[test]
    fn an_explicit_deny_is_not_answered_with_a_policy_that_allows() {
        let said =
            "User: a is not authorized to perform: b on resource: c with an explicit deny in d";
        let shown = Denied::new(Action::GetFunction, "AKIA", said).to_string();
        assert!(shown.contains("explicit deny") && !shown.contains("Add this"), "{shown}");
    }
}
