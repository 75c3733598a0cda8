//! `portcullis.toml`: what a publisher says about a resource before it is sealed.
//!
//! ```toml
//! [resource]
//! publisher = "lumen"
//! name = "alpine-lake"
//! version = "1.0.0"
//! kind = "picture"
//! title = "Alpine lake at dawn"
//!
//! [[operation]]
//! name = "view"
//! title = "See the full picture"
//! exports = ["lumen:picture/picture@1.0.0#view"]
//! parts = ["code", "full"]
//!
//! [[part]]
//! name = "code"
//! path = "build/alpine-lake.wasm"
//! kind = "code"
//!
//! [[offer]]
//! operation = "view"
//! model = "perpetual"
//! price = "1.99 EUR"
//! ```

pub(crate) mod document;
pub(crate) mod key_in_use;
pub(crate) mod published_record;
pub(crate) mod publisher_key;
pub(crate) mod recipient;
pub(crate) mod stale;

use portcullis_protocol::limits::MAX_TITLE;
use portcullis_protocol::text::{is_media_type, is_title};
use portcullis_protocol::wire::OfferTerms;
use portcullis_protocol::{
    Capabilities, Currency, ExportName, Money, OperationEntry, OperationName, Origin, PartKind, PartName,
    PublisherName, ResourceLimits, ResourceName, Thumbprint, Version, nearest,
};
use std::path::{Path, PathBuf};
use toml::Spanned;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::guest::kinds::KINDS;
use crate::payment::rights::Typed;
use crate::project::document::{Section, Source};

/// The file's name.
pub(crate) const FILE: &str = "portcullis.toml";

/// A project: the file, read and coherent in itself. The parts' files are not looked at.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The folder of the file; paths in it are relative to this.
    pub(crate) folder: PathBuf,
    /// Who sells.
    pub(crate) publisher: PublisherName,
    /// What.
    pub(crate) name: ResourceName,
    /// Which version.
    pub(crate) version: Version,
    /// `software`, `picture`, …
    pub(crate) kind: String,
    /// For people.
    pub(crate) title: String,
    /// For people; may be empty.
    pub(crate) description: String,
    /// The operations.
    pub(crate) operations: Vec<OperationEntry>,
    /// The parts and their files.
    pub(crate) parts: Vec<PartSource>,
    /// What it may cost: a suggestion.
    pub(crate) offers: Vec<OfferTerms>,
    /// Bounds asked for.
    pub(crate) limits: ResourceLimits,
    /// Needs.
    pub(crate) capabilities: Capabilities,
    /// Whether the publisher accepts that counted uses bind an honest host only.
    pub(crate) advisory_metering: bool,
    /// Where it may be sold.
    pub(crate) servers: Vec<ServerWish>,
}

/// A part before it is sealed.
#[derive(Debug, Clone)]
pub(crate) struct PartSource {
    /// Its name.
    pub(crate) name: PartName,
    /// Its file.
    pub(crate) path: PathBuf,
    /// Code or asset.
    pub(crate) kind: PartKind,
    /// The media type.
    pub(crate) media_type: String,
    /// Declared public in effect.
    pub(crate) public: bool,
}

/// A server named in the project.
#[derive(Debug, Clone)]
pub(crate) struct ServerWish {
    /// Its origin.
    pub(crate) origin: Origin,
    /// Its root key, if the publisher pins it.
    pub(crate) root: Option<Thumbprint>,
}

impl Project {
    /// Reads a project: `at` is its folder or the file itself.
    pub(crate) fn read(at: &Path) -> Outcome<Self> {
        let path = if at.is_dir() { at.join(FILE) } else { at.to_path_buf() };
        let text = std::fs::read_to_string(&path).or_fail(
            format_args!("read `{}`", path.display()),
            format_args!("name the folder that holds {FILE}, or begin a project: `portcullis new NAME`"),
        )?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Self::parse(Source { path: &path, text: &text }, folder)
    }

    fn parse(source: Source<'_>, folder: PathBuf) -> Outcome<Self> {
        let mut file = Section::parse(source)?;

        let mut head = file.section("resource")?;
        let publisher = head.required("publisher")?;
        let name: ResourceName = head.required("name")?;
        let version = head.required("version")?;
        let kind = kind(source, head.text("kind")?)?;
        let title = title(source, head.text("title")?)?.unwrap_or_else(|| name.to_string());
        let description = head.text("description")?.map_or_else(String::new, Spanned::into_inner);
        let advisory_metering = head.flag("advisory_metering")?;
        head.end()?;

        let parts = parts(source, file.sections("part")?, &folder, &file)?;
        let operations = operations(source, file.sections("operation")?, &parts, &file)?;
        let offers = offers(source, file.sections("offer")?, &operations)?;

        let mut section = file.section("limits")?;
        let limits = limits(source, &mut section)?;
        section.end()?;

        let mut section = file.section("capabilities")?;
        let capabilities = Capabilities {
            wall_clock: section.flag("wall_clock")?,
            environment: section.flag("environment")?,
            directories: section.flag("directories")?,
            bills: section.flag("bills")?,
        };
        section.end()?;

        let mut servers = Vec::new();
        for mut section in file.sections("server")? {
            let origin = section.required("origin")?;
            let root = section.parsed("root")?.map(Spanned::into_inner);
            section.end()?;
            servers.push(ServerWish { origin, root });
        }
        file.end()?;
        Ok(Self {
            folder,
            publisher,
            name,
            version,
            kind,
            title,
            description,
            operations,
            parts,
            offers,
            limits,
            capabilities,
            advisory_metering,
            servers,
        })
    }
}

fn kind(source: Source<'_>, given: Option<Spanned<String>>) -> Outcome<String> {
    let Some(given) = given else { return Ok(KINDS[0].to_owned()) };
    let kind = given.get_ref().as_str();
    if KINDS.contains(&kind) {
        return Ok(kind.to_owned());
    }
    let fix = match nearest(kind, KINDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("choose one of {}", KINDS.join(", ")),
    };
    Err(source.failure(&given.span(), format!("the kind `{kind}` is not known"), fix))
}

/// A title that says something.
fn title(source: Source<'_>, given: Option<Spanned<String>>) -> Outcome<Option<String>> {
    match given {
        Some(title) if title.get_ref().trim().is_empty() => {
            let fix = "write what a buyer reads, or leave the line out: then the name is shown";
            Err(source.failure(&title.span(), "the title is empty", fix))
        }
        Some(title) if !is_title(title.get_ref()) => {
            let message = format!(
                "the title is longer than {MAX_TITLE} bytes, or contains control, direction or invisible characters"
            );
            Err(source.failure(&title.span(), message, "write a shorter title of visible characters"))
        }
        title => Ok(title.map(Spanned::into_inner)),
    }
}

fn parts(
    source: Source<'_>,
    sections: Vec<Section<'_>>,
    folder: &Path,
    file: &Section<'_>,
) -> Outcome<Vec<PartSource>> {
    let mut parts: Vec<PartSource> = Vec::new();
    for mut section in sections {
        let span = section.span();
        let name: PartName = section.required("name")?;
        let path: String = section.required("path")?;
        let kind = match section.text("kind")? {
            None => PartKind::Asset,
            Some(kind) => match kind.get_ref().as_str() {
                "code" => PartKind::Code,
                "asset" => PartKind::Asset,
                other => {
                    let message = format!("`kind` of a part is `{other}`");
                    return Err(source.failure(
                        &kind.span(),
                        message,
                        "write \"code\" for a component, \"asset\" for bytes",
                    ));
                }
            },
        };
        let media_type = match section.text("media_type")? {
            Some(given) if kind == PartKind::Code && given.get_ref() != "application/wasm" => {
                let message = format!("the code part `{name}` has another media type than `application/wasm`");
                return Err(source.failure(&given.span(), message, "leave `media_type` out: only assets need one"));
            }
            Some(given) if !is_media_type(given.get_ref()) => {
                let message = format!("`media_type` of the part `{name}` is not a media type");
                return Err(source.failure(&given.span(), message, "write it as in \"image/png\" (RFC 6838)"));
            }
            Some(given) => given.into_inner(),
            None if kind == PartKind::Code => "application/wasm".to_owned(),
            None => media_type_of(Path::new(&path)).to_owned(),
        };
        let public = section.flag("public")?;
        section.end()?;
        if parts.iter().any(|part| part.name == name) {
            return Err(source.failure(&span, format!("a second part `{name}`"), "give each part its own name"));
        }
        parts.push(PartSource { name, path: folder.join(path), kind, media_type, public });
    }
    if parts.is_empty() {
        let fix = "add a [[part]] with `name`, `path` and `kind`: what is not in a part is not sealed";
        return Err(source.failure(&file.span(), "the project has no part", fix));
    }
    Ok(parts)
}

fn operations(
    source: Source<'_>,
    sections: Vec<Section<'_>>,
    parts: &[PartSource],
    file: &Section<'_>,
) -> Outcome<Vec<OperationEntry>> {
    let mut operations: Vec<OperationEntry> = Vec::new();
    for mut section in sections {
        let span = section.span();
        let name: OperationName = section.required("name")?;
        let title = title(source, section.text("title")?)?.unwrap_or_else(|| name.to_string());
        let exports = section.list::<ExportName>("exports")?.into_iter().map(Spanned::into_inner).collect();
        let mut opened = Vec::new();
        for part in section.list::<PartName>("parts")? {
            if !parts.iter().any(|known| known.name == *part.get_ref()) {
                let known: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                let fix = match nearest(part.get_ref().as_str(), known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add a [[part]] of this name; there are: {}", known.join(", ")),
                };
                return Err(source.failure(
                    &part.span(),
                    format!("operation `{name}` names a part that does not exist"),
                    fix,
                ));
            }
            opened.push(part.into_inner());
        }
        section.end()?;
        if operations.iter().any(|operation| operation.name == name) {
            return Err(source.failure(
                &span,
                format!("a second operation `{name}`"),
                "give each operation its own name",
            ));
        }
        operations.push(OperationEntry { name, title, exports, parts: opened });
    }
    if operations.is_empty() {
        let fix =
            "add an [[operation]] with `name`, `exports` and `parts`: a part that no operation opens cannot be used";
        return Err(source.failure(&file.span(), "the project has no operation", fix));
    }
    Ok(operations)
}

fn offers(source: Source<'_>, sections: Vec<Section<'_>>, operations: &[OperationEntry]) -> Outcome<Vec<OfferTerms>> {
    let mut offers = Vec::new();
    for mut section in sections {
        let span = section.span();
        let operation: OperationName = section.required("operation")?;
        let (typed, place) = Typed::take(&mut section)?;
        let price = section.parsed::<Money>("price")?;
        let own_title = title(source, section.text("title")?)?;
        // A misspelt key is named before what is missing because of it.
        section.end()?;
        let Some(entry) = operations.iter().find(|known| known.name == operation) else {
            let known: Vec<&str> = operations.iter().map(|operation| operation.name.as_str()).collect();
            let fix = format!("name one of the operations: {}", known.join(", "));
            return Err(source.failure(
                &span,
                format!("an offer for `{operation}`, which is not an operation of the resource"),
                fix,
            ));
        };
        let rights = typed.rights().map_err(|(message, fix)| source.failure(&place, message, fix))?;
        let price = match price {
            Some(price) => price.into_inner(),
            None if rights.is_given() => free(),
            None => return Err(source.failure(&span, "the offer has no `price`", "add a line `price = \"1.99 EUR\"`")),
        };
        if rights.is_given() != price.is_zero() {
            let fix = "write model = \"free\" without a price, or another model with a price above zero";
            return Err(source.failure(&span, "the model `free` and a price of zero belong together", fix));
        }
        let title = own_title.unwrap_or_else(|| entry.title.clone());
        offers.push(OfferTerms { id: None, operation, title, rights, price });
    }
    Ok(offers)
}

/// Nothing, in the euro: the currency of a price of zero means nothing.
pub(crate) fn free() -> Money {
    let euro: Currency = "EUR".parse().expect("a currency code");
    Money::new(0, euro).expect("zero is in range")
}

fn limits(source: Source<'_>, section: &mut Section<'_>) -> Outcome<ResourceLimits> {
    let run_max = section.number("run_max")?;
    let run_max_at = run_max.as_ref().map(Spanned::span);
    let run_max = match run_max {
        None => None,
        Some(seconds) => Some(u32::try_from(*seconds.get_ref()).map_err(|_| -> Failure {
            source.failure(&seconds.span(), "`run_max` is too large", "write seconds: 300 is five minutes")
        })?),
    };
    let mut places = Vec::new();
    let mut number = |key: &'static str| -> Outcome<Option<u64>> {
        let number = section.number(key)?;
        places.extend(number.as_ref().map(|number| (key, number.span())));
        Ok(number.map(Spanned::into_inner))
    };
    let limits =
        ResourceLimits { memory: number("memory")?, run_max, result: number("result")?, output: number("output")? };
    places.extend(run_max_at.map(|place| ("run_max", place)));
    limits.check().map_err(|refused| {
        let place =
            places.iter().find(|(key, _)| *key == refused.bound).map_or_else(|| section.span(), |(_, at)| at.clone());
        let (bound, asked, most) = (refused.bound, refused.asked, refused.most);
        let message = format!("`{bound}` is {asked}, and hosts give {} to {most}", refused.least.max(1));
        source.failure(
            &place,
            message,
            "write a lower number, or leave the line out: then hosts give what they give by themselves",
        )
    })?;
    Ok(limits)
}

/// The registered media type of a few endings (IANA), else bytes.
fn media_type_of(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("avif") => "image/avif",
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        Some("css") => "text/css",
        Some("html") => "text/html",
        Some("flac") => "audio/flac",
        Some("opus" | "ogg") => "audio/ogg",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"[resource]
publisher = "lumen"
name = "lake"
version = "1.0.0"

[[operation]]
name = "view"
exports = ["lumen:picture/picture@1.0.0#view"]
parts = ["code", "full"]

[[part]]
name = "code"
path = "build/lake.wasm"
kind = "code"

[[part]]
name = "full"
path = "full.jpg"

[[offer]]
operation = "view"
model = "uses"
count = 10
price = "4.99 EUR"

[limits]
memory = 0x400_0000

[[server]]
origin = "https://store.example"
"#;

    fn parse(text: &str) -> Outcome<Project> {
        Project::parse(Source { path: Path::new(FILE), text }, PathBuf::from("."))
    }

    #[test]
    fn a_whole_project_is_read() {
        let project = parse(WHOLE).expect("reads");
        assert_eq!(project.kind, "software");
        assert_eq!(project.parts[1].media_type, "image/jpeg");
        assert_eq!(project.limits.memory, Some(64 * 1024 * 1024));
        assert_eq!(project.offers[0].rights, portcullis_protocol::Rights::Uses { count: 10 });
        assert_eq!(project.offers[0].price.to_string(), "4.99 EUR");
    }

    #[test]
    fn every_complaint_names_its_line_and_a_fix() {
        for (from, to, line, message, fix) in [
            (
                "version = \"1.0.0\"",
                "verson = \"1.0.0\"",
                4,
                "unknown key `verson` in resource",
                "did you mean `version`?",
            ),
            ("version = \"1.0.0\"", "", 1, "resource has no `version`", "add a line `version = …`"),
            ("model = \"uses\"\n", "modl = \"uses\"\n", 22, "unknown key `modl` in offer", "did you mean `model`?"),
            (
                "name = \"lake\"\n",
                "name = \"lake\"\ntitel = \"x\"\n",
                4,
                "unknown key `titel` in resource",
                "did you mean `title`?",
            ),
            ("name = \"lake\"\n", "name = \"lake\"\ntitle = \" \"\n", 4, "the title is empty", "what a buyer reads"),
            ("name = \"view\"\n", "name = \"view\"\ntitle = \"\"\n", 8, "the title is empty", "what a buyer reads"),
            ("count = 10\n", "count = 10\ntitle = \"\"\n", 24, "the title is empty", "what a buyer reads"),
            (
                "name = \"lake\"\n",
                "name = \"lake\"\nkind = \"picure\"\n",
                4,
                "the kind `picure` is not known",
                "did you mean `picture`?",
            ),
            (
                "name = \"lake\"\n",
                "name = \"lake\"\nkind = \"game\"\n",
                4,
                "the kind `game` is not known",
                "software, picture, music, theme, video",
            ),
            ("[limits]", "[limit]", 26, "unknown key `limit` in the file", "did you mean `limits`?"),
            ("\"1.0.0\"", "\"one\"", 4, "`version`: ", "correct `version`"),
            ("\"1.0.0\"", "1", 4, "`version` is a number, not a text in quotes", "write a text in quotes"),
            ("\"lumen\"", "\"Lumen\"", 2, "not a valid publisher name", "correct `publisher`"),
            ("[\"code\", \"full\"]", "[\"code\", \"fill\"]", 9, "a part that does not exist", "did you mean `full`?"),
            ("kind = \"code\"", "kind = \"cod\"", 14, "`kind` of a part is `cod`", "\"code\" for a component"),
            ("count = 10\n", "", 22, "the model `uses` has no count", "say how many"),
            (
                "model = \"uses\"\ncount = 10",
                "model = \"rent\"",
                22,
                "the model `rent` is not known",
                "free, perpetual, uses",
            ),
            ("\"4.99 EUR\"", "\"4.999 EUR\"", 24, "not an amount", "correct `price`"),
            (
                "operation = \"view\"\nmodel",
                "operation = \"see\"\nmodel",
                20,
                "an offer for `see`",
                "name one of the operations: view",
            ),
            ("name = \"full\"", "name = \"code\"", 16, "a second part `code`", "its own name"),
            ("memory = 0x400_0000", "memory = 0", 27, "`memory` is 0, and has to be at least 1", "at least 1"),
            (
                "memory = 0x400_0000",
                "memory = 99999999999999",
                27,
                "`memory` is 99999999999999, and hosts give 1 to 268435456",
                "leave the line out",
            ),
            ("memory = 0x400_0000", "run_max = \"x\"", 27, "`run_max` is a text, not a whole number", "at least 1"),
            ("count = 10\n", "count = 0\n", 23, "`count` is 0, and has to be at least 1", "at least 1"),
            ("count = 10\n", "count = -1\n", 23, "`count` is -1, and has to be at least 1", "at least 1"),
            (
                "count = 10\n",
                "count = 99999999999999999999\n",
                23,
                "`count` is 99999999999999999999, which is too",
                "1",
            ),
            ("count = 10\n", "count = 4294967296\n", 23, "`count` is too large", "4,294,967,295"),
            ("\"1.0.0\"", "\"99999999999999999999.0.0\"", 4, "below 2^64", "correct `version`"),
            ("https://store.example", "http://store.example", 30, "`origin`: not a valid origin", "correct `origin`"),
            ("[resource]", "[resource", 1, "", "the file is TOML"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let failure = parse(&WHOLE.replacen(from, to, 1)).expect_err(to).to_json();
            let (said, advice) = (failure["error"]["message"].to_string(), failure["error"]["fix"].to_string());
            assert!(said.contains(&format!("portcullis.toml:{line}: ")), "{to}: {said}");
            assert!(said.replace("\\\"", "\"").contains(message), "{to}: {said}");
            assert!(advice.replace("\\\"", "\"").contains(fix), "{to}: {advice}");
        }
    }
}
