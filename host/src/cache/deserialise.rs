//! From the cache to code: the one place where code is taken over that was compiled before, and the one unsafe call.

#![expect(unsafe_code, reason = "the engine cannot tell code that it compiled from code that somebody else made")]

use crate::cache::sealing::{EngineId, Opened};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Takes over code that was compiled before. `None` if it was compiled for another engine.
pub(crate) fn deserialise(engine: &Engine, opened: &Opened) -> Option<Component> {
    if opened.engine() != EngineId::of(engine) {
        return None;
    }
    // SAFETY: these must be bytes that `Component::serialize` gave, unchanged. An `Opened` is made by
    // `cache_seal::SealedAs::open` alone, where every chunk was authentic, in its place, and none was missing, under a
    // key that is derived from the terminal's cache secret and the part's file key. Under such a key nobody seals but
    // `CompiledCache::keep`, which takes a `Compiled`: what this host compiled, from a checked body, and serialised.
    // Whoever knows the file key but not the cache secret (the publisher, the billing server, another terminal), or
    // has write access to the file but neither, makes nothing that opens. The key is bound to the engine as well: the
    // code was compiled by an engine of this version, with these settings, for this processor.
    let component = unsafe { Component::deserialize(engine, opened.code()) };
    component.map_err(|error| tracing::debug!(%error, "compiled code was not taken over")).ok()
}
