/// In which text metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text, 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0. Its counters would have to end in `_total`, and a name must not depend on who asks: so they are told as of
    /// unknown type.
    OpenMetrics,
}

impl Format {
    /// The one for a header `Accept`. Prometheus takes both, and gets the one in which counters are counters; so does who says
    /// nothing. OpenMetrics is for those who take nothing else.
    pub fn accepted(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Prometheus };
        let mut open_metrics = false;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let is_refused = parts.any(|part| {
                let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                weight.and_then(|weight| weight.trim().parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
            });
            match kind.as_str() {
                _ if is_refused => {}
                "text/plain" | "text/*" | "*/*" => return Self::Prometheus,
                "application/openmetrics-text" | "application/*" => open_metrics = true,
                _ => {}
            }
        }
        if open_metrics { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_take_nothing_else() {
        use Format::{OpenMetrics, Prometheus};
        #[track_caller]
        fn check(accept: &str, expected: Format) {
            assert_eq!(Format::accepted(Some(accept)), expected, "{accept}");
        }
        assert_eq!(Format::accepted(None), Prometheus);
        // As Prometheus 3 asks.
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Prometheus,
        );
        check("application/openmetrics-text; version=1.0.0", OpenMetrics);
        check("application/openmetrics-text, text/plain;q=0", OpenMetrics);
        check("Application/OpenMetrics-Text", OpenMetrics);
        check("text/html", Prometheus);
        check("application/openmetrics-text;q=0.0", Prometheus);
        check("", Prometheus);
    }
}
