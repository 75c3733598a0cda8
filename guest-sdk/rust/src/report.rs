//! What a panic says, on the resource's standard error.
//!
//! On `wasm32-unknown-unknown` a panic has nowhere to write: all that is left of it is a trap. `generate!` installs
//! this hook, so that the text and the place go to `wasi:cli/stderr`. A host shows it to whom it likes:
//! `portcullis dev` to the author, `portcullis run` to the user, an embedder to nobody unless told to.

use bindings::wasi::cli::stderr::get_stderr;
use std::panic;

/// What `wasi:io/streams` takes at once.
const AT_ONCE: usize = 4096;

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package portcullis:guest-report@0.1.0;

            world report {
                import wasi:cli/stderr@0.2.0;
            }

            package wasi:io@0.2.0 {
                interface error {
                    resource error;
                }
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource output-stream {
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                    }
                }
            }

            package wasi:cli@0.2.0 {
                interface stderr {
                    use wasi:io/streams@0.2.0.{output-stream};
                    get-stderr: func() -> output-stream;
                }
            }
        ",
        world: "portcullis:guest-report/report",
        generate_all,
    });
}

/// Has panics written to standard error, from now on. Called before anything of the resource runs.
pub extern "C" fn install() {
    panic::set_hook(Box::new(|panic| write(&format!("{panic}\n"))));
}

fn write(text: &str) {
    let stream = get_stderr();
    for piece in text.as_bytes().chunks(AT_ONCE) {
        if stream.blocking_write_and_flush(piece).is_err() {
            // Nobody listens, and there is nobody to tell.
            return;
        }
    }
}
