//! Masks secrets in a URL.

use crate::capture::{REDACTED, Rules};

/// Masks the password in `//user:password@host`, and the values of parameters whose name is on the
/// mask. Parameters are found in the path, the query and the fragment.
pub(crate) fn masked_url(url: &str, rules: &Rules) -> String {
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
