//! Forms and query strings.

/// The fields of an `application/x-www-form-urlencoded` text, in order.
pub(super) fn parse(body: &str) -> Vec<(String, String)> {
    body.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let ahead = bytes.clone();
                let digits: Vec<u8> = ahead.take(2).collect();
                let code = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|digits| digits.len() == 2)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                if code.is_some() {
                    bytes.nth(1);
                }
                // A lone `%` stands for itself.
                code.unwrap_or(b'%')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_forms() {
        let form = parse("Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A0%3Arole%2Fa+b&x=%zz&y");
        let expected = [
            ("Action", "AssumeRole"),
            ("RoleArn", "arn:aws:iam::0:role/a b"),
            ("x", "%zz"),
            ("y", ""),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(form, expected);
    }
}
