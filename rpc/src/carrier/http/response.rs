//! The little of a response's head that matters here.

/// What was found in a response's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) upgrade: Option<String>,
    pub(super) content_length: Option<usize>,
}

/// Length of the head at the front of `bytes`, its empty line included; nothing while it is not all there.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "its response head is not text".to_owned())?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = status(first).ok_or_else(|| {
            let shown: String = first.chars().take(80).collect();
            format!("its response begins with {shown:?}")
        })?;
        let mut head = Self { status, upgrade: None, content_length: None };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or("a line of its response head is no header")?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("upgrade") {
                head.upgrade = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("content-length") {
                head.content_length = Some(value.parse().map_err(|_| "its content length is not a number")?);
            }
        }
        Ok(head)
    }
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let digits = rest.split(' ').next()?;
    (digits.len() == 3).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(u16, Option<&str>, Option<usize>), &str>) {
        let expected = expected
            .map(|(status, upgrade, content_length)| Head {
                status,
                upgrade: upgrade.map(str::to_owned),
                content_length,
            })
            .map_err(str::to_owned);
        assert_eq!(Head::parse(text.as_bytes()), expected);
    }

    #[test]
    fn the_headers_that_matter_are_found_in_any_case() {
        check(
            "HTTP/1.1 101 Switching Protocols\r\nUPGRADE:  flott/1 \r\nX: y:z\r\n\r\n",
            Ok((101, Some("flott/1"), None)),
        );
        check("HTTP/1.1 404\r\ncontent-length: 12\r\n\r\n", Ok((404, None, Some(12))));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        check("SSH-2.0-server\r\n\r\n", Err("its response begins with \"SSH-2.0-server\""));
        check("HTTP/1.1 1010 X\r\n\r\n", Err("its response begins with \"HTTP/1.1 1010 X\""));
        check("HTTP/1.1 200 OK\r\nnothing\r\n\r\n", Err("a line of its response head is no header"));
        check("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Err("its content length is not a number"));
    }

    proptest! {
        #[test]
        fn arbitrary_heads_never_panic(bytes in any::<Vec<u8>>(), text in "HTTP/1.1 [0-9a ]{0,5}(\r\n|[a-z:é]){0,20}") {
            let _ = (head_length(&bytes), Head::parse(&bytes), Head::parse(text.as_bytes()));
        }
    }
}
