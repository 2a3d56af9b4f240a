//! `lastgood gate`, for pipelines: exit code 0 lets pass, anything else must not.

use std::process::ExitCode;

use clap::Args as Arguments;
use lastgood_core::inventory::gate::Answer;
use serde_json::json;

use super::{
    Context, Ended,
    output::{self, plain, say},
};
use crate::store::StoreError;

pub const DENIED: u8 = 1;
pub const COULD_NOT_TELL: u8 = 2;

#[derive(Debug, Arguments)]
pub struct Args {
    /// As the configuration names it.
    service: String,
    /// A version, or (the beginning of) a digest.
    #[arg(value_name = "DIGEST|VERSION")]
    artifact: String,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub async fn run(context: &Context, args: Args) -> Ended {
    let app = context.open().await?;
    let service = app.engine.service(&args.service)?;
    let answer = match app.engine.resolve(&service.id, &args.artifact).await {
        Ok(digest) => app.engine.gate(&args.service, &digest).await?,
        Err(StoreError::NotFound(why) | StoreError::Invalid(why)) => {
            Answer::CouldNotTell { reasons: vec![why] }
        }
        Err(error) => return Err(error.into()),
    };
    let (word, code, reasons) = match answer {
        Answer::Allowed { reasons } => ("allowed", 0, reasons),
        Answer::Denied { reasons } => ("denied", DENIED, reasons),
        Answer::CouldNotTell { reasons } => ("could not tell", COULD_NOT_TELL, reasons),
    };
    if args.json {
        output::json(&json!({ "answer": word, "allowed": code == 0, "reasons": reasons }))?;
    } else {
        say(format!("{word}: {}", plain(&reasons.join("; "))))?;
    }
    Ok(ExitCode::from(code))
}
