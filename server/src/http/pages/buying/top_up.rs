//! `/account/balance`: what was paid in and not drawn, and the form that pays in more.

use super::super::Form;
use super::super::kit::field::Field;
use super::super::kit::layout::see_other;
use super::super::kit::shell::{Empty, Shell, Tab};
use super::super::kit::table::{Column, Table};
use super::super::onward::Onward;
use super::super::session::Visitor;
use super::super::step_up::Unconfirmed;
use super::{Bought, Refused, buy, fields, fresh_key, means_of, payment};
use crate::http::app::App;
use crate::http::problem::ApiError;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use portcullis_protocol::wire::Goods;
use portcullis_protocol::{AccountId, Money, MoneyError};
use serde::Deserialize;

/// Characters of an amount, at most.
const MAX_AMOUNT: usize = 16;

/// The form as sent.
#[derive(Default, Deserialize)]
pub(crate) struct Wanted {
    csrf: String,
    key: String,
    #[serde(default)]
    means: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    again: String,
    #[serde(rename = "current-password", default)]
    password: String,
}

/// What is wrong with the form.
struct Wrong {
    text: String,
    key: String,
    may_insist: bool,
    unconfirmed: Option<Unconfirmed>,
}

/// `GET /account/balance`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, ApiError> {
    let Some(account) = visitor.account() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Balance.by("/sign-in"))));
    };
    render(&app, &visitor, account, &Wanted::default(), None).await
}

/// `POST /account/balance`
pub(crate) async fn submit(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(sent): Form<Wanted>,
) -> Result<Response, ApiError> {
    let Some(session) = visitor.session() else {
        return Ok(visitor.keep(&app, see_other(&Onward::Balance.by("/sign-in"))));
    };
    let account = &session.account;
    if let Err(forged) = visitor.sent(&app, &sent.csrf, &headers) {
        return Ok(forged.page());
    }
    let amount: Money = match format!("{} {}", sent.amount.trim().replace(',', "."), sent.currency).parse() {
        Ok(amount) => amount,
        Err(error) => {
            let text = match error {
                MoneyError::Amount => "Write an amount as a number, such as 10 or 9.50.".to_owned(),
                MoneyError::Decimals { currency, decimals } => {
                    format!("Write an amount of {currency} with {decimals} decimals, or with none.")
                }
                MoneyError::Range => "That is more than a balance can hold.".to_owned(),
                other => format!("This is {other}."),
            };
            let wrong = Wrong { text, key: fresh_key(), may_insist: false, unconfirmed: None };
            return render(&app, &visitor, account, &sent, Some(&wrong)).await;
        }
    };
    let goods = Goods::TopUp { amount }.into();
    let (again, password) = (sent.again == "true", sent.password.clone());
    let wanted = super::Wanted { goods, payment: payment(&sent.means), again, password };
    match buy(&app, session, wanted, sent.key.clone(), "/account/balance").await? {
        Bought::Order(to) => Ok(to),
        Bought::SignedOut => Ok(see_other(&Onward::Balance.by("/sign-in"))),
        Bought::Not(refused) => {
            let Refused { text, key, may_insist, unconfirmed, .. } = refused;
            let wrong = Wrong { text, key, may_insist, unconfirmed };
            render(&app, &visitor, account, &sent, Some(&wrong)).await
        }
    }
}

async fn render(
    app: &App,
    visitor: &Visitor,
    account: &AccountId,
    sent: &Wanted,
    wrong: Option<&Wrong>,
) -> Result<Response, ApiError> {
    let balances = app.core.store.prepaid(account).await.map_err(ApiError::internal)?;
    let means = means_of(app, account).await?;
    let mut rows = Vec::new();
    for balance in balances {
        let money = |amount| Money::new(amount, balance.currency).map_err(ApiError::internal);
        let (left, held) = (money(balance.left())?, money(balance.held)?);
        rows.push(vec![
            html! { (balance.currency) },
            html! { strong { (left) } },
            html! { @if held.is_zero() { "nothing" } @else { (held) } },
        ]);
    }
    let columns = [Column::Words("Currency"), Column::Amounts("To spend"), Column::Amounts("Held for running calls")];
    let key = wrong.map_or_else(fresh_key, |wrong| wrong.key.clone());
    let amount = Field::amount("amount", "Amount", MAX_AMOUNT)
        .value(&sent.amount)
        .error(wrong.map(|wrong| wrong.text.as_str()))
        .focus(wrong.is_some());
    let content = html! {
        div.split {
            div {
                h2.sr { "What you have" }
                @if rows.is_empty() {
                    (Empty { title: "Nothing paid in yet", text: html! { "What is sold by the unit is paid from a balance, unit by unit. Pay something in, and it is there at once." } })
                } @else {
                    (Table { caption: "Your balances", columns: &columns, rows })
                }
                p.hint { "What is sold by the unit draws from it. Your terminal shows you each cost, and asks you first." }
            }
            aside {
                div.panel {
                    h2 { "Top up" }
                    @if means.is_empty() { p { "This store takes no payments at present." } } @else {
                        form method="post" action="/account/balance" aria-label="Top up" {
                            (visitor.field(app))
                            div.row {
                                div { (amount) }
                                div {
                                    label for="currency" { "Currency" }
                                    select id="currency" name="currency" {
                                        @for currency in app.core.currencies.all() {
                                            option value=(currency) selected[currency.as_str() == if sent.currency.is_empty() { "EUR" } else { &sent.currency }] { (currency) }
                                        }
                                    }
                                }
                            }
                            (fields((app, visitor), &means, &key, &sent.means, wrong.and_then(|wrong| wrong.unconfirmed.as_ref())))
                            @if wrong.is_some_and(|wrong| wrong.may_insist) {
                                button name="again" value="true" { "Pay in all the same" }
                            } @else { button { "Pay in" } }
                        }
                    }
                }
            }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Shell::new(app, visitor, "Your balance").tab(Tab::Balance).status(status).show(&content))
}
