//! Registers a call site or an audited type in the program's catalogue, before `main` begins.
//!
//! Both attributes use it. It is a file of its own because it holds the only unsafe attribute that
//! the expansions contain.

use proc_macro2::TokenStream;
use quote::quote;

/// Writes a constant that registers `entry`, an expression of type `CatalogueEntry` that can initialise a
/// static.
///
/// Output:
/// ```text
/// const _: () = {
///     static ENTRY: CatalogueEntry = entry;
///     extern "C" fn register() { CatalogueEntry::register(&ENTRY); }
///     #[link_section = "…"]                            // the loader calls what it finds there
///     static REGISTER: extern "C" fn() = register;
/// };
/// ```
///
/// Crates such as `ctor` do the same, but their output contains `#[allow(…)]`, which does not
/// compile in a program that forbids the lint. On systems that are not listed, the catalogue stays
/// empty.
pub(crate) fn register(private: &TokenStream, entry: &TokenStream) -> TokenStream {
    quote! {
        const _: () = {
            static __AUDITED_ENTRY: #private::CatalogueEntry = #entry;
            extern "C" fn __audited_register() {
                #private::CatalogueEntry::register(&__AUDITED_ENTRY);
            }
            #[used]
            #[cfg_attr(
                any(
                    target_os = "linux",
                    target_os = "android",
                    target_os = "freebsd",
                    target_os = "dragonfly",
                    target_os = "netbsd",
                    target_os = "openbsd",
                    target_os = "illumos"
                ),
                unsafe(link_section = ".init_array")
            )]
            #[cfg_attr(
                any(target_os = "macos", target_os = "ios"),
                unsafe(link_section = "__DATA,__mod_init_func,mod_init_funcs")
            )]
            #[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
            static __AUDITED_REGISTER: extern "C" fn() = __audited_register;
        };
    }
}
