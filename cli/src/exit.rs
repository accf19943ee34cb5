//! How the command ends. The codes are a contract: scripts depend on them.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use crate::{kubernetes, rest::RestError};

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done = 0,
    /// Wrong usage, or the client could not do its part.
    Usage = 1,
    /// The job failed.
    JobFailed = 2,
    /// No cluster answers.
    Unreachable = 3,
    /// The job was cancelled.
    Cancelled = 4,
    /// A wait ran out.
    TimedOut = 5,
    /// A JobManager led, and another one does now: it is to be started again, to stand by.
    Deposed = 75,
    /// A supervised JobManager has left its job to the next one at SIGTERM: 128 and the number of the signal.
    Terminated = 143,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// An end that needs a word.
#[derive(Debug)]
pub struct End {
    code: Code,
    error: anyhow::Error,
    /// Printed as it is, to standard output; for help and version.
    plain: bool,
}

impl End {
    /// Ends with `code` because of `error`.
    pub fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into(), plain: false }
    }

    /// Help or version text: wanted output, not an error.
    pub fn text(text: String) -> Self {
        Self { code: Code::Done, error: anyhow::anyhow!(text), plain: true }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Prints the error with its causes on one line, as people and logs like it, and gives the exit code.
    pub fn report(self) -> ExitCode {
        if self.plain {
            print!("{}", self.error);
        } else {
            say(&self.to_string());
        }
        self.code.into()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Says something on standard error, from where a log goes on if that cannot be written.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "flott: {text}"); // there is nobody to tell
}

/// Errors of the client end it with [`Code::Usage`], unless no cluster answered.
impl<E: Into<anyhow::Error>> From<E> for End {
    fn from(error: E) -> Self {
        let error = error.into();
        let code = match error.downcast_ref::<RestError>() {
            Some(RestError::Unreachable { .. }) => Code::Unreachable,
            Some(RestError::Refused(_) | RestError::Strange { .. }) => Code::Usage,
            None => kubernetes::code_of(&error).unwrap_or(Code::Usage),
        };
        Self { code, error, plain: false }
    }
}

/// Result of a command.
pub type CommandResult<T = Code> = Result<T, End>;
