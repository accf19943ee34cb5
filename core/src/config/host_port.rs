use std::{fmt, num::NonZeroU16, str::FromStr};

use super::value::ConfigValue;

/// Host name or address, and port. IPv6 addresses stand in brackets: `[::1]:8081`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: NonZeroU16,
}

impl HostPort {
    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port; never 0.
    pub fn port(&self) -> u16 {
        self.port.get()
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not HOST:PORT, like localhost:8081 or [::1]:8081".to_owned();
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':')).ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_| "HOST:PORT with a port that is not a number from 1 to 65535".to_owned())?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl ConfigValue for HostPort {
    fn kind() -> String {
        "host:port".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_need_a_host_and_a_port() {
        let parsed: HostPort = "localhost:8081".parse().expect("plain");
        assert_eq!((parsed.host(), parsed.port()), ("localhost", 8081));
        let parsed: HostPort = "[::1]:1".parse().expect("IPv6");
        assert_eq!((parsed.host(), parsed.to_string().as_str()), ("::1", "[::1]:1"));
        for wrong in
            ["localhost", ":8081", "::1:8081", "a b:1", "localhost:0", "localhost:65536", "[a]:1", "http://x:1"]
        {
            wrong.parse::<HostPort>().expect_err(wrong);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<HostPort>();
        }

        #[test]
        fn read_addresses_are_shown_as_read(text in "(\\[[0-9a-f:]{2,9}\\]|[a-z.]{1,9}):[0-9]{1,5}") {
            if let Ok(address) = text.parse::<HostPort>() {
                prop_assert_eq!(HostPort::parse(&address.show()), Ok(address));
            }
        }
    }
}
