//! [`Mask`]: which names hide the value they belong to.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

/// The names that [`Mask::default`] hides; the documentation of [`Mask`] lists them for users.
const DEFAULT_NAMES: &[&str] = &[
    // Passwords. The joined forms catch `userpassword`, which has no visible words.
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
    // Cards and persons.
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

static DEFAULT: LazyLock<Arc<Names>> =
    LazyLock::new(|| DEFAULT_NAMES.iter().fold(Mask::none(), |mask, name| mask.name(name)).0);

/// The names whose values are not recorded, at any depth: arguments, fields, map keys.
///
/// A name is compared by its words, whatever their case and whatever stands between them:
/// `api_key`, `apiKey`, `API-KEY`, `x.api.key` and `apikey` are the same. A key is hidden if the
/// words of a listed name, or their plural, stand in it one after the other: `token` hides
/// `access_token` and `tokens_used`, but not `tokenizer`. A key that is excepted as a whole by
/// [`except`](Self::except) is recorded.
///
/// The value of a hidden key is not even read: its `Serialize` does not run. It is recorded as
/// `"[redacted]"`. The variant of an enum hides an unnamed value in it (`Token("…")`), while
/// fields of a struct variant go by their own names (`ResetPassword { user: 7 }`).
///
/// # The names hidden by default
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
/// `pin`, `pan`, `pass`, `auth`, `key` and `iban` are left out on purpose: as words they stand
/// for ordinary data too often. Add them where they don't.
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
pub struct Mask(Arc<Names>);

#[derive(Clone)]
struct Names {
    /// Tells masks apart in the cache. An address would not do: it is used again.
    id: u64,
    hidden: Vec<Box<str>>,
    excepted: Vec<Box<str>>,
    /// Which bytes a hidden name begins with: most words of most keys are passed over by it.
    first: [bool; 256],
}

impl Mask {
    /// Hides nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Names {
            id: next_id(),
            hidden: Vec::new(),
            excepted: Vec::new(),
            first: [false; 256],
        }))
    }

    /// Hides `name` too. A name without any letter or digit is left out.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|names| {
            let name = joined(name);
            if let Some(&first) = name.as_bytes().first() {
                names.first[usize::from(first)] = true;
                names.hidden.push(name);
            }
        })
    }

    /// Records `key` although words in it are hidden. Only a key of just these words is meant.
    #[must_use]
    pub fn except(self, key: &str) -> Self {
        self.with(|names| names.excepted.push(joined(key)))
    }

    /// Whether the value of `key` is hidden.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        !self.is_none() && self.0.matches(key)
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.hidden.is_empty()
    }

    /// As [`matches`](Self::matches), for a name that lives as long as the program, such as a
    /// field's: a thread decides about it once and then remembers.
    #[inline]
    #[must_use]
    pub fn matches_static(&self, key: &'static str) -> bool {
        remembered(key, self.0.id, |key| self.matches(key))
    }

    fn with(mut self, change: impl FnOnce(&mut Names)) -> Self {
        let names = Arc::make_mut(&mut self.0);
        change(names);
        names.id = next_id();
        self
    }
}

impl Default for Mask {
    /// Hides the names listed above.
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

impl Names {
    fn matches(&self, key: &str) -> bool {
        const SHORT: usize = 64;
        if key.len() <= SHORT && key.is_ascii() {
            let (mut text, mut starts, mut len) = ([0; SHORT], [false; SHORT + 1], 0);
            split_ascii(key.as_bytes(), |byte, start| {
                (text[len], starts[len]) = (byte, start);
                len += 1;
            });
            starts[len] = true;
            self.found_in(&text[..len], &starts[..=len])
        } else {
            let (mut text, mut starts) = (Vec::new(), Vec::new());
            split(key, |byte, start| {
                text.push(byte);
                starts.push(start);
            });
            starts.push(true);
            self.found_in(&text, &starts)
        }
    }

    /// `starts[i]`: a word starts at byte `i` of `text`; the end of the text counts as one.
    fn found_in(&self, text: &[u8], starts: &[bool]) -> bool {
        let ends_at = |end: usize| starts[end] || (text[end] == b's' && starts[end + 1]);
        let found = (0..text.len()).any(|at| {
            starts[at]
                && self.first[usize::from(text[at])]
                && self
                    .hidden
                    .iter()
                    .any(|name| text[at..].starts_with(name.as_bytes()) && ends_at(at + name.len()))
        });
        found && !self.excepted.iter().any(|key| key.as_bytes() == text)
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(HINTS + 1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn joined(name: &str) -> Box<str> {
    let mut bytes = Vec::with_capacity(name.len());
    split(name, |byte, _| bytes.push(byte));
    String::from_utf8(bytes).unwrap_or_default().into_boxed_str()
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Separator,
    Upper,
    Lower,
    Digit,
}

const ASCII: [Class; 128] = {
    let mut table = [Class::Separator; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            _ => Class::Separator,
        };
        byte += 1;
    }
    table
};

fn class(c: char) -> Class {
    match ASCII.get(c as usize) {
        Some(&class) => class,
        None if !c.is_alphanumeric() => Class::Separator,
        None if c.is_uppercase() => Class::Upper,
        None if c.is_numeric() => Class::Digit,
        None => Class::Lower,
    }
}

/// Whether a word starts at a letter or digit.
#[inline]
fn starts_word(before: Class, this: Class, next: impl FnOnce() -> Class) -> bool {
    match (before, this) {
        // The last capital of `APIKey` begins the next word.
        (Class::Upper, Class::Upper) => next() == Class::Lower,
        (Class::Upper, Class::Lower) => false,
        (before, this) => before != this,
    }
}

/// Gives the letters and digits of `key` in lower case, each with whether a word starts there.
fn split(key: &str, mut push: impl FnMut(u8, bool)) {
    let mut before = Class::Separator;
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        let this = class(c);
        if this != Class::Separator {
            let next = || chars.peek().map_or(Class::Separator, |&next| class(next));
            let mut start = starts_word(before, this, next);
            for lower in c.to_lowercase() {
                for &byte in lower.encode_utf8(&mut [0; 4]).as_bytes() {
                    push(byte, std::mem::take(&mut start));
                }
            }
        }
        before = this;
    }
}

/// As [`split`], for the keys that are met most; maps have one for every entry.
#[inline]
fn split_ascii(key: &[u8], mut push: impl FnMut(u8, bool)) {
    let class = |byte: u8| ASCII[usize::from(byte & 127)];
    let mut before = Class::Separator;
    for (at, &byte) in key.iter().enumerate() {
        let this = class(byte);
        if this != Class::Separator {
            let next = || key.get(at + 1).map_or(Class::Separator, |&next| class(next));
            push(byte.to_ascii_lowercase(), starts_word(before, this, next));
        }
        before = this;
    }
}

/// Whether `T` is, or holds, a type of the crate `secrecy`, by its name: it is never recorded,
/// even if it can be serialised.
///
/// ```
/// use audit_core::capture::is_secret_type;
/// assert!(!is_secret_type::<Vec<String>>());
/// ```
#[inline]
#[must_use]
pub fn is_secret_type<T: ?Sized>() -> bool {
    let name = std::any::type_name::<T>();
    // Known while compiling: costs nothing for numbers and the like.
    name.len() > CRATE.len() && remembered(name, TYPES, names_secret_type)
}

const CRATE: &str = "secrecy::";
/// What the cache files types under, by what is asked of them; no mask has these ids.
const TYPES: u64 = 1;
pub(crate) const HINTS: u64 = 2;

fn names_secret_type(name: &str) -> bool {
    let inside_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    name.match_indices(CRATE).any(|(at, _)| !name[..at].ends_with(inside_word))
}

/// A decision about a text that never moves nor changes, so its address stands for it.
struct Decision {
    address: Cell<usize>,
    len: Cell<usize>,
    id: Cell<u64>,
    yes: Cell<bool>,
}

const SLOTS: usize = 128;

impl Decision {
    const fn none() -> Self {
        Self { address: Cell::new(0), len: Cell::new(0), id: Cell::new(0), yes: Cell::new(false) }
    }

    /// Cell by cell, so that a look at one of them copies no more than what it compares.
    #[inline]
    fn on(&self, address: usize, len: usize, id: u64) -> Option<bool> {
        let is_this = self.address.get() == address && self.len.get() == len && self.id.get() == id;
        is_this.then(|| self.yes.get())
    }

    fn set(&self, address: usize, len: usize, id: u64, yes: bool) {
        self.address.set(address);
        self.len.set(len);
        self.id.set(id);
        self.yes.set(yes);
    }
}

thread_local! {
    /// Two for each slot, the one used last first: two names that meet in a slot would else decide each
    /// other away at every call.
    static DECISIONS: [[Decision; 2]; SLOTS] = const { [const { [Decision::none(), Decision::none()] }; SLOTS] };
}

#[inline]
pub(crate) fn remembered(text: &'static str, id: u64, decide: impl FnOnce(&str) -> bool) -> bool {
    let (address, len) = (text.as_ptr() as usize, text.len());
    // Names lie side by side in the program, so the low bits tell them apart; the multiplication
    // brings them to the top.
    let mixed = (address as u64 ^ (id << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = (mixed >> 57) as usize % SLOTS;
    DECISIONS.with(|decisions| {
        let [first, second] = &decisions[slot];
        if let Some(yes) = first.on(address, len, id) {
            return yes;
        }
        let yes = second.on(address, len, id).unwrap_or_else(|| decide(text));
        second.set(first.address.get(), first.len.get(), first.id.get(), first.yes.get());
        first.set(address, len, id, yes);
        yes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_types_are_known_by_their_crate() {
        assert!(names_secret_type("secrecy::SecretBox<str>"));
        assert!(names_secret_type("&secrecy::SecretBox<str>"));
        assert!(names_secret_type("core::option::Option<secrecy::SecretBox<str>>"));
        assert!(!names_secret_type("my_secrecy::Diary"));
        assert!(!names_secret_type("diary::secrecy::Page"));
        assert!(!names_secret_type("alloc::string::String"));
    }

    #[test]
    fn remembered_decisions_do_not_mix_up_masks() {
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
