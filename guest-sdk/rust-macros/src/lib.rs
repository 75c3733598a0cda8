//! The macros of `portcullis-guest`, which re-exports and documents them.

mod bindings;
mod contract;
mod operation;
mod paid;
mod sources;
mod uses;

use proc_macro::TokenStream;

/// See `portcullis_guest::generate`.
#[proc_macro]
pub fn generate(input: TokenStream) -> TokenStream {
    bindings::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// See `portcullis_guest::paid`.
#[proc_macro_attribute]
pub fn paid(arguments: TokenStream, function: TokenStream) -> TokenStream {
    paid::expand(arguments.into(), function.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
