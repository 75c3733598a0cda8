//! Names that a resource uses, put into the custom section `portcullis:uses` of the module, one line each: `kind`,
//! name, operation under which a part is opened, place; with tabs between them. A kind with `maybe-` before it is one
//! of a call that looks like the SDK's and may be another's: only what is nearly a name is told then.

use proc_macro2::TokenStream;
use quote::quote;

/// A name of an operation or a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// An operation that is requested.
    Operation { name: String, certain: bool },
    /// A part that is opened; under which operation's grant, if that can be seen.
    Part { name: String, operation: Option<String>, certain: bool },
}

const fn maybe(certain: bool) -> &'static str {
    if certain { "" } else { "maybe-" }
}

/// An item that keeps the use. `place` gives a text literal: where it is.
pub(crate) fn item(used: &Use, place: &TokenStream) -> TokenStream {
    let head = match used {
        Use::Operation { name, certain } => format!("{}operation\t{name}\t\t", maybe(*certain)),
        Use::Part { name, operation, certain } => {
            format!("{}part\t{name}\t{}\t", maybe(*certain), operation.as_deref().unwrap_or_default())
        }
    };
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const TEXT: &str = ::core::concat!(#head, #place, "\n");
            #[allow(unsafe_code)]
            #[used]
            #[unsafe(link_section = "portcullis:uses")]
            static USE: [u8; TEXT.len()] = ::portcullis_guest::uses::bytes(TEXT);
        };
    }
}
