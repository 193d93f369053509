//! The words of the attribute, and what to say to a word that is none of them.

/// Every word, with the form it takes; the list that error messages show.
pub(crate) const WORDS: &[(&str, &str)] = &[
    ("action", "action = \"…\""),
    ("skip", "skip(argument, …)"),
    ("skip_all", "skip_all"),
    ("skip_output", "skip_output"),
    ("redact", "redact(argument, …)"),
    ("debug", "debug(argument, …)"),
    ("fields", "fields(name = expression, …)"),
    ("target", "target = (type, id)"),
    ("reason", "reason = expression"),
    ("capture", "capture = \"none|metadata|input|full\""),
    ("log", "log = \"off|error|warn|info|debug|trace\""),
    ("durability", "durability = \"queued|process|power\""),
    ("on_audit_failure", "on_audit_failure = \"continue|refuse\""),
    ("crate", "crate = path"),
];

/// Words of `tracing::instrument` and of plain language, and ours for them.
const OTHERS: &[(&str, &str)] = &[
    ("name", "action"),
    ("level", "log"),
    ("mask", "redact"),
    ("hide", "redact"),
    ("skip_ret", "skip_output"),
    ("ignore", "skip"),
];

/// The message for `word`, which is not in [`WORDS`].
pub(crate) fn unknown(word: &str) -> String {
    let mut message = format!("unknown word `{word}`");
    if let Some((_, ours)) = OTHERS.iter().find(|(other, _)| *other == word) {
        message.push_str(&format!("; here it is `{ours}`"));
    } else if let Some(near) = nearest(word, WORDS.iter().map(|(name, _)| *name)) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    message.push_str("\nallowed are:");
    for (_, form) in WORDS {
        message.push_str("\n    ");
        message.push_str(form);
    }
    message
}

/// The candidate nearest to `word`, if one is near enough to be a slip.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min()
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len().min(word.len()) / 4)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance; words are short, so the plain algorithm will do.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.chars().enumerate() {
            let substitute = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let names = || WORDS.iter().map(|(name, _)| *name);
        assert_eq!(nearest("acton", names()), Some("action"));
        assert_eq!(nearest("skipall", names()), Some("skip_all"));
        assert_eq!(nearest("level", names()), None);
    }
}
