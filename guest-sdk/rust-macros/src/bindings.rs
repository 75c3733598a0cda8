//! `generate!`: the publisher's world, on top of the contract that the SDK implements; and what belongs to every
//! resource: the import that ties it to a billing server, a panic that can be read, the names that it uses.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Token};

use crate::{contract, sources, uses};

/// `"package/world"`, or `"package/world" in "folder"`; then `, without stderr`, if panics are to stay silent.
struct Arguments {
    world: LitStr,
    folder: String,
    reports_panics: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let world: LitStr = input.parse()?;
        if !world.value().contains('/') {
            return Err(syn::Error::new(
                world.span(),
                "name the package too, as in \"lumen:picture/photo\": the contract is a second package",
            ));
        }
        let folder = if input.parse::<Option<Token![in]>>()?.is_some() {
            input.parse::<LitStr>()?.value()
        } else {
            "wit".to_owned()
        };
        let reports_panics = input.parse::<Option<Token![,]>>()?.is_none() || input.is_empty();
        if !reports_panics {
            let (without, stderr): (Ident, Ident) = (input.parse()?, input.parse()?);
            if without != "without" || stderr != "stderr" {
                return Err(syn::Error::new(without.span(), "only `without stderr` can stand here"));
            }
        }
        Ok(Self { world, folder, reports_panics })
    }
}

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Arguments { world, folder, reports_panics } = syn::parse2(input)?;
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let included = contract::check(&package.join(&folder), &world.value());
    let included = included.map_err(|error| syn::Error::new(world.span(), error))?;
    let bills = included.bills.then(|| quote! { "portcullis:gate/bills@0.1.0": ::portcullis_guest::gate::bills, });
    let report = reports_panics.then(report);
    let uses = sources::find(&package).into_iter().map(|found| {
        let place = found.place;
        uses::item(&found.used, &quote! { #place })
    });
    // The same two levels up in the checkout and in a project that holds copies of `guest-sdk` and `wit`.
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let contract = contract.to_string_lossy();
    Ok(quote! {
        ::portcullis_guest::wit_bindgen::generate!({
            world: #world,
            path: [#contract, #folder],
            runtime_path: "::portcullis_guest::wit_bindgen::rt",
            with: {
                "portcullis:gate/types@0.1.0": ::portcullis_guest::gate::types,
                "portcullis:gate/billing@0.1.0": ::portcullis_guest::gate::billing,
                "portcullis:gate/vault@0.1.0": ::portcullis_guest::gate::vault,
                #bills
            },
            generate_all,
        });

        // An import that is never called is dropped, and a resource that imports nothing of `billing` cannot be
        // sealed: this one stays.
        const _: () = {
            #[used]
            static KEEP_ENTRY: fn() -> ::portcullis_guest::billing::Grant = ::portcullis_guest::billing::entry;
        };

        #report

        #(#uses)*
    })
}

/// Has the text and place of a panic written to standard error.
fn report() -> TokenStream {
    quote! {
        // Runs before the first call, as constructors do.
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[allow(unsafe_code)]
            #[used]
            #[unsafe(link_section = ".init_array")]
            static REPORT_PANICS: extern "C" fn() = ::portcullis_guest::report::install;
        };
    }
}
