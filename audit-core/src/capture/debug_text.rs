//! Hides values by their names inside a `Debug` text.
//!
//! `#[derive(Debug)]` and the maps of the standard library write `name: value` and
//! `"name": value`, with texts in quotes and brackets in pairs. So a hidden name and the end of
//! its value can be found. A hand-written `Debug` may have another form; then nothing is found.

use crate::capture::mask::Mask;
use crate::capture::policy::REDACTED;

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

/// Where the value at the start of `text` ends: at a comma, or at a bracket that it has not opened.
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
            // A character in quotes may be a bracket or a quote: `'}'`, `'\''`, `'\u{7f}'`.
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

    fn assert_masked(text: &str, expected: &str) {
        let mask = Mask::default();
        assert_eq!(masked(text, &mask).as_deref().unwrap_or(text), expected);
    }

    #[test]
    fn fields_and_keys_are_masked_without_their_neighbours() {
        assert_masked(
            r#"Login { user: "a", password: "p\", x: \"q", api_key: Some(Key { id: [1, 2] }), n: 1 }"#,
            r#"Login { user: "a", password: [redacted], api_key: [redacted], n: 1 }"#,
        );
        assert_masked(
            r#"{"user": 1, "API-KEY": ("x", '}'), "n": 2}"#,
            r#"{"user": 1, "API-KEY": [redacted], "n": 2}"#,
        );
        assert_masked(r#"Pin { secret: '\'' }"#, "Pin { secret: [redacted] }");
        assert_masked(
            r#"[Item { token: "t" }, Item { token: "u" }]"#,
            "[Item { token: [redacted] }, Item { token: [redacted] }]",
        );
    }

    #[test]
    fn a_value_that_was_cut_is_hidden_to_its_end() {
        assert_masked(r#"Login { password: "hunt… [cut]"#, "Login { password: [redacted]");
    }

    #[test]
    fn other_text_is_unchanged() {
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
            assert_masked(text, text);
        }
    }
}
