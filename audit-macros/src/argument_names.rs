//! Every argument name that the attributes accept, and the message for a name that they do not.

/// The names that are accepted in one place.
pub(crate) struct ArgumentNames {
    /// What a message calls one of them: `argument`.
    noun: &'static str,
    /// Each name with its form, as messages show it.
    forms: &'static [(&'static str, &'static str)],
    /// Names that other crates or plain English use, and the accepted name for the same thing.
    synonyms: &'static [(&'static str, &'static str)],
}

/// The arguments of `#[audit_method(…)]`. The synonyms are from `tracing::instrument`.
pub(crate) const METHOD_ARGUMENTS: ArgumentNames = ArgumentNames {
    noun: "argument",
    forms: &[
        ("action", "action = \"…\""),
        ("skip", "skip(parameter, …)"),
        ("skip_all", "skip_all"),
        ("skip_output", "skip_output"),
        ("redact", "redact(parameter, …)"),
        ("debug", "debug(parameter, …)"),
        ("fields", "fields(name = expression, …)"),
        ("target", "target = (type, id)"),
        ("reason", "reason = expression"),
        ("failed_if", "failed_if = |value| condition"),
        ("capture", "capture = \"none|metadata|input|full\""),
        ("log", "log = \"off|error|warn|info|debug|trace\""),
        ("durability", "durability = \"queued|process|power\""),
        ("on_audit_failure", "on_audit_failure = \"continue|refuse\""),
        ("crate", "crate = path"),
    ],
    synonyms: &[
        ("name", "action"),
        ("level", "log"),
        ("mask", "redact"),
        ("hide", "redact"),
        ("skip_ret", "skip_output"),
        ("ignore", "skip"),
        ("fail_if", "failed_if"),
    ],
};

/// What `#[audited_fields(…)]` accepts in parentheses after a field. The synonyms are from serde.
pub(crate) const FIELD_OPTIONS: ArgumentNames = ArgumentNames {
    noun: "field option",
    forms: &[
        ("redact", "redact"),
        ("debug", "debug"),
        ("set", "set"),
        ("with", "with = path"),
        ("rename", "rename = \"…\""),
        ("was", "was = \"…\""),
    ],
    synonyms: &[
        ("alias", "was"),
        ("name", "rename"),
        ("mask", "redact"),
        ("hide", "redact"),
        ("secret", "redact"),
        ("serialize_with", "with"),
        ("unordered", "set"),
    ],
};

/// What `#[audited_fields(…)]` accepts after the semicolon.
pub(crate) const STRUCT_OPTIONS: ArgumentNames = ArgumentNames {
    noun: "struct option",
    forms: &[
        ("key", "key = field"),
        ("label", "label = field"),
        ("name", "name = \"…\""),
        ("was", "was = \"…\""),
        ("parent", "parent = Type(field, …)"),
        ("crate", "crate = path"),
    ],
    synonyms: &[
        ("id", "key"),
        ("primary_key", "key"),
        ("rename", "name"),
        ("alias", "was"),
        ("display", "label"),
        ("title", "label"),
    ],
};

impl ArgumentNames {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// How the argument `name` is written, in backticks: `` `key = field` ``.
    pub(crate) fn form(&self, name: &str) -> String {
        let form = self.forms.iter().find(|(known, _)| *known == name);
        format!("`{}`", form.map_or(name, |(_, form)| form))
    }

    /// The message where something other than a name stands.
    pub(crate) fn expected(&self) -> String {
        format!("expected {}, such as `{}`", self.noun, self.forms[0].1)
    }

    /// The message for `name`, which is not accepted.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let noun = self.noun;
        let mut message = format!("unknown {noun} `{name}`");
        if let Some((_, accepted)) = self.synonyms.iter().find(|(synonym, _)| *synonym == name) {
            message.push_str(&format!("; use `{accepted}` instead"));
        } else if let Some(near) = nearest(name, self.names()) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        message.push_str(&format!("\nallowed {noun}s:"));
        for (_, form) in self.forms {
            message.push_str(&format!("\n    {form}"));
        }
        message
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.forms.iter().map(|(name, _)| *name)
    }
}

/// The candidate most similar to `name`, if it is similar enough to be a typing error.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .min()
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len().min(name.len()) / 4)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance. Names are short, so the plain algorithm is fast enough.
fn edit_distance(left: &str, right: &str) -> usize {
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
    fn nearest_corrects_typing_errors_only() {
        assert_eq!(nearest("acton", METHOD_ARGUMENTS.names()), Some("action"));
        assert_eq!(nearest("skipall", METHOD_ARGUMENTS.names()), Some("skip_all"));
        assert_eq!(nearest("level", METHOD_ARGUMENTS.names()), None);
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        let first_line = |message: String| message.lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            first_line(FIELD_OPTIONS.unknown("redacted")),
            "unknown field option `redacted`; did you mean `redact`?"
        );
        assert_eq!(
            first_line(FIELD_OPTIONS.unknown("alias")),
            "unknown field option `alias`; use `was` instead"
        );
        assert_eq!(
            first_line(STRUCT_OPTIONS.unknown("keys")),
            "unknown struct option `keys`; did you mean `key`?"
        );
        assert_eq!(first_line(STRUCT_OPTIONS.unknown("volume")), "unknown struct option `volume`");
    }
}
