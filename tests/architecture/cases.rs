//! Small made-up crates: each kind of violation is found, and what is allowed passes.

use std::fs;

use crate::check::check;
use crate::source::Workspace;

/// The violations in a workspace of these files. `lib.rs` stands for `src/lib.rs` of the root crate
/// `shop`.
fn failures(files: &[(&str, &str)], document: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![("Cargo.toml", "[package]\nname = \"shop\"\n")];
    all.extend(files);
    for (file, text) in all {
        let is_source = file.ends_with(".rs") && !file.contains("src/");
        let path = folder.path().join(if is_source { "src" } else { "" }).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let workspace = Workspace::load(folder.path()).unwrap();
    check(&workspace, document).unwrap_or_else(|error| vec![error])
}

/// The violations where `low.rs` has the text `low`, and `high.rs` lies on the floor above it.
fn failures_of_low(low: &str) -> Vec<String> {
    let files = [
        ("lib.rs", "mod high;\nmod low;\nmod middle;\npub use high::High;\npub use middle::*;\n"),
        ("high.rs", "pub struct High;\npub fn climb() {}\npub(crate) trait Tall {}\n"),
        ("middle.rs", "pub use crate::high::High as Higher;\n"),
        ("low.rs", low),
    ];
    failures(&files, &floors("low.rs\nhigh.rs\nmiddle.rs\nlib.rs"))
}

fn floors(lines: &str) -> String {
    format!("# Architecture\n\n```floors shop\n{lines}\n```\n")
}

fn upward(line: usize, name: &str) -> String {
    format!(
        "shop: low.rs:{line} imports `{name}` from high.rs, which is on a higher floor \
         (`high.rs` is above `low.rs`)"
    )
}

#[test]
fn finds_upward_imports_in_every_form() {
    for (low, name) in [
        ("\nuse crate::high::High;", "High"),
        ("\nuse crate::{high::{High as Other}};", "High"),
        ("\nuse super::high::*;", "*"),
        ("\nuse crate::high::Tall as _;", "Tall"),
        ("\npub use crate::high::High;", "High"),
        ("\nfn low() { crate::high::climb(); }", "climb"),
        ("use crate::high;\nfn low() { high::climb(); }", "climb"),
        ("use crate::high::{self as top};\nfn low() { top::climb(); }", "climb"),
        ("fn low() {\n    use crate::high::climb; climb(); }", "climb"),
        ("\nstruct Low(Option<super::high::High>);", "High"),
        ("\nimpl crate::high::Tall for u8 {}", "Tall"),
        ("\nfn low() { println!(\"{:?}\", self::super::high::climb()); }", "climb"),
        ("\nmacro_rules! low { () => { $crate::high::climb() } }", "climb"),
        ("mod inner {\n    use super::super::high::climb; }", "climb"),
        ("\nfn low() { ::shop::High; }", "High"),
        ("\nuse crate::r#high::High;", "High"),
        ("\nfn low() { quote_as_climb! { crate::high::climb() } }", "climb"),
        ("\n#[cfg(not(test))] use crate::high::High;", "High"),
        ("\n#[cfg(any(test, unix))] use crate::high::High;", "High"),
    ] {
        assert_eq!(failures_of_low(low), [upward(2, name)], "{low}");
    }
}

#[test]
fn follows_reexports_to_the_file_that_defines_a_name() {
    for (low, name) in [
        ("use crate::High;", "High"),
        ("use super::High as Other;", "High"),
        ("use crate::middle::Higher;", "Higher"),
        // By the `*` in `lib.rs`.
        ("use crate::Higher;", "Higher"),
        ("fn low(_: crate::Higher) {}", "Higher"),
    ] {
        assert_eq!(failures_of_low(low), [upward(1, name)], "{low}");
    }
}

#[test]
fn follows_a_name_that_a_module_shares_with_its_item() {
    let files = [
        ("lib.rs", "mod climb;\nmod low;\npub use climb::climb;\n"),
        ("climb.rs", "pub fn climb() {}\n"),
        ("low.rs", "use crate::climb;\nfn low() { climb() }\n"),
    ];
    let [failure] = &failures(&files, &floors("low.rs\nclimb.rs\nlib.rs"))[..] else { panic!() };
    assert!(failure.starts_with("shop: low.rs:1 imports `climb` from climb.rs"), "{failure}");
}

#[test]
fn ignores_what_is_no_import() {
    for low in [
        "#[cfg(test)] mod tests { use crate::high::High; }",
        "#[cfg(all(test, unix))] fn low() { crate::high::climb(); }",
        "struct Low; impl Low { #[cfg(test)] fn low() { crate::high::climb(); } }",
        "fn low() { #[cfg(test)] crate::high::climb(); }",
        "fn low() { #[cfg(test)] let _ = crate::high::climb(); }",
        "/// See [`High`](crate::high::High).\nfn low() {}",
        "#[serde(with = \"crate::high\")] struct Low;",
        "pub(in crate::high) struct Low;",
        "fn low() { quote! { crate::high::climb() } }",
        "fn low() { climb(); std::high::High }",
        // A module by itself.
        "use crate::high;",
    ] {
        assert_eq!(failures_of_low(low), [""; 0], "{low}");
    }
}

#[test]
fn takes_unknown_names_of_a_module_as_made_by_its_macros() {
    assert_eq!(failures_of_low("use crate::high::Generated;"), [upward(1, "Generated")]);
}

#[test]
fn finds_cycles() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "pub struct A;\nuse crate::b::B;\n"),
        ("b.rs", "pub struct B;\n\nfn b() { crate::c::c() }\n"),
        ("c.rs", "pub fn c() { super::a::A; }\n"),
    ];
    let found = "shop: 3 files import each other: a.rs, b.rs, c.rs
    a.rs → b.rs: B (line 2)
    b.rs → c.rs: c (line 3)
    c.rs → a.rs: A (line 1)";
    assert_eq!(failures(&files, &floors("a.rs b.rs c.rs lib.rs")), [found]);

    let allowed = "a.rs b.rs c.rs lib.rs\nrecursion: a.rs b.rs c.rs # They parse each other.";
    assert_eq!(failures(&files, &floors(allowed)), [""; 0]);
    // All files of the cycle must be in one declaration.
    let parts = "a.rs b.rs c.rs lib.rs\nrecursion: a.rs b.rs\nrecursion: c.rs";
    assert_eq!(failures(&files, &floors(parts))[0], found);
}

#[test]
fn finds_recursions_that_are_none() {
    let files = [("lib.rs", "mod a;\nuse a::A;"), ("a.rs", "pub struct A;")];
    assert_eq!(
        failures(&files, &floors("a.rs\nlib.rs\nrecursion: a.rs lib.rs")),
        ["shop: ARCHITECTURE.md:6 declares a recursion of files that do not import each other"]
    );
}

#[test]
fn lets_a_module_reexport_its_submodules() {
    let folder = |module: &str| {
        let files = [
            ("lib.rs", "mod part;"),
            ("part/mod.rs", module),
            ("part/inner.rs", "pub struct Inner(super::Outer);"),
        ];
        failures(&files, &floors("part/ lib.rs"))
    };
    let reexport = "mod inner;\npub use inner::Inner;\npub struct Outer;\n";
    assert_eq!(folder(reexport), [""; 0]);
    // But where the module itself uses the name, the files depend on each other.
    for user in ["fn user(_: Inner) {}", "fn user() { vec![Inner] }", "use Inner as Other;"] {
        assert_eq!(folder(&format!("{reexport}{user}")).len(), 1, "{user}");
    }
    // A local variable of the same name is not that name.
    let function = "mod inner;\npub use inner::Inner as inner_value;\npub struct Outer;\n";
    assert_eq!(folder(&format!("{function}fn user(inner_value: u8) {{ inner_value; }}")), [""; 0]);
}

#[test]
fn finds_files_without_floor_and_floors_without_file() {
    let files = [("lib.rs", "mod a;\nmod b;"), ("a.rs", ""), ("b.rs", "")];
    assert_eq!(
        failures(&files, &floors("a.rs gone.rs gone/\nlib.rs")),
        [
            "shop: b.rs is on no floor",
            "shop: the entry `gone.rs` (ARCHITECTURE.md:4) matches no file",
            "shop: the entry `gone/` (ARCHITECTURE.md:4) matches no file",
        ]
    );
    // Folders whose files all have entries of their own stand for nothing.
    let files = [("lib.rs", "mod a;"), ("a/mod.rs", "")];
    assert_eq!(
        failures(&files, &floors("a/mod.rs\na/ lib.rs")),
        ["shop: the entry `a/` (ARCHITECTURE.md:5) matches no file"]
    );
    assert_eq!(
        failures(&files, &floors("a/\na/ lib.rs")),
        ["ARCHITECTURE.md:5: `a/` is on two floors"]
    );
    assert!(failures(&files, &floors("a lib.rs"))[0].contains("`a` is neither a file"));
}

#[test]
fn takes_the_longest_entry() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod settings;\nmod queue;\nuse settings::Pause;"),
        ("a/queue.rs", "use super::settings::Pause;"),
        ("a/settings.rs", "pub struct Pause;"),
    ];
    assert_eq!(failures(&files, &floors("a/settings.rs\na/ lib.rs")), [""; 0]);
    assert_eq!(failures(&files, &floors("a/ lib.rs\na/settings.rs")).len(), 2);
}

#[test]
fn finds_the_files_of_modules_where_the_compiler_does() {
    let files = [
        ("lib.rs", "mod a;\n#[path = \"elsewhere.rs\"]\nmod b;\nmod inline { mod c; }"),
        ("a.rs", "mod below;\n#[path = \"aside.rs\"]\nmod other;\n#[cfg(test)]\nmod tests;"),
        ("a/below/mod.rs", ""),
        ("a/tests.rs", "mod deeper;\nuse crate::b::B;"),
        ("a/tests/deeper.rs", ""),
        ("aside.rs", ""),
        ("elsewhere.rs", ""),
        ("inline/c.rs", ""),
        ("orphan.rs", ""),
    ];
    assert_eq!(
        failures(&files, &floors("a.rs a/ aside.rs elsewhere.rs inline/c.rs\nlib.rs")),
        ["shop: orphan.rs is compiled nowhere: no `mod` declares it"]
    );
}

#[test]
fn counts_all_modules_that_cfg_chooses_from() {
    let files = [
        (
            "lib.rs",
            "mod low;\n#[cfg(unix)] #[path = \"high.rs\"] mod system;\n\
             #[cfg(not(unix))] #[path = \"high2.rs\"] mod system;",
        ),
        ("high.rs", "pub struct High;"),
        ("high2.rs", "pub struct High;"),
        ("low.rs", "use crate::system::High;"),
    ];
    assert_eq!(failures(&files, &floors("low.rs\nhigh.rs high2.rs lib.rs")).len(), 2);
}

#[test]
fn checks_crates() {
    let manifest = "[package]\nname = \"shop\"\n\n[dependencies]\nshop-store.workspace = true\n\n\
                    [dev-dependencies]\nshop-tests = \"1\"\n";
    let files = [
        ("Cargo.toml", manifest),
        ("lib.rs", "mod sale;\npub use shop_store::Store;\npub use shop_store::inner::*;"),
        ("sale.rs", "fn sell(_: crate::Store) { crate::Deep; }"),
        ("store/Cargo.toml", "[package]\nname = \"shop-store\""),
        ("store/src/lib.rs", "pub struct Store;\npub mod inner;"),
        ("store/src/inner.rs", "pub struct Deep;"),
    ];
    let with = |line: &str| {
        let store = "```floors shop-store\ninner.rs lib.rs\n```\n";
        failures(&files, &(floors(&format!("sale.rs\nlib.rs\n{line}")) + store))
    };
    assert_eq!(with("crate: shop-store"), [""; 0]);
    assert_eq!(
        with(""),
        [
            "shop: lib.rs:3 imports `*` from the crate shop-store, which ARCHITECTURE.md does not \
             allow there",
            "shop: lib.rs:2 imports `Store` from the crate shop-store, which ARCHITECTURE.md does \
             not allow there",
            "shop: sale.rs:1 imports `Deep` from the crate shop-store, which ARCHITECTURE.md does \
             not allow there",
            "shop: sale.rs:1 imports `Store` from the crate shop-store, which ARCHITECTURE.md does \
             not allow there",
            "shop: Cargo.toml:5 depends on shop-store, which ARCHITECTURE.md does not declare",
        ]
    );
    assert_eq!(with("crate: shop-store in lib.rs").len(), 2);
    assert_eq!(
        with("crate: shop-store in lib.rs sale.rs\ncrate: shop-tests"),
        [
            "shop: ARCHITECTURE.md:7 allows the crate shop-tests, which Cargo.toml does not depend on"
        ]
    );
}

#[test]
fn sees_the_package_behind_a_renamed_dependency() {
    let manifest = "[package]\nname = \"shop\"\n[dependencies]\n\
                    kept = { path = \"store\", package = \"shop-store\" }\n";
    let files = [
        ("Cargo.toml", manifest),
        ("lib.rs", ""),
        ("store/Cargo.toml", "[package]\nname = \"shop-store\""),
        ("store/src/lib.rs", ""),
    ];
    let document = floors("lib.rs") + "```floors shop-store\nlib.rs\n```\n";
    assert_eq!(
        failures(&files, &document),
        ["shop: Cargo.toml:4 depends on shop-store, which ARCHITECTURE.md does not declare"]
    );
}

#[test]
fn wants_floors_for_each_crate_and_for_no_other() {
    let files = [("lib.rs", "")];
    assert_eq!(failures(&files, ""), ["ARCHITECTURE.md declares no floors for shop"]);
    assert_eq!(
        failures(&files, &(floors("lib.rs") + "```floors market\n```")),
        ["ARCHITECTURE.md declares floors for market, which is no crate of the workspace"]
    );
    assert!(
        failures(&files, &(floors("lib.rs") + "```floors shop\n```"))[0]
            .contains("each crate has one block")
    );
}
