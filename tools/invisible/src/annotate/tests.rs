use std::collections::BTreeSet;

use super::{Obstacle, Source};

const MARK: &str = "#[x] ";

fn parse(text: &str) -> Source {
    Source::parse(text.to_owned()).expect("the text of the test is valid Rust")
}

fn annotatable(source: &Source) -> BTreeSet<usize> {
    (0..source.functions().len())
        .filter(|&index| source.functions()[index].obstacle.is_none())
        .collect()
}

/// Returns the text with the mark on every function that can have it.
fn annotate(text: &str) -> String {
    let source = parse(text);
    source.annotated(MARK, &annotatable(&source))
}

#[test]
fn every_kind_of_function_is_annotated_before_its_visibility() {
    assert_eq!(annotate("fn a() {}"), "#[x] fn a() {}");
    assert_eq!(annotate("pub(crate) fn a() {}"), "#[x] pub(crate) fn a() {}");
    assert_eq!(annotate("impl A { pub fn b(self) {} }"), "impl A { #[x] pub fn b(self) {} }");
    assert_eq!(annotate("impl B for A { fn b(&self) {} }"), "impl B for A { #[x] fn b(&self) {} }");
    assert_eq!(annotate("mod tests { #[test] fn a() {} }"), "mod tests { #[test] #[x] fn a() {} }");
}

#[test]
fn the_mark_comes_before_every_qualifier() {
    assert_eq!(annotate("pub async unsafe fn a() {}"), "#[x] pub async unsafe fn a() {}");
    assert_eq!(annotate("extern \"C\" fn a() {}"), "#[x] extern \"C\" fn a() {}");
    assert_eq!(annotate("unsafe extern fn a() {}"), "#[x] unsafe extern fn a() {}");
    assert_eq!(annotate("impl A { default fn a() {} }"), "impl A { #[x] default fn a() {} }");
}

#[test]
fn a_trait_method_is_annotated_only_where_it_has_a_body() {
    assert_eq!(annotate("trait A { fn b(); fn c() {} }"), "trait A { fn b(); #[x] fn c() {} }");
    assert_eq!(annotate("extern \"C\" { fn a(); }"), "extern \"C\" { fn a(); }");
}

#[test]
fn functions_inside_bodies_are_annotated() {
    let text = "fn a() { fn b() {} let c = || { fn d() {} }; impl E { fn f() {} } }";
    let expected =
        "#[x] fn a() { #[x] fn b() {} let c = || { #[x] fn d() {} }; impl E { #[x] fn f() {} } }";
    assert_eq!(annotate(text), expected);
    assert_eq!(annotate("const A: u8 = { fn b() {} 1 };"), "const A: u8 = { #[x] fn b() {} 1 };");
}

#[test]
fn const_and_naked_functions_are_counted_but_not_annotated() {
    let text =
        "const fn a() { fn b() {} } #[unsafe(naked)] extern \"C\" fn c() {} #[naked] fn d() {}";
    let source = parse(text);
    let obstacles: Vec<_> = source
        .functions()
        .iter()
        .map(|function| (function.name.as_str(), function.obstacle))
        .collect();
    let expected = [
        ("a", Some(Obstacle::Const)),
        ("b", None),
        ("c", Some(Obstacle::Naked)),
        ("d", Some(Obstacle::Naked)),
    ];
    assert_eq!(obstacles, expected);
    assert!(annotate(text).starts_with("const fn a() { #[x] fn b() {} } #[unsafe(naked)] extern"));
}

#[test]
fn comments_and_attributes_stay_before_the_mark_and_line_numbers_stay_the_same() {
    let text = "/// A.\n#[inline]\n// why\npub fn a() {\n    //! Inner.\n}\n/** b */ #[must_use] fn b() {}\n";
    let expected = "/// A.\n#[inline]\n// why\n#[x] pub fn a() {\n    //! Inner.\n}\n/** b */ #[must_use] #[x] fn b() {}\n";
    assert_eq!(annotate(text), expected);
    assert_eq!(parse(text).functions()[0].line, 4);
}

#[test]
fn macros_are_not_changed_and_their_functions_are_counted() {
    let text = "macro_rules! m { ($n:ident, $t:ty) => { fn $n() {} fn b(f: fn($t)) {} } }\nm! { c, fn(u8) }\nfn d() { e!({ fn f() {} }); }";
    assert_eq!(annotate(text), text.replace("fn d()", "#[x] fn d()"));
    assert_eq!(parse(text).in_macros(), 3);
}

#[test]
fn positions_are_right_after_a_byte_order_mark_a_shebang_and_wide_characters() {
    assert_eq!(annotate("\u{feff}fn a() {}"), "\u{feff}#[x] fn a() {}");
    assert_eq!(annotate("#!/usr/bin/env run\nfn a() {}"), "#!/usr/bin/env run\n#[x] fn a() {}");
    assert_eq!(annotate("#![allow(dead_code)]\nfn a() {}"), "#![allow(dead_code)]\n#[x] fn a() {}");
    assert_eq!(
        annotate("// žluť 🦀\r\nconst Ž: &str = \"🦀\"; fn a() {}"),
        "// žluť 🦀\r\nconst Ž: &str = \"🦀\"; #[x] fn a() {}"
    );
}

#[test]
fn a_place_in_the_annotated_text_belongs_to_the_innermost_annotated_function() {
    let source = parse("fn a() { fn b() { 1 } 2 } fn c() { 3 } const D: u8 = 4;");
    let all = annotatable(&source);
    let at = |needle: &str, chosen: &BTreeSet<usize>| {
        let text = source.annotated(MARK, chosen);
        let offset = text.find(needle).expect("the needle is in the text");
        source.at(offset, MARK, chosen).map(|index| source.functions()[index].name.as_str())
    };
    assert_eq!(at("1", &all), Some("b"));
    assert_eq!(at("2", &all), Some("a"));
    assert_eq!(at("3", &all), Some("c"));
    assert_eq!(at("4", &all), None);
    assert_eq!(at("#[x] fn b", &all), Some("b"));
    assert_eq!(at("x] fn c", &all), Some("c"));
    let outer = BTreeSet::from([0, 2]);
    assert_eq!(at("1", &outer), Some("a"), "the nested function has no mark");
    assert_eq!(at("3", &outer), Some("c"));
}

#[test]
fn a_file_that_is_not_rust_is_rejected() {
    assert!(Source::parse("[1, 2, 3]".to_owned()).is_err());
}
