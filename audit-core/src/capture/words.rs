//! Splits a name into words: `API-Key`, `apiKey` and `api_key` have the same two.

#[derive(Clone, Copy, PartialEq)]
enum CharClass {
    Separator,
    Upper,
    Lower,
    Digit,
}

const ASCII_CLASSES: [CharClass; 128] = {
    let mut table = [CharClass::Separator; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'a'..=b'z' => CharClass::Lower,
            b'A'..=b'Z' => CharClass::Upper,
            b'0'..=b'9' => CharClass::Digit,
            _ => CharClass::Separator,
        };
        byte += 1;
    }
    table
};

fn class_of(c: char) -> CharClass {
    match ASCII_CLASSES.get(c as usize) {
        Some(&class) => class,
        None if !c.is_alphanumeric() => CharClass::Separator,
        None if c.is_uppercase() => CharClass::Upper,
        None if c.is_numeric() => CharClass::Digit,
        None => CharClass::Lower,
    }
}

/// Whether a word starts at a letter or digit.
#[inline]
fn starts_word(before: CharClass, this: CharClass, next: impl FnOnce() -> CharClass) -> bool {
    match (before, this) {
        // The last capital of `APIKey` begins the next word.
        (CharClass::Upper, CharClass::Upper) => next() == CharClass::Lower,
        (CharClass::Upper, CharClass::Lower) => false,
        (before, this) => before != this,
    }
}

/// Passes on the letters and digits of `key` in lower case, byte by byte, each with whether a word
/// starts there.
pub(super) fn split_words(key: &str, mut push: impl FnMut(u8, bool)) {
    let mut before = CharClass::Separator;
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        let this = class_of(c);
        if this != CharClass::Separator {
            let next = || chars.peek().map_or(CharClass::Separator, |&next| class_of(next));
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

/// As [`split_words`], for ASCII text: every entry of a map has a key, and most are ASCII.
#[inline]
pub(super) fn split_ascii_words(key: &[u8], mut push: impl FnMut(u8, bool)) {
    let class = |byte: u8| ASCII_CLASSES[usize::from(byte & 127)];
    let mut before = CharClass::Separator;
    for (at, &byte) in key.iter().enumerate() {
        let this = class(byte);
        if this != CharClass::Separator {
            let next = || key.get(at + 1).map_or(CharClass::Separator, |&next| class(next));
            push(byte.to_ascii_lowercase(), starts_word(before, this, next));
        }
        before = this;
    }
}
