//! Runs an operation of a sealed resource inside a program of one's own:
//! `cargo run --package portcullis-host --example embed -- FILE EXPORT [ARGUMENT]…`, on a signed-in terminal.

use portcullis_host::{Client, ClientOptions, to_text};
use std::error::Error;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Every error says in words what happened.
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(export)) = (args.next(), args.next()) else {
        return Err("FILE and EXPORT are missing: the arguments are FILE EXPORT [ARGUMENT]…".into());
    };
    let client = Client::open(ClientOptions::new())?;
    let runtime = client.runtime().build()?;

    // Verifies signatures; decrypts nothing.
    let resource = runtime.load(file.as_str())?;
    // `view` is enough if only one export is called so. What does not fit is found here, before it costs anything.
    let operation = resource.operation_of(&export)?;
    let arguments = resource.read_arguments(&export, &args.collect::<Vec<_>>())?;

    // Asks the billing server; only its grant opens and compiles the body.
    let authorised = resource.authorize(operation.as_str()).await?;
    for value in authorised.call(&export, &arguments).await? {
        println!("{}", to_text(&value).unwrap_or_else(|| "a handle, which has no text form".into()));
    }
    Ok(())
}
