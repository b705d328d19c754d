//! How callers name a function.

use crate::function::arn;

/// A function as the caller wrote it, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) function: String,
    pub(crate) qualifier: Option<String>,
}

impl Name {
    /// From a name, partial ARN or ARN, with or without a qualifier.
    pub(crate) fn parse(text: &str) -> Self {
        let after = text.rsplit_once("function:").map_or(text, |(_, rest)| rest);
        match after.split_once(':') {
            Some((name, qualifier)) => {
                Self { function: name.to_owned(), qualifier: Some(qualifier.to_owned()) }
            }
            None => Self { function: after.to_owned(), qualifier: None },
        }
    }

    pub(crate) fn arn(&self) -> String {
        arn(&self.function, self.qualifier.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_in_many_ways() {
        let names = [
            ("worker", None),
            ("worker:7", Some("7")),
            ("000000000000:function:worker:live", Some("live")),
            ("arn:aws:lambda:us-east-1:000000000000:function:worker", None),
            ("arn:aws:lambda:us-east-1:000000000000:function:worker:$LATEST", Some("$LATEST")),
        ];
        for (text, qualifier) in names {
            let qualifier = qualifier.map(str::to_owned);
            assert_eq!(Name::parse(text), Name { function: "worker".to_owned(), qualifier });
        }
    }
}
