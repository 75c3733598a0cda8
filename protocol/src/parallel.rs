//! Work spread over all cores where this build has the feature `fast`, and done here where it has not.
//!
//! Only computing is spread; files are read and written by the thread that asked, which may wait for them.

/// Does every piece of work.
pub(crate) fn each<T: Send>(work: Vec<T>, run: impl Fn(T) + Sync + Send) {
    let done: Result<(), std::convert::Infallible> = first_error(work, |piece| {
        run(piece);
        Ok(())
    });
    match done {
        Ok(()) => {}
    }
}

/// Does every piece of work until one fails. Gives the error of the first, in their order, that failed.
pub(crate) fn first_error<T: Send, E: Send>(
    work: Vec<T>,
    run: impl Fn(T) -> Result<(), E> + Sync + Send,
) -> Result<(), E> {
    #[cfg(feature = "fast")]
    {
        use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
        if work.len() >= WORTH_IT {
            return work.into_par_iter().find_map_first(|piece| run(piece).err()).map_or(Ok(()), Err);
        }
    }
    work.into_iter().try_for_each(run)
}

/// Does `aside` on another core while `here` runs on this thread, which may wait for a file meanwhile.
pub(crate) fn meanwhile<A: Send, B>(aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    #[cfg(feature = "fast")]
    {
        let mut done = None;
        let there = rayon::in_place_scope(|scope| {
            scope.spawn(|_| done = Some(aside()));
            here()
        });
        (done.expect("a scope ends after all that was spawned in it"), there)
    }
    #[cfg(not(feature = "fast"))]
    {
        let done = aside();
        (done, here())
    }
}

/// BLAKE3 of a block. Over all cores where there are too few blocks to keep each busy.
pub(crate) fn blake3(block: &[u8], alone: bool) -> blake3::Hash {
    #[cfg(feature = "fast")]
    if alone && block.len() >= SPLIT {
        return blake3::Hasher::new().update_rayon(block).finalize();
    }
    let _ = alone;
    blake3::hash(block)
}

/// Waking other cores takes some microseconds; two chunks of 64 KiB take as long as that.
#[cfg(feature = "fast")]
const WORTH_IT: usize = 2;
/// Below that, BLAKE3 is faster on one core.
#[cfg(feature = "fast")]
const SPLIT: usize = 256 * 1024;
