//! [`DecimalValue`]: the value of a decimal number that is written as text.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The value `0.digits × 10^exponent`. Two are equal however the numbers are written.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DecimalValue<'t> {
    negative: bool,
    /// The place of the first digit.
    exponent: i64,
    /// Without zeros at the start and the end; empty for zero.
    digits: Cow<'t, str>,
}

impl<'t> DecimalValue<'t> {
    /// The value of `text`: an optional sign, digits with or without a point, and an optional
    /// exponent. `None` if `text` is no number.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, shift) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], i64::from(text[at + 1..].parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let all = match (whole.trim_start_matches('0'), fraction.trim_end_matches('0')) {
            (whole, "") => Cow::Borrowed(whole),
            ("", fraction) => Cow::Borrowed(fraction),
            (whole, fraction) => Cow::Owned([whole, fraction].concat()),
        };
        let point = i64::try_from(whole.trim_start_matches('0').len()).ok()?;
        let zeros = all.len() - all.trim_start_matches('0').len();
        let digits = match all {
            Cow::Borrowed(all) => Cow::Borrowed(all.trim_matches('0')),
            Cow::Owned(all) => Cow::Owned(all.trim_matches('0').to_owned()),
        };
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        Some(Self { negative, exponent: point + shift - i64::try_from(zeros).ok()?, digits })
    }
}

impl Ord for DecimalValue<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |it: &Self| match (it.digits.is_empty(), it.negative) {
            (true, _) => 0,
            (_, true) => -1,
            _ => 1,
        };
        let size =
            || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match self.negative {
            true => size().reverse(),
            false => size(),
        })
    }
}

impl PartialOrd for DecimalValue<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        let zero = ["0", "-0", "0.0", "000", ".0", "0.", "0e5", "-0.00E-3", "+0"];
        let one = ["1", "1.0", "1.00", "001", "+1", "10e-1", "0.01e2", "1E0", "1."];
        let small = ["-0.0012", "-12e-4", "-.00120", "-0012.0e-04"];
        for same in [&zero[..], &one[..], &small[..]] {
            for text in same {
                assert_eq!(DecimalValue::of(text), DecimalValue::of(same[0]), "{text}");
                assert!(DecimalValue::of(text).is_some(), "{text}");
            }
        }
        assert_ne!(DecimalValue::of("1"), DecimalValue::of("-1"));
        assert_ne!(DecimalValue::of("10"), DecimalValue::of("1"));
        assert_ne!(DecimalValue::of("0.1"), DecimalValue::of("0.01"));
    }

    #[test]
    fn a_text_that_is_no_number_has_no_value() {
        for text in ["", "-", ".", "e5", "1e", "1e99999999999", "1.2.3", "0x1", "NaN", "1 ", "١"] {
            assert_eq!(DecimalValue::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_numbers(a in any::<i32>(), b in any::<i32>(), scale in 0_i32..6) {
            let text = |n: i32| {
                let scaled = format!("{n}e-{scale}");
                match n % 2 { 0 => scaled, _ => format!("{n}0E-0{}", scale + 1) }
            };
            let (first, second) = (text(a), text(b));
            prop_assert_eq!(DecimalValue::of(&first).cmp(&DecimalValue::of(&second)), a.cmp(&b));
        }
    }
}
