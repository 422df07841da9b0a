//! Changed block tracking and backup jobs in memory, as an adapter for cbtspec.

mod bitmap;
mod disk;
mod job;
mod json;
mod machine;
mod protocol;
mod refusal;
mod request;
mod transaction;
mod units;

use std::io;
use std::process::ExitCode;

use machine::Copies;

const USAGE: &str = "usage: cbt-in-memory [--copies adapter|suite]";

fn main() -> ExitCode {
    let mut copies = Copies::Adapter;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        copies = match (argument.as_str(), arguments.next().as_deref()) {
            ("--copies", Some("adapter")) => Copies::Adapter,
            ("--copies", Some("suite")) => Copies::Suite,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(64);
            }
        };
    }
    match protocol::serve(io::stdin().lock(), io::stdout().lock(), copies) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cbt-in-memory: {why}");
            ExitCode::FAILURE
        }
    }
}
