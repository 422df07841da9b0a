//! The adapter protocol: one line for each request, one for each reply.

use std::io::{self, BufRead, Read, Write};

use crate::disk::Disk;
use crate::job::Job;
use crate::json::{self, object, Value};
use crate::machine::{Copies, Machine};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome, Refusal};
use crate::request::Request;
use crate::transaction::{perform, transact};
use crate::units::Extent;

/// Longest request that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// The members of a reply, but for its number.
type Members = Vec<(String, Value)>;

/// Answer requests until `bye`, or the end of the input.
pub fn serve(mut input: impl BufRead, mut output: impl Write, copies: Copies) -> io::Result<()> {
    let mut machine = Machine::new(copies);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let request = read_request(&line).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        let request = Request(&request);
        let (number, verb) = (request.integer("seq"), request.text("do"));
        let (Ok(number), Ok(verb)) = (number, verb) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without seq or do"));
        };
        let mut reply = vec![("seq".to_owned(), Value::from(number))];
        reply.extend(answer(&mut machine, verb, request).unwrap_or_else(refused));
        writeln!(output, "{}", Value::Object(reply))?;
        output.flush()?;
        if verb == "bye" {
            return Ok(());
        }
    }
}

fn read_request(line: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(line).map_err(|why| format!("the request is no UTF-8: {why}"))?;
    json::parse(text).map_err(|why| format!("the request is no JSON: {why}"))
}

fn refused(refusal: Refusal) -> Members {
    members([("error", Value::from(refusal.kind.name())), ("text", Value::Text(refusal.text))])
}

fn members<const N: usize>(pairs: [(&str, Value); N]) -> Members {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Do what is asked for.
fn answer(machine: &mut Machine, verb: &str, request: Request<'_>) -> Outcome<Members> {
    match verb {
        "hello" => return hello(machine.copies(), request),
        "reset" => {
            machine.reset(request.disks()?);
            return Ok(Members::new());
        }
        "observe" => return observe(machine, request),
        "bye" => return Ok(Members::new()),
        "read" if machine.copies() == Copies::Suite => {
            let bytes = machine.read(request.text("job")?, request.integer("offset")?, request.integer("length")?)?;
            return Ok(members([("content", runs(bytes))]));
        }
        _ => change(machine, verb, request)?,
    }
    let ended: Vec<Value> = machine.take_ended().into_iter().map(|ended| {
        object([("job", Value::Text(ended.job)), ("outcome", Value::from(ended.ending.name()))])
    }).collect();
    Ok(if ended.is_empty() || made(Mistake::EndsInSilence) { Members::new() } else { members([("ended", Value::Array(ended))]) })
}

/// The commands of the specification.
fn change(machine: &mut Machine, verb: &str, request: Request<'_>) -> Outcome {
    if verb == "transaction" {
        return transact(machine, &request.actions()?, request.flag("grouped")?);
    }
    match verb {
        "write" => return machine.write(&request.guest_write()?),
        "begin-write" => return machine.begin_write(request.text("write")?, &request.guest_write()?),
        "end-write" => {
            return machine.end_write(request.text("node")?, request.text("write")?, request.write_result()?)
        }
        "abort" => {}
        _ => {
            if let Some(action) = request.action()? {
                return perform(machine, &action);
            }
        }
    }
    match machine.copies() {
        Copies::Adapter => job_command(machine, verb, request),
        Copies::Suite if verb == "end-backup" => {
            machine.end_backup(request.text("job")?, request.flag("success")?, &request.left()?)
        }
        Copies::Suite => Err(unsupported(verb)),
    }
}

fn job_command(machine: &mut Machine, verb: &str, request: Request<'_>) -> Outcome {
    let range = || Ok((request.integer("offset")?, request.integer("length")?));
    match verb {
        "copy" => {
            let (offset, length) = range()?;
            machine.copy(request.text("job")?, offset, length, request.copy_result()?)
        }
        "begin-copy" => {
            let (offset, length) = range()?;
            machine.begin_copy(request.text("job")?, offset, length)
        }
        "end-copy" => machine.end_copy(request.text("job")?, request.copy_result()?),
        "pause-job" => machine.pause_job(request.text("job")?),
        "resume-job" => machine.resume_job(request.text("job")?),
        "finalize-job" => machine.finalize_job(request.text("job")?),
        "cancel-job" => machine.cancel_job(request.text("job")?),
        _ => Err(unsupported(verb)),
    }
}

fn unsupported(verb: &str) -> Refusal {
    Kind::Unsupported.because(format!("{verb} is not known here"))
}

/// What this program is, and what it can do.
fn hello(copies: Copies, request: Request<'_>) -> Outcome<Members> {
    if request.integer("protocol")? != 1 {
        return Err(Kind::Unsupported.because("only protocol 1 is spoken here"));
    }
    let (copies, capabilities): (_, &[&str]) = match copies {
        Copies::Adapter => ("adapter", &["full"]),
        Copies::Suite => ("suite", &["full", "read"]),
    };
    Ok(members([
        ("protocol", Value::from(1_i64)),
        ("name", Value::from(env!("CARGO_PKG_NAME"))),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("language", Value::from("Rust")),
        ("capabilities", capabilities.iter().copied().collect()),
        ("copies", Value::from(copies)),
        ("granularities", [4096_u64, 512, 65_536].into_iter().collect()),
        ("clusters", [4096_u64, 512, 65_536].into_iter().collect()),
        ("largest_disk", Value::from(67_108_864_i64)),
        ("batch", Value::from(true)),
    ]))
}

fn observe(machine: &Machine, request: Request<'_>) -> Outcome<Members> {
    match request.text("what")? {
        "state" => Ok(state(machine)),
        "disk" => Ok(members([("content", runs(&machine.disk(request.text("name")?)?.content))])),
        "target" => Ok(members([("content", runs(machine.target(request.text("name")?)?))])),
        what => Err(Kind::Invalid.because(format!("{what} cannot be observed"))),
    }
}

fn state(machine: &Machine) -> Members {
    let disks = machine.disks();
    let mut reply = members([("bitmaps", disks.iter().flat_map(bitmaps).collect())]);
    if machine.copies() == Copies::Adapter {
        reply.extend(members([("jobs", machine.jobs().iter().map(job).collect())]));
    }
    reply.extend(members([
        ("writes", disks.iter().flat_map(writes).collect()),
        ("successors", disks.iter().flat_map(successors).collect()),
    ]));
    reply
}

fn bitmaps(disk: &Disk) -> impl Iterator<Item = Value> + '_ {
    disk.bitmaps.iter().map(|bitmap| {
        object([
            ("node", Value::from(disk.name.as_str())),
            ("name", Value::from(bitmap.name.as_str())),
            ("granularity", Value::from(bitmap.dirty.unit())),
            ("recording", Value::from(bitmap.is_recording())),
            ("busy", Value::from(bitmap.is_frozen())),
            ("dirty", pairs(&bitmap.dirty.extents())),
        ])
    })
}

fn job(job: &Job) -> Value {
    object([
        ("job", Value::from(job.id.as_str())),
        ("phase", Value::from(job.phase.name())),
        ("copied", pairs(&job.copied())),
    ])
}

fn writes(disk: &Disk) -> impl Iterator<Item = Value> + '_ {
    disk.writes.iter().map(|write| {
        object([("node", Value::from(disk.name.as_str())), ("write", Value::from(write.id.as_str()))])
    })
}

fn successors(disk: &Disk) -> impl Iterator<Item = Value> + '_ {
    disk.bitmaps.iter().filter_map(|bitmap| bitmap.successor()).map(|successor| {
        object([
            ("node", Value::from(disk.name.as_str())),
            ("granularity", Value::from(successor.dirty.unit())),
            ("recording", Value::from(successor.recording)),
            ("dirty", pairs(&successor.dirty.extents())),
        ])
    })
}

fn pairs(extents: &[Extent]) -> Value {
    extents.iter().map(|extent| Value::from_iter([extent.offset, extent.length])).collect()
}

/// Bytes as runs of equal ones.
fn runs(content: &[u8]) -> Value {
    content.chunk_by(|one, next| one == next).map(|run| Value::from_iter([u64::from(run[0]), run.len() as u64])).collect()
}
