//! A field of a form, with its hint and with what is wrong about it, tied to it for those who do not see the page.

use super::layout::NOTICE;
use crate::identity::email::MAX_EMAIL;
use crate::identity::passwords::{MAX_PASSWORD, MIN_PASSWORD};
use maud::{Markup, Render, html};

/// A text that a person types.
#[derive(Default)]
pub(in super::super) struct Field<'a> {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    inputmode: Option<&'static str>,
    autocomplete: &'static str,
    least: Option<usize>,
    most: usize,
    value: Option<&'a str>,
    hint: Option<String>,
    error: Option<&'a str>,
    about_notice: bool,
    focus: bool,
}

impl<'a> Field<'a> {
    /// An e-mail address. Not of the type `email`: browsers take no letters beyond ASCII there.
    pub(in super::super) fn email(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        let inputmode = Some("email");
        Self { name, label, kind: "text", inputmode, autocomplete, most: MAX_EMAIL, ..Self::default() }
    }

    /// An amount of money, without its currency.
    pub(in super::super) fn amount(name: &'static str, label: &'static str, most: usize) -> Self {
        let inputmode = Some("decimal");
        Self { name, label, kind: "text", inputmode, autocomplete: "off", most, ..Self::default() }
    }

    /// A code that somebody was given, in groups of letters and digits.
    pub(in super::super) fn code(name: &'static str, label: &'static str, most: usize) -> Self {
        let hint = Some("XXXXX-XXXXX-XXXXX-XXXXX; capitals and lines do not matter.".to_owned());
        Self { name, label, kind: "text", autocomplete: "off", most, hint, ..Self::default() }
    }

    /// A password that there is.
    pub(in super::super) fn current_password(name: &'static str, label: &'static str) -> Self {
        let autocomplete = "current-password";
        Self { name, label, kind: "password", autocomplete, most: MAX_PASSWORD, ..Self::default() }
    }

    /// A password that is chosen.
    pub(in super::super) fn new_password(name: &'static str, label: &'static str) -> Self {
        let hint = format!("At least {MIN_PASSWORD} characters. A few unrelated words are good.");
        let field = Self { name, label, kind: "password", autocomplete: "new-password", ..Self::default() };
        Self { least: Some(MIN_PASSWORD), most: MAX_PASSWORD, hint: Some(hint), ..field }
    }

    /// With what was typed before.
    pub(in super::super) fn value(self, value: &'a str) -> Self {
        Self { value: Some(value).filter(|value| !value.is_empty()), ..self }
    }

    /// With what is wrong about it.
    pub(in super::super) fn error(self, error: Option<&'a str>) -> Self {
        Self { error, ..self }
    }

    /// If the notice above the form is about it.
    pub(in super::super) fn about_notice(self, about_notice: bool) -> Self {
        Self { about_notice, ..self }
    }

    /// Where a person begins to type.
    pub(in super::super) fn focus(self, focus: bool) -> Self {
        Self { focus, ..self }
    }
}

impl Render for Field<'_> {
    fn render(&self) -> Markup {
        let Self { name, label, kind, inputmode, autocomplete, least, most, value, hint, error, about_notice, focus } =
            self;
        let (error_id, hint_id) = (format!("{name}-error"), format!("{name}-hint"));
        let described = [
            about_notice.then_some(NOTICE),
            error.is_some().then_some(error_id.as_str()),
            hint.is_some().then_some(hint_id.as_str()),
        ];
        let described: Vec<&str> = described.into_iter().flatten().collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let invalid = (error.is_some() || *about_notice).then_some("true");
        html! {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) inputmode=[*inputmode] autocapitalize="none" spellcheck="false"
                autocomplete=(autocomplete) required minlength=[least] maxlength=(most) value=[value] aria-invalid=[invalid] aria-describedby=[described] autofocus[*focus];
            @if let Some(error) = error { p.error id=(error_id) { (error) } }
            @if let Some(hint) = hint { p.hint id=(hint_id) { (hint) } }
        }
    }
}
