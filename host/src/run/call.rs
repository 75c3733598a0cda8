//! Calls of an authorised operation's exports: with values, with Rust types, and from text.
//!
//! What a call can be refused for by itself (its name, its arguments, its types) is found before it draws a use.

use crate::error::{Bound, Error};
use crate::run::arguments::{self, Argument};
use crate::run::authorised::{Authorised, Turn};
use crate::run::instance::{LiveInstance, rest, within};
use crate::run::limits::Results;
use crate::run::waiting;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, Type, TypedFunc, Val};

impl Authorised {
    /// Calls an export with values and returns its results as values. `export` is its name as in the manifest,
    /// `interface#function`, or a shorter one that fits it alone: [`crate::Resource::export`].
    ///
    /// # Errors
    /// [`Error::Ended`] or [`Error::Refused`] if no further call may begin; [`Error::OtherOperation`],
    /// [`Error::UnmappedExport`], [`Error::UnknownExport`]; [`Error::Arguments`]; [`Error::Limit`], [`Error::Trap`] or
    /// [`Error::Exit`] if it did not come to its end.
    pub async fn call(&self, export: &str, arguments: &[Val]) -> Result<Vec<Val>, Error> {
        let export = self.export(export)?;
        arguments::check(&self.contents.function(&export.name)?.ty, arguments, &self.contents.limits)?;
        let mut turn = self.turn().await?;
        let time = self.run_seconds();
        let live = turn.live();
        let deadline = live.begin(time, self.contents.limits.lifted(export.results));
        let func = live.instance.get_func(&mut live.store, export.index);
        let func = func.ok_or_else(|| Error::Body("an export has gone".into()))?;
        let mut results = vec![Val::Bool(false); export.ty.results().len()];
        let outcome = within(deadline, pin!(func.call_async(&mut live.store, arguments, &mut results))).await;
        turn.end(outcome)?;
        Ok(results)
    }

    /// Calls an export that gives `list<u8>`, or `result<list<u8>, _>`, and returns the bytes.
    ///
    /// # Errors
    /// As [`Authorised::call`]; if the resource itself says no, `Ok(Err(value))` has its error value.
    pub async fn call_for_bytes(&self, export: &str, arguments: &[Val]) -> Result<Result<Vec<u8>, Option<Val>>, Error> {
        let other = || Error::Arguments(format!("`{export}` does not return `list<u8>`; call it for values"));
        if !self.gives_bytes(export)? {
            return Err(other());
        }
        let mut results = self.call(export, arguments).await?;
        match results.pop() {
            Some(Val::List(list)) => bytes(list).map(Ok).ok_or_else(other),
            Some(Val::Result(Ok(Some(value)))) => match *value {
                Val::List(list) => bytes(list).map(Ok).ok_or_else(other),
                _ => Err(other()),
            },
            Some(Val::Result(Err(value))) => Ok(Err(value.map(|value| *value))),
            _ => Err(other()),
        }
    }

    /// Calls an export with Rust types, which the engine checks against its signature. The way for bulk data: a byte of
    /// `Vec<u8>` takes one byte.
    ///
    /// # Errors
    /// As [`Authorised::call`]; [`Error::Arguments`] if the types do not fit.
    pub async fn call_typed<P, R>(&self, export: &str, arguments: P) -> Result<R, Error>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.typed::<P, R>(export)?.call(arguments).await
    }

    /// Looks an export up once, to be called often. Calls of other exports wait only while one of its calls runs.
    ///
    /// # Errors
    /// If the export does not run under this grant; [`Error::Arguments`] if the types do not fit.
    pub fn typed<P, R>(&self, export: &str) -> Result<Typed<'_, P, R>, Error>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let looked_up = LookedUp::new(self, export)?;
        Ok(Typed { authorised: Access::Shared(self), looked_up })
    }

    /// As [`Authorised::typed`], for one caller who keeps all others out: its calls take no lock.
    ///
    /// # Errors
    /// As [`Authorised::typed`].
    pub fn typed_mut<P, R>(&mut self, export: &str) -> Result<Typed<'_, P, R>, Error>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let looked_up = LookedUp::new(self, export)?;
        Ok(Typed { authorised: Access::Own(self), looked_up })
    }

    /// The parameters of an export, by name and type.
    ///
    /// # Errors
    /// If the export does not run under this grant.
    pub fn parameters(&self, export: &str) -> Result<Vec<(String, Type)>, Error> {
        let params = self.export(export)?.ty.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        Ok(params)
    }

    /// Whether [`Authorised::call_for_bytes`] fits the export.
    ///
    /// # Errors
    /// If the export does not run under this grant.
    pub fn gives_bytes(&self, export: &str) -> Result<bool, Error> {
        Ok(self.export(export)?.results == Results::BytesAsValues)
    }

    /// Reads arguments, one for each parameter: texts in WAVE, or bytes. [`crate::Resource::read_arguments`] does so
    /// before anything is paid for.
    ///
    /// # Errors
    /// [`Error::Arguments`] says which one does not fit and what belongs there.
    pub fn read_arguments<'a, A>(&self, export: &str, arguments: &'a [A]) -> Result<Vec<Val>, Error>
    where
        &'a A: Into<Argument<'a>>,
    {
        let arguments: Vec<Argument<'_>> = arguments.iter().map(Into::into).collect();
        let export = self.export(export)?;
        arguments::read(&self.contents.function(&export.name)?.ty, &arguments, &self.contents.limits)
    }
}

/// An export looked up, with Rust types for its parameters and results. Made once and called often: a call costs what
/// the engine's own call costs, and the gate.
pub struct Typed<'a, P, R> {
    authorised: Access<'a>,
    looked_up: LookedUp<P, R>,
}

/// How a caller gets at the instance.
enum Access<'a> {
    Shared(&'a Authorised),
    Own(&'a mut Authorised),
}

impl Access<'_> {
    #[inline]
    fn authorised(&self) -> &Authorised {
        match self {
            Self::Shared(authorised) => authorised,
            Self::Own(authorised) => authorised,
        }
    }

    #[inline]
    fn turn_now(&mut self) -> Option<Turn<'_>> {
        match self {
            Self::Shared(authorised) => authorised.turn_now(),
            Self::Own(authorised) => authorised.own_turn_now(),
        }
    }
}

struct LookedUp<P, R> {
    index: ComponentExportIndex,
    lifted: usize,
    /// The function in the instance of this number; another instance has another.
    func: Option<(u64, TypedFunc<P, R>)>,
}

impl<P, R> LookedUp<P, R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    fn new(authorised: &Authorised, export: &str) -> Result<Self, Error> {
        let export = authorised.export(export)?;
        authorised.check_types::<P, R>(export)?;
        let results = if export.results == Results::Fixed { Results::Fixed } else { Results::Dynamic };
        Ok(Self { index: export.index, lifted: authorised.contents.limits.lifted(results), func: None })
    }

    #[inline]
    fn of(&mut self, live: &mut LiveInstance) -> Result<TypedFunc<P, R>, Error> {
        match &self.func {
            Some((number, func)) if *number == live.number => Ok(*func),
            _ => self.anew(live),
        }
    }

    #[cold]
    fn anew(&mut self, live: &mut LiveInstance) -> Result<TypedFunc<P, R>, Error> {
        let func = live.instance.get_typed_func::<P, R>(&mut live.store, self.index);
        let func = func.map_err(|error| Error::Arguments(error.root_cause().to_string()))?;
        self.func = Some((live.number, func));
        Ok(func)
    }
}

impl<P, R> Typed<'_, P, R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    /// Calls it once.
    ///
    /// # Errors
    /// As [`Authorised::call_typed`].
    pub async fn call(&mut self, arguments: P) -> Result<R, Error> {
        // One future around the engine's: each further one would copy what goes in and what comes out.
        let Self { authorised, looked_up } = self;
        let time = authorised.authorised().run_seconds();
        let (mut turn, time) = if let Some(turn) = authorised.turn_now() {
            (turn, time)
        } else {
            let authorised = authorised.authorised();
            // The grant may be renewed on the way.
            (authorised.turn().await?, authorised.run_seconds())
        };
        let live = turn.live();
        let deadline = live.begin(time, looked_up.lifted);
        let func = looked_up.of(live)?;
        let outcome = {
            let mut call = pin!(func.call_async(&mut live.store, arguments));
            match poll_fn(|context| Poll::Ready(waiting::poll(call.as_mut(), context))).await {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => rest(deadline, call).await,
            }
        };
        turn.end(outcome)
    }
}

impl<P, R> fmt::Debug for Typed<'_, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed({:?})", self.authorised.authorised())
    }
}

impl Turn<'_> {
    /// Ends a call: where it came to its end, the instance stays for the next one.
    #[inline]
    fn end<T>(mut self, outcome: Option<wasmtime::Result<T>>) -> Result<T, Error> {
        match outcome {
            Some(Ok(value)) => {
                self.done();
                Ok(value)
            }
            Some(Err(error)) => Err(self.live().failure(&error)),
            None => Err(Error::Limit(Bound::Time)),
        }
    }
}

/// Values as text, in WAVE. `None` if one holds a handle, which has no text form.
#[must_use]
pub fn to_text(value: &Val) -> Option<String> {
    if holds_handle(value) { None } else { value.to_wave().ok() }
}

fn bytes(list: Vec<Val>) -> Option<Vec<u8>> {
    list.into_iter().map(|value| if let Val::U8(byte) = value { Some(byte) } else { None }).collect()
}

fn holds_handle(value: &Val) -> bool {
    match value {
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => true,
        Val::List(values) | Val::Tuple(values) => values.iter().any(holds_handle),
        Val::Record(fields) => fields.iter().any(|(_, value)| holds_handle(value)),
        Val::Variant(_, value) | Val::Option(value) => value.as_deref().is_some_and(holds_handle),
        Val::Result(Ok(value) | Err(value)) => value.as_deref().is_some_and(holds_handle),
        _ => false,
    }
}
