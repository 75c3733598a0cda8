//! `portcullis gift`: codes that redeem to rights.

use clap::Args;
use portcullis_host::{Client, Clock as _, SystemClock};
use portcullis_protocol::text::counted;
use portcullis_protocol::wire::{BatchInfo, GiftCode, GiftsRequest};
use portcullis_protocol::{BatchId, OperationName, Origin, PublisherName};
use serde::Serialize;

use crate::commands::publisher::ownership;
use crate::context::{Context, ServerOption};
use crate::failure::{Failure, Outcome};
use crate::payment;
use crate::payment::identifier;
use crate::payment::rights::Time;
use crate::resource::target::Name;
use crate::screen::output::{Report, date, style};
use crate::screen::table::Table;

/// Make codes that give an offer's rights to whoever redeems them: gifts, promotions, press copies
#[derive(Debug, Args)]
pub(crate) struct Gift {
    /// publisher/name
    name: Name,
    /// Which operation
    #[arg(long, value_name = "NAME")]
    operation: Option<OperationName>,
    /// Which offer
    #[arg(long, value_name = "ID")]
    offer: Option<String>,
    /// How many codes, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// What they are for; you alone read it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// For how long they can be redeemed, as in 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    /// List the batches instead, and what became of their codes
    #[arg(long, conflicts_with_all = ["operation", "offer", "count", "note", "expires", "void"])]
    list: bool,
    /// End the codes of a batch that nobody has redeemed
    #[arg(long, value_name = "BATCH", conflicts_with_all = ["operation", "offer", "count", "note", "expires"])]
    void: Option<String>,
    #[command(flatten)]
    store: ServerOption,
}

#[derive(Serialize)]
struct Made {
    server: String,
    name: String,
    batch: String,
    codes: Vec<GiftCode>,
}

#[derive(Serialize)]
struct Batches {
    server: String,
    name: String,
    batches: Vec<BatchLine>,
}

/// A batch, for people and programs.
#[derive(Serialize)]
struct BatchLine {
    batch: String,
    /// The digest of the offer.
    offer: String,
    /// The operation and the rights that each code gives, if the store says them.
    #[serde(skip_serializing_if = "Option::is_none")]
    gives: Option<String>,
    count: u32,
    redeemed: u32,
    void: u32,
    note: String,
    made: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

impl BatchLine {
    fn of(info: &BatchInfo) -> Self {
        let gives = info.operation.as_ref().zip(info.rights);
        Self {
            batch: info.batch.to_string(),
            offer: info.offer.to_string(),
            gives: gives.map(|(operation, rights)| format!("{operation}: {rights}")),
            count: info.count,
            redeemed: info.redeemed,
            void: info.void,
            note: info.note.clone(),
            made: info.made,
            expires: info.expires,
        }
    }
}

#[derive(Serialize)]
struct Voided {
    batch: String,
    /// How many it ended.
    void: u32,
    /// The batch as it was before.
    #[serde(skip)]
    before: BatchLine,
}

impl Gift {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let client = context.client()?;
        let server = self.store.origin(&client)?;
        let publisher = self.publisher()?;
        let (publishing, name) = (client.publishing(&server), &self.name.name);
        let full = format!("{publisher}/{name}");
        if self.list {
            let batches = context.wait(batches(&client, &server, &self.name, publisher))?;
            let batches = batches.iter().map(BatchLine::of).collect();
            context.screen.report(&Batches { server: server.to_string(), name: full, batches });
            return Ok(());
        }
        if let Some(typed) = &self.void {
            let voided = context.wait(async {
                let batches = batches(&client, &server, &self.name, publisher).await?;
                let known: Vec<BatchId> = batches.iter().map(|batch| batch.batch).collect();
                let at = identifier::pick(typed, &known, "batch of codes", &format!("portcullis gift {full} --list"))?;
                let void = publishing.void_gifts(publisher, name, &known[at]).await?;
                Ok(Voided { batch: known[at].to_string(), void, before: BatchLine::of(&batches[at]) })
            })?;
            context.screen.report(&voided);
            return Ok(());
        }
        let report = context.wait(async {
            let listing = client.store(&server).entry(publisher, name).await?;
            let offer = payment::choose(&listing, self.operation.as_ref(), self.offer.as_deref())?.digest();
            let now = SystemClock.now();
            let expires = self.expires.map(|after| now.saturating_add(after.seconds()));
            let gifts = GiftsRequest { offer, count: self.count, note: self.note.clone(), expires };
            let made = publishing.make_gifts(publisher, name, &gifts).await;
            let made = ownership::answered(&client, &server, publisher, made).await?;
            Ok(Made { server: server.to_string(), name: full, batch: made.batch.to_string(), codes: made.codes })
        })?;
        context.screen.report(&report);
        Ok(())
    }

    fn publisher(&self) -> Outcome<&PublisherName> {
        self.name.publisher.as_ref().ok_or_else(|| {
            Failure::usage("whose resource is meant is not said", format!("write publisher/{}", self.name.name))
        })
    }
}

/// What was made before.
async fn batches(client: &Client, server: &Origin, name: &Name, publisher: &PublisherName) -> Outcome<Vec<BatchInfo>> {
    let batches = client.publishing(server).gifts(publisher, &name.name).await;
    Ok(ownership::answered(client, server, publisher, batches).await?.into_iter().collect())
}

impl Report for Made {
    fn text(&self) -> String {
        // One a line, so that a file or a program takes them as they are.
        self.codes.iter().map(|code| format!("{}\t{}\n", code.code, code.serial)).collect()
    }

    fn notes(&self) -> String {
        let good = style::GOOD;
        format!(
            "{good}made{good:#} {} for {}, batch {}: the code, which you give away, and its serial, which names it. The store keeps no copy: keep them yourself\n",
            counted(self.codes.len(), "code"),
            self.name,
            self.batch
        )
    }
}

impl Report for Batches {
    fn text(&self) -> String {
        let mut table = Table::new(&["batch", "gives", "codes", "redeemed", "void", "until", "note"]);
        let now = SystemClock.now();
        for BatchLine { batch, gives, count, redeemed, void, note, expires, .. } in &self.batches {
            let gives = gives.clone().unwrap_or_else(|| "-".to_owned());
            let until = match expires {
                Some(at) if *at <= now => "expired".to_owned(),
                Some(at) => date(*at),
                None => "any time".to_owned(),
            };
            let [count, redeemed, void] = [count, redeemed, void].map(ToString::to_string);
            table.row([batch.clone(), gives, count, redeemed, void, until, note.clone()]);
        }
        table.to_string()
    }

    fn notes(&self) -> String {
        if self.batches.is_empty() { format!("no codes were made for {}\n", self.name) } else { String::new() }
    }
}

impl Report for Voided {
    fn text(&self) -> String {
        let Self { batch, void, before: BatchLine { count, redeemed, void: ended, .. } } = self;
        if *void == 0 {
            return format!(
                "nothing of batch {batch} is left to end: of its {}, {redeemed} redeemed, {ended} void before\n",
                counted(*count, "code")
            );
        }
        let verb = if *void == 1 { "is" } else { "are" };
        format!("{} of batch {batch} {verb} void now; what was redeemed stays\n", counted(*void, "code"))
    }
}
