//! The words of `#[audited_fields(...)]`, and what to say to a word that is none of them.

use crate::words::nearest;

/// What may be said of one field, in parentheses after its name.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("redact", "redact"),
    ("debug", "debug"),
    ("set", "set"),
    ("with", "with = path"),
    ("rename", "rename = \"…\""),
    ("was", "was = \"…\""),
];

/// What may be said of the struct, after the semicolon.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("key", "key = field"),
    ("label", "label = field"),
    ("name", "name = \"…\""),
    ("was", "was = \"…\""),
    ("parent", "parent = Type(field, …)"),
    ("crate", "crate = path"),
];

/// Words of serde and of plain language, and ours for them.
const OTHER_OPTIONS: &[(&str, &str)] = &[
    ("alias", "was"),
    ("name", "rename"),
    ("mask", "redact"),
    ("hide", "redact"),
    ("secret", "redact"),
    ("serialize_with", "with"),
    ("unordered", "set"),
];

const OTHER_WORDS: &[(&str, &str)] = &[
    ("id", "key"),
    ("primary_key", "key"),
    ("rename", "name"),
    ("alias", "was"),
    ("display", "label"),
    ("title", "label"),
];

/// The message for an option of a field that there is not.
pub(super) fn unknown_option(word: &str) -> String {
    unknown(&format!("a field has no option `{word}`"), word, OPTIONS, OTHER_OPTIONS)
}

/// The message for a word after the semicolon that there is not.
pub(super) fn unknown_word(word: &str) -> String {
    unknown(&format!("unknown word `{word}` after the `;`"), word, WORDS, OTHER_WORDS)
}

fn unknown(what: &str, word: &str, known: &[(&str, &str)], others: &[(&str, &str)]) -> String {
    let mut message = what.to_owned();
    if let Some((_, ours)) = others.iter().find(|(other, _)| *other == word) {
        message.push_str(&format!("; here it is `{ours}`"));
    } else if let Some(near) = nearest(word, known.iter().map(|(name, _)| *name)) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    message.push_str("\nallowed are:");
    for (_, form) in known {
        message.push_str("\n    ");
        message.push_str(form);
    }
    message
}

/// How `word` is written: `` `key = field` ``.
pub(super) fn form(known: &[(&str, &str)], word: &str) -> String {
    let form = known.iter().find(|(name, _)| *name == word).map_or(word, |(_, form)| form);
    format!("`{form}`")
}

pub(super) fn is_in(known: &[(&str, &str)], word: &str) -> bool {
    known.iter().any(|(name, _)| *name == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_word_gets_the_right_one() {
        let first = |message: String| message.lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            first(unknown_option("redacted")),
            "a field has no option `redacted`; did you mean `redact`?"
        );
        assert_eq!(
            first(unknown_option("alias")),
            "a field has no option `alias`; here it is `was`"
        );
        assert_eq!(
            first(unknown_word("keys")),
            "unknown word `keys` after the `;`; did you mean `key`?"
        );
        assert_eq!(first(unknown_word("volume")), "unknown word `volume` after the `;`");
    }
}
