//! [`Mask`]: the names whose values are not recorded.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use crate::capture::decision_cache::{FIRST_MASK, cached};
use crate::capture::words::{split_ascii_words, split_words};

/// The names that [`Mask::default`] masks; the documentation of [`Mask`] lists them for users.
const DEFAULT_NAMES: &[&str] = &[
    // Passwords. The longer names match `userpassword`, which has no visible words.
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "user_password",
    "new_password",
    "old_password",
    "current_password",
    "password_hash",
    // Tokens and keys.
    "secret",
    "token",
    "access_token",
    "refresh_token",
    "auth_token",
    "id_token",
    "bearer",
    "jwt",
    "api_key",
    "access_key",
    "private_key",
    "secret_key",
    "signing_key",
    "encryption_key",
    "client_secret",
    "credential",
    "connection_string",
    "database_url",
    // Requests and sessions.
    "authorization",
    "cookie",
    "session_id",
    "session_key",
    "csrf",
    "xsrf",
    // One-time codes.
    "otp",
    "totp",
    "mfa_code",
    "verification_code",
    "recovery_code",
    // Payment cards and identity numbers.
    "card_number",
    "credit_card",
    "primary_account_number",
    "security_code",
    "card_pin",
    "pin_number",
    "cvv",
    "cvc",
    "ssn",
    "social_security_number",
];

static DEFAULT: LazyLock<Arc<HiddenNames>> =
    LazyLock::new(|| DEFAULT_NAMES.iter().fold(Mask::none(), |mask, name| mask.name(name)).0);

/// The names whose values are not recorded, at any depth: arguments, fields, map keys.
///
/// A name is compared by its words; case and separators do not matter: `api_key`, `apiKey`,
/// `API-KEY`, `x.api.key` and `apikey` are the same. A key is masked if it contains the words of a
/// listed name, or their plural, one after the other. `token` masks `access_token` and
/// `tokens_used`, but not `tokenizer`. A key that is given to [`except`](Self::except) is recorded.
///
/// The value of a masked key is not read: its `Serialize` does not run. It is recorded as
/// `"[redacted]"`. The name of an enum variant masks unnamed fields (`Token("…")`). Named fields
/// are masked by their own names, so `ResetPassword { user: 7 }` is recorded.
///
/// # The names masked by default
///
/// `password`, `passwd`, `pwd`, `passphrase`, `passcode`, `user_password`, `new_password`,
/// `old_password`, `current_password`, `password_hash`, `secret`, `token`, `access_token`,
/// `refresh_token`, `auth_token`, `id_token`, `bearer`, `jwt`, `api_key`, `access_key`,
/// `private_key`, `secret_key`, `signing_key`, `encryption_key`, `client_secret`, `credential`,
/// `connection_string`, `database_url`, `authorization`, `cookie`, `session_id`, `session_key`,
/// `csrf`, `xsrf`, `otp`, `totp`, `mfa_code`, `verification_code`, `recovery_code`,
/// `card_number`, `credit_card`, `primary_account_number`, `security_code`, `card_pin`,
/// `pin_number`, `cvv`, `cvc`, `ssn`, `social_security_number`.
///
/// `pin`, `pan`, `pass`, `auth`, `key` and `iban` are left out on purpose: as words, they often
/// name ordinary data. Add them if they name secrets in your program.
///
/// ```
/// use audited::Mask;
///
/// let mask = Mask::default().name("iban").except("token_count");
/// assert!(mask.matches("userPassword"));
/// assert!(mask.matches("X-API-Key"));
/// assert!(mask.matches("customer_iban"));
/// assert!(!mask.matches("token_count"));
/// assert!(!mask.matches("secretary"));
/// ```
#[derive(Clone)]
pub struct Mask(Arc<HiddenNames>);

#[derive(Clone)]
struct HiddenNames {
    /// Identifies the mask in the cache of decisions. An address would not do, since it is reused.
    id: u64,
    hidden: Vec<Box<str>>,
    excepted: Vec<Box<str>>,
    /// Which bytes hidden names begin with: this rules out most words of most keys.
    first_bytes: [bool; 256],
}

impl Mask {
    /// Masks nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(HiddenNames {
            id: next_id(),
            hidden: Vec::new(),
            excepted: Vec::new(),
            first_bytes: [false; 256],
        }))
    }

    /// Masks `name` too. A name without any letter or digit is ignored.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|names| {
            let name = normalized(name);
            if let Some(&first) = name.as_bytes().first() {
                names.first_bytes[usize::from(first)] = true;
                names.hidden.push(name);
            }
        })
    }

    /// Records the value of `key` although words in it are masked. Only a key of exactly these
    /// words is excepted.
    #[must_use]
    pub fn except(self, key: &str) -> Self {
        self.with(|names| names.excepted.push(normalized(key)))
    }

    /// Whether the value of `key` is masked.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        !self.is_none() && self.0.matches(key)
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.hidden.is_empty()
    }

    /// As [`matches`](Self::matches), for a name that lives as long as the program, such as that of
    /// a field. Each thread caches the result.
    #[inline]
    #[must_use]
    pub fn matches_static(&self, key: &'static str) -> bool {
        cached(key, self.0.id, |key| self.matches(key))
    }

    fn with(mut self, change: impl FnOnce(&mut HiddenNames)) -> Self {
        let names = Arc::make_mut(&mut self.0);
        change(names);
        names.id = next_id();
        self
    }
}

impl Default for Mask {
    /// Masks the names listed above.
    fn default() -> Self {
        Self(Arc::clone(&DEFAULT))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask")
            .field("hidden", &self.0.hidden)
            .field("excepted", &self.0.excepted)
            .finish()
    }
}

impl HiddenNames {
    fn matches(&self, key: &str) -> bool {
        // Most keys are short; they need no memory of the heap.
        const SHORT: usize = 64;
        if key.len() <= SHORT && key.is_ascii() {
            let (mut text, mut starts, mut len) = ([0; SHORT], [false; SHORT + 1], 0);
            split_ascii_words(key.as_bytes(), |byte, start| {
                (text[len], starts[len]) = (byte, start);
                len += 1;
            });
            starts[len] = true;
            self.matches_words(&text[..len], &starts[..=len])
        } else {
            let (mut text, mut starts) = (Vec::new(), Vec::new());
            split_words(key, |byte, start| {
                text.push(byte);
                starts.push(start);
            });
            starts.push(true);
            self.matches_words(&text, &starts)
        }
    }

    /// `starts[i]` says that a word starts at byte `i` of `text`; the end counts as a start.
    fn matches_words(&self, text: &[u8], starts: &[bool]) -> bool {
        let ends_at = |end: usize| starts[end] || (text[end] == b's' && starts[end + 1]);
        let found = (0..text.len()).any(|at| {
            starts[at]
                && self.first_bytes[usize::from(text[at])]
                && self
                    .hidden
                    .iter()
                    .any(|name| text[at..].starts_with(name.as_bytes()) && ends_at(at + name.len()))
        });
        found && !self.excepted.iter().any(|key| key.as_bytes() == text)
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(FIRST_MASK);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn normalized(name: &str) -> Box<str> {
    let mut bytes = Vec::with_capacity(name.len());
    split_words(name, |byte, _| bytes.push(byte));
    String::from_utf8(bytes).unwrap_or_default().into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_decisions_of_several_masks_are_kept_apart() {
        let key = "password";
        let (hides, none) = (Mask::default(), Mask::none());
        for _ in 0..3 {
            assert!(hides.matches_static(key));
            assert!(!none.matches_static(key));
            assert!(!Mask::default().except("password").matches_static(key));
        }
        // A part of the same text: same address, other length.
        assert!(!hides.matches_static(&key[..4]));
        assert!(hides.matches_static(key));
    }
}
