//! Which names a mask hides.

use audit_core::capture::Mask;

#[test]
fn sensitive_words_are_hidden_in_any_case_and_with_any_separator() {
    let mask = Mask::default();
    for hidden in [
        "password",
        "PASSWORD",
        "user_password",
        "passwordHash",
        "passWord",
        "password2",
        "my.pwd",
        "api_key",
        "apiKey",
        "API-KEY",
        "ApiKEY",
        "APIKey",
        "apikey",
        "x api key",
        "api_keys",
        "accessToken",
        "accesstoken",
        "TOKENS",
        "Authorization",
        "proxy-authorization",
        "Set-Cookie",
        "cookies",
        "cardNumber",
        "CVV2",
        "ssn",
        "clientSecret",
        "credentials",
        "größe_password",
        "GrößePassword",
    ] {
        assert!(mask.matches(hidden), "{hidden}");
    }
}

#[test]
fn parts_of_other_words_are_not_hidden() {
    let mask = Mask::default();
    for shown in [
        "",
        "_",
        "pass",
        "pin",
        "shipping",
        "secretary",
        "tokenizer",
        "tokenize",
        "key",
        "author",
        "authored_by",
        "company",
        "scvv",
        "passports",
        "api",
        "cardinality",
        "discard_numbers",
        "größe",
        "passwordsx",
    ] {
        assert!(!mask.matches(shown), "{shown}");
    }
}

#[test]
fn long_names_are_searched_to_their_end() {
    let long = format!("{}_password", "a".repeat(200));
    assert!(Mask::default().matches(&long));
    assert!(!Mask::default().matches(&long[..205]));
}

#[test]
fn names_can_be_added_and_excepted() {
    let mask = Mask::default().name("Größen Angabe").except("token_count").except("ResetPassword");
    assert!(mask.matches("meineGrößenAngabe"));
    assert!(mask.matches("GRÖßEN-ANGABE"));
    assert!(!mask.matches("tokenCount"));
    assert!(mask.matches("token_counts"));
    assert!(!mask.matches("reset_password"));
    assert!(mask.matches("password"));
    assert!(!Mask::none().matches("password"));
    assert!(Mask::none().name("iban").matches("customerIBAN"));
    assert!(!Mask::none().name("--").matches("--"));
}

#[test]
fn changing_a_clone_does_not_change_the_mask() {
    let mask = Mask::none().name("iban");
    let more = mask.clone().name("bic");
    assert!(!mask.matches_static("bic") && more.matches_static("bic"));
    assert!(mask.matches_static("iban") && more.matches_static("iban"));
}
