//! Changed block tracking and backup jobs in memory, as an adapter for cbtspec.

mod bitmap;
mod disk;
mod job;
mod json;
mod machine;
mod mistake;
mod protocol;
mod refusal;
mod request;
mod transaction;
mod units;

use std::io;
use std::process::ExitCode;

use machine::Copies;

const USAGE: &str = "usage: cbt-in-memory [--copies adapter|suite] [--mistake NAME | --mistakes]";

fn main() -> ExitCode {
    let mut copies = Copies::Adapter;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--mistakes" {
            print!("{}", mistake::list());
            return ExitCode::SUCCESS;
        }
        match (argument.as_str(), arguments.next().as_deref()) {
            ("--copies", Some("adapter")) => copies = Copies::Adapter,
            ("--copies", Some("suite")) => copies = Copies::Suite,
            ("--mistake", Some(name)) if mistake::make(name) => {}
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
