//! Enters a type or a function into the program's catalogue, before `main` begins.

use proc_macro2::TokenStream;
use quote::quote;

/// Output: a static that the loader calls, and that enters `entry`, an expression for a static
/// `Entry`, into the list.
///
/// By hand and not by a crate: those that do it bring an `#[allow(..)]` along, which a program that forbids the
/// lint does not compile with. On systems that are not named here, the catalogue stays empty.
pub(crate) fn register(private: &TokenStream, entry: &TokenStream) -> TokenStream {
    quote! {
        const _: () = {
            static __AUDITED_ENTRY: #private::Entry = #entry;
            extern "C" fn __audited_register() {
                __AUDITED_ENTRY.register();
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
