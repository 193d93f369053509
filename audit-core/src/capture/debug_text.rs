//! Masking by name inside the text of a `Debug`.
//!
//! `#[derive(Debug)]`, and the standard library's maps, write `name: value` and `"name": value`, with texts in
//! quotes and all else balanced. That is form enough to find a name that is to be hidden, and the end of
//! its value. A `Debug` written by hand may have another form; then nothing is found.

use crate::capture::mask::Mask;
use crate::capture::redacted::REDACTED;

/// `text` with the values of hidden names replaced; `None` if there are none.
pub(crate) fn masked(text: &str, mask: &Mask) -> Option<String> {
    let (mut out, mut kept) = (String::new(), 0);
    let mut at = 0;
    while let Some(found) = text[at..].find(':') {
        let colon = at + found;
        at = colon + 1;
        // `a::b` is a path.
        if text[at..].starts_with(':') {
            at += 1;
            continue;
        }
        if !text[at..].starts_with(' ')
            || !name_before(&text[kept..colon]).is_some_and(|name| mask.matches(name))
        {
            continue;
        }
        out.push_str(&text[kept..=at]);
        out.push_str(REDACTED);
        at += 1;
        at += end_of_value(&text[at..]);
        kept = at;
    }
    (kept > 0).then(|| out + &text[kept..])
}

/// The name that ends where `text` ends, with or without quotes.
fn name_before(text: &str) -> Option<&str> {
    if let Some(text) = text.strip_suffix('"') {
        return text.rfind('"').map(|at| &text[at + 1..]);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let start = text.char_indices().rev().take_while(|(_, c)| is_part(*c)).last()?.0;
    Some(&text[start..])
}

/// Where the value at the beginning of `text` ends: at a comma or a bracket that it has not opened itself.
fn end_of_value(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                while let Some((_, c)) = chars.next()
                    && c != '"'
                {
                    if c == '\\' {
                        chars.next();
                    }
                }
            }
            // A character in quotes: what it is does not count, be it a bracket. `'\''`, `'\u{7f}'`, `'}'`.
            '\'' => {
                if let Some((_, '\\')) = chars.next() {
                    chars.next();
                }
                chars.by_ref().find(|&(_, c)| c == '\'');
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' | ',' if depth == 0 => return text[..at].trim_end().len(),
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(text: &str, expected: &str) {
        let mask = Mask::default();
        assert_eq!(masked(text, &mask).as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn fields_and_keys_are_masked_and_their_neighbours_stay() {
        is(
            r#"Login { user: "a", password: "p\", x: \"q", api_key: Some(Key { id: [1, 2] }), n: 1 }"#,
            r#"Login { user: "a", password: [redacted], api_key: [redacted], n: 1 }"#,
        );
        is(
            r#"{"user": 1, "API-KEY": ("x", '}'), "n": 2}"#,
            r#"{"user": 1, "API-KEY": [redacted], "n": 2}"#,
        );
        is(r#"Pin { secret: '\'' }"#, "Pin { secret: [redacted] }");
        is(
            r#"[Item { token: "t" }, Item { token: "u" }]"#,
            "[Item { token: [redacted] }, Item { token: [redacted] }]",
        );
    }

    #[test]
    fn what_is_cut_is_hidden_to_its_end() {
        is(r#"Login { password: "hunt… [cut]"#, "Login { password: [redacted]");
    }

    #[test]
    fn all_else_stays() {
        for text in [
            "",
            ":",
            "a: 1",
            "secret::Path { n: 1 }",
            "secret:5",
            r#"": ""#,
            "é: è",
            ": x",
            "token",
        ] {
            is(text, text);
        }
    }
}
