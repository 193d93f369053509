//! [`Url`]: a URL of the context, and how secrets in it are masked.

use audit_record::Truncation;
use audit_record::private::json::char_boundary;

use crate::capture::{CUT_MARK, REDACTED, Rules};

/// The bytes of a URL that are kept. It is cut before it is masked, so that masking has a limit.
const MAX_URL_BYTES: usize = 8 * 1_024;

/// A URL as it was set, at most 8 KiB of it.
#[derive(Clone)]
pub(crate) struct Url {
    text: String,
    /// The length of the whole URL, in bytes.
    whole: usize,
}

impl Url {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        let mut text: String = url.into();
        let whole = text.len();
        text.truncate(char_boundary(&text, MAX_URL_BYTES));
        text.shrink_to_fit();
        Self { text, whole }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What was cut.
    pub(crate) fn cut(&self) -> Option<Truncation> {
        let (kept, was) = (self.text.len(), self.whole);
        (kept < was).then(|| Truncation::new("context.url", "bytes", kept as u64, Some(was as u64)))
    }

    /// The URL without its secrets.
    pub(crate) fn masked(&self, rules: &Rules) -> String {
        let Self { text, whole } = self;
        if self.cut().is_none() {
            return masked_url(text, rules);
        }
        // If the end of the host is missing, what is left may be a part of a password.
        let masked = match text.split_once("://") {
            Some((scheme, after)) if !after.contains(['/', '?', '#']) => {
                format!("{scheme}://{REDACTED}")
            }
            _ => masked_url(text, rules),
        };
        format!("{masked}… {CUT_MARK}: {whole} bytes]")
    }
}

/// Masks the password in `//user:password@host`, and the values of parameters whose name is on the
/// mask. Parameters are found in the path, the query and the fragment.
fn masked_url(url: &str, rules: &Rules) -> String {
    let mut masked = String::with_capacity(url.len());
    let mut rest = url;
    if let Some((scheme, after)) = url.split_once("://") {
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        masked.push_str(scheme);
        masked.push_str("://");
        match after[..end].rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((user, _)), host)) => {
                masked.push_str(&format!("{user}:{REDACTED}@{host}"));
            }
            _ => masked.push_str(&after[..end]),
        }
        rest = &after[end..];
    }
    for part in rest.split_inclusive(['/', '?', '#', '&', ';']) {
        let (pair, end) = match part.char_indices().next_back() {
            Some((at, c)) if "/?#&;".contains(c) => part.split_at(at),
            _ => (part, ""),
        };
        match pair.split_once('=') {
            Some((name, _)) if rules.mask.matches(&percent_decoded(name)) => {
                masked.push_str(&format!("{name}={REDACTED}"));
            }
            _ => masked.push_str(pair),
        }
        masked.push_str(end);
    }
    masked
}

/// `pass%77ord` → `password`
fn percent_decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let decoded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match decoded.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
