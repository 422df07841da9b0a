//! Requests: what their members say.

use crate::bitmap::Mode;
use crate::disk::{Change, Disk, WriteResult};
use crate::job::{CopyResult, OnError};
use crate::json::Value;
use crate::machine::{GuestWrite, Start, Sync};
use crate::refusal::{Kind, Outcome, Refusal};
use crate::transaction::Action;
use crate::units::Extent;

/// Largest disk, in bytes: its content is kept in memory.
const MAX_DISK: i64 = 1 << 30;

/// A request, or a part of one.
#[derive(Clone, Copy)]
pub struct Request<'a>(pub &'a Value);

impl<'a> Request<'a> {
    fn member(self, name: &str) -> Outcome<&'a Value> {
        self.0.member(name).ok_or_else(|| malformed(name))
    }

    pub fn text(self, name: &str) -> Outcome<&'a str> {
        match self.member(name)? {
            Value::Text(text) => Ok(text),
            _ => Err(malformed(name)),
        }
    }

    fn text_or_null(self, name: &str) -> Outcome<Option<&'a str>> {
        match self.member(name)? {
            Value::Null => Ok(None),
            _ => self.text(name).map(Some),
        }
    }

    pub fn integer(self, name: &str) -> Outcome<i64> {
        match self.member(name)? {
            Value::Integer(number) => Ok(*number),
            _ => Err(malformed(name)),
        }
    }

    pub fn flag(self, name: &str) -> Outcome<bool> {
        match self.member(name)? {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(malformed(name)),
        }
    }

    fn items(self, name: &str) -> Outcome<&'a [Value]> {
        match self.member(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(malformed(name)),
        }
    }

    /// The disks of a `reset`.
    pub fn disks(self) -> Outcome<Vec<Disk>> {
        let disk = |item| {
            let disk = Request(item);
            let size = disk.integer("size")?;
            if !(0..=MAX_DISK).contains(&size) {
                return Err(Kind::Invalid.because(format!("disks have up to {MAX_DISK} bytes here")));
            }
            Ok(Disk::new(disk.text("name")?, size as usize))
        };
        self.items("disks")?.iter().map(disk).collect()
    }

    pub fn guest_write(self) -> Outcome<GuestWrite> {
        let change = match self.text("kind")? {
            "write" => Change::Write { fill: u8::try_from(self.integer("fill")?).map_err(|_| malformed("fill"))? },
            "zeroes" => Change::Zeroes,
            "discard" => Change::Discard,
            _ => return Err(malformed("kind")),
        };
        Ok(GuestWrite {
            node: self.text("node")?.to_owned(),
            offset: self.integer("offset")?,
            length: self.integer("length")?,
            change,
            result: self.write_result()?,
        })
    }

    pub fn write_result(self) -> Outcome<WriteResult> {
        match self.text("result")? {
            "ok" => Ok(WriteResult::Good),
            "failed" => Ok(WriteResult::Failed),
            "copy failed" => Ok(WriteResult::CopyFailed),
            "ignored" => Ok(WriteResult::Ignored),
            _ => Err(malformed("result")),
        }
    }

    pub fn copy_result(self) -> Outcome<CopyResult> {
        match self.text("result")? {
            "ok" => Ok(CopyResult::Good),
            "read error" => Ok(CopyResult::ReadError),
            "write error" => Ok(CopyResult::WriteError),
            _ => Err(malformed("result")),
        }
    }

    /// The ranges that a backup of the suite has not copied.
    pub fn left(self) -> Outcome<Vec<Extent>> {
        let extent = |item: &Value| match item {
            Value::Array(pair) => match pair[..] {
                [Value::Integer(offset), Value::Integer(length)] => Extent::within(i64::MAX as u64, offset, length),
                _ => None,
            },
            _ => None,
        };
        self.items("left")?.iter().map(|item| extent(item).ok_or_else(|| malformed("left"))).collect()
    }

    /// The actions of a transaction.
    pub fn actions(self) -> Outcome<Vec<Action>> {
        let action = |item| {
            let action = Request(item).action()?;
            action.ok_or_else(|| Kind::Invalid.because("that is nothing to do in a transaction"))
        };
        self.items("actions")?.iter().map(action).collect()
    }

    /// What is to be done, if it is something that can be done in a transaction, too.
    pub fn action(self) -> Outcome<Option<Action>> {
        let name = || self.text("name").map(str::to_owned);
        let node = || self.text("node").map(str::to_owned);
        Ok(Some(match self.text("do")? {
            "add-bitmap" => Action::AddBitmap {
                node: node()?,
                name: name()?,
                granularity: self.integer("granularity")?,
                enabled: self.flag("enabled")?,
            },
            "remove-bitmap" => Action::RemoveBitmap { node: node()?, name: name()? },
            "clear-bitmap" => Action::ClearBitmap { node: node()?, name: name()? },
            "enable-bitmap" => Action::EnableBitmap { node: node()?, name: name()? },
            "disable-bitmap" => Action::DisableBitmap { node: node()?, name: name()? },
            "merge-bitmaps" => Action::MergeBitmaps {
                node: node()?,
                target: self.text("target")?.to_owned(),
                sources: self.sources()?,
            },
            "start-backup" => Action::StartBackup(self.start()?),
            "abort" => Action::Abort,
            _ => return Ok(None),
        }))
    }

    fn sources(self) -> Outcome<Vec<(String, String)>> {
        let source = |item| {
            let source = Request(item);
            Ok((source.text("node")?.to_owned(), source.text("name")?.to_owned()))
        };
        self.items("sources")?.iter().map(source).collect()
    }

    fn start(self) -> Outcome<Start> {
        let sync = match self.text("sync")? {
            "full" => Sync::Full,
            "incremental" => Sync::Incremental,
            "bitmap" => Sync::Bitmap,
            _ => return Err(malformed("sync")),
        };
        let bitmap_mode = match self.text_or_null("bitmap_mode")? {
            None => None,
            Some("on-success") => Some(Mode::OnSuccess),
            Some("never") => Some(Mode::Never),
            Some("always") => Some(Mode::Always),
            Some(_) => return Err(malformed("bitmap_mode")),
        };
        let policy = |name| match self.text(name)? {
            "report" => Ok(OnError::Report),
            "ignore" => Ok(OnError::Ignore),
            "stop" => Ok(OnError::Stop),
            _ => Err(malformed(name)),
        };
        Ok(Start {
            job: self.text("job")?.to_owned(),
            node: self.text("node")?.to_owned(),
            sync,
            bitmap: self.text_or_null("bitmap")?.map(str::to_owned),
            bitmap_mode,
            cluster: self.integer("cluster")?,
            auto_finalize: self.flag("auto_finalize")?,
            on_source_error: policy("on_source_error")?,
            on_target_error: policy("on_target_error")?,
        })
    }
}

fn malformed(name: &str) -> Refusal {
    Kind::Invalid.because(format!("{name:?} is missing, or malformed"))
}
