//! Why a command is refused: the protocol's kinds of error.

/// A kind of error, as the protocol names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Exists,
    Busy,
    SizeMismatch,
    Invalid,
    WrongPhase,
    Aborted,
    CopyFailed,
    Unsupported,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::NotFound => "not found",
            Kind::Exists => "exists",
            Kind::Busy => "busy",
            Kind::SizeMismatch => "size mismatch",
            Kind::Invalid => "invalid",
            Kind::WrongPhase => "wrong phase",
            Kind::Aborted => "aborted",
            Kind::CopyFailed => "copy failed",
            Kind::Unsupported => "unsupported",
        }
    }

    /// A refusal of this kind, with a text for people.
    pub fn because(self, text: impl Into<String>) -> Refusal {
        Refusal { kind: self, text: text.into() }
    }
}

/// A command was refused. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: Kind,
    pub text: String,
}

pub type Outcome<T = ()> = Result<T, Refusal>;
