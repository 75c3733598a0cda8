//! `#[paid(operation = "…")]`: a grant for the operation stands before the body of the function. With `check = …` it
//! is one whose document the resource has checked itself.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, FnArg, Ident, ImplItemFn, LitStr, Pat, PatType, ReturnType, Signature, Token, Type};

use crate::operation;
use crate::uses::{self, Use};

/// `operation = "name"`, and `check = expression`.
struct Arguments {
    operation: LitStr,
    check: Option<Expr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key: Ident = input.parse()?;
        if key != "operation" {
            return Err(syn::Error::new(key.span(), "write `#[paid(operation = \"name\")]`"));
        }
        input.parse::<Token![=]>()?;
        let operation: LitStr = input.parse()?;
        let mut check = None;
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let key: Ident = input.parse()?;
            if key != "check" {
                return Err(syn::Error::new(key.span(), "write `#[paid(operation = \"name\", check = …)]`"));
            }
            input.parse::<Token![=]>()?;
            check = Some(input.parse()?);
            input.parse::<Option<Token![,]>>()?;
        }
        if !operation::is_valid(&operation.value()) {
            return Err(syn::Error::new(
                operation.span(),
                "an operation is 1 to 64 of a-z, 0-9 and single -, beginning with a letter",
            ));
        }
        Ok(Self { operation, check })
    }
}

pub(crate) fn expand(arguments: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let Arguments { operation, check } = syn::parse2(arguments)?;
    // A method of an implementation reads as a free function does, and covers both.
    let mut function: ImplItemFn = syn::parse2(function)?;
    if matches!(function.sig.output, ReturnType::Default) {
        return Err(syn::Error::new_spanned(
            &function.sig,
            "a paid function can be refused: it returns `Result<_, E>` where `E: From<portcullis_guest::Refusal>`",
        ));
    }

    // A name that the body cannot see, alive until the body ends.
    let grant = Ident::new("__grant", Span::mixed_site());
    let binding = take_grant(&mut function).map(|PatType { pat, ty, .. }| match *ty {
        Type::Reference(_) => quote! { let #pat: #ty = &#grant; },
        _ => quote! { let #pat: #ty = #grant; },
    });
    let made = match check {
        Some(check) => quote! { ::portcullis_guest::check::GrantCheck::grant_for(&#check, #operation)? },
        None => quote! { ::portcullis_guest::billing::grant_for(#operation)? },
    };
    let ImplItemFn { attrs, vis, defaultness, sig, block } = function;
    let statements = &block.stmts;
    let place = quote! { ::core::file!(), ":", ::core::line!() };
    let used = uses::item(&Use::Operation { name: operation.value(), certain: true }, &place);
    Ok(quote! {
        #(#attrs)* #vis #defaultness #sig {
            #used
            let #grant = #made;
            #binding
            #(#statements)*
        }
    })
}

/// The name of the parameter that receives the grant, and the operation of the attribute.
pub(crate) fn grant_and_operation(attribute: &Attribute, signature: &Signature) -> Option<(String, String)> {
    let Arguments { operation, .. } = attribute.parse_args().ok()?;
    let first = signature.inputs.iter().find_map(|argument| match argument {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })?;
    match &*first.pat {
        Pat::Ident(grant) if is_grant(&first.ty) => Some((grant.ident.to_string(), operation.value())),
        _ => None,
    }
}

/// Takes the parameter that receives the grant out of the signature, if there is one: the first parameter after
/// `self`, of type `Grant` or `&Grant`.
fn take_grant(function: &mut ImplItemFn) -> Option<PatType> {
    let index = function.sig.inputs.iter().position(|argument| matches!(argument, FnArg::Typed(_)))?;
    let FnArg::Typed(argument) = &function.sig.inputs[index] else {
        return None;
    };
    if !is_grant(&argument.ty) || !matches!(*argument.pat, Pat::Ident(_) | Pat::Wild(_)) {
        return None;
    }
    let argument = argument.clone();
    function.sig.inputs = std::mem::take(&mut function.sig.inputs)
        .into_iter()
        .enumerate()
        .filter(|(position, _)| *position != index)
        .map(|(_, argument)| argument)
        .collect();
    Some(argument)
}

fn is_grant(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_grant(&reference.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Grant"),
        _ => false,
    }
}
