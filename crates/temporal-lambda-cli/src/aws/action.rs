//! What a deployment does in AWS, by the names that IAM has for it.

use std::fmt;

macro_rules! actions {
    ($($action:ident = $name:literal,)*) => {
        /// A call of AWS, and the permission that it takes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Action { $($action,)* }

        impl Action {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$action,)*];

            /// As in a policy: `lambda:GetFunction`.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$action => $name,)* }
            }
        }
    };
}

actions! {
    CreateFunction = "lambda:CreateFunction",
    CreateLogGroup = "logs:CreateLogGroup",
    DeleteFunction = "lambda:DeleteFunction",
    DescribeLogGroups = "logs:DescribeLogGroups",
    GetFunction = "lambda:GetFunction",
    GetFunctionConfiguration = "lambda:GetFunctionConfiguration",
    GetFunctionEventInvokeConfig = "lambda:GetFunctionEventInvokeConfig",
    InvokeFunction = "lambda:InvokeFunction",
    ListVersionsByFunction = "lambda:ListVersionsByFunction",
    PublishVersion = "lambda:PublishVersion",
    PutFunctionConcurrency = "lambda:PutFunctionConcurrency",
    PutFunctionEventInvokeConfig = "lambda:PutFunctionEventInvokeConfig",
    PutRetentionPolicy = "logs:PutRetentionPolicy",
    UpdateFunctionCode = "lambda:UpdateFunctionCode",
    UpdateFunctionConfiguration = "lambda:UpdateFunctionConfiguration",
}

impl Action {
    /// The service, as signatures and hosts name it.
    pub(crate) fn service(self) -> &'static str {
        if self.name().starts_with("logs:") { "logs" } else { "lambda" }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Action;

    /// The names of the variants in what makes requests.
    fn called() -> BTreeSet<String> {
        let sources = [include_str!("lambda.rs"), include_str!("logs.rs")].concat();
        let rests = sources.split("Action::").skip(1);
        let names = rests
            .map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
        names.collect()
    }

    #[test]
    fn every_action_is_called() {
        let known: BTreeSet<_> = Action::ALL.iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(called(), known);
    }
}
