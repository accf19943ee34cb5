//! Text for the `description` of plan nodes, which web pages show as HTML.

/// `text` with its markup characters escaped and its line ends as `<br/>`.
///
/// Flink also names letters such as `&eacute;`; they are left alone here, as pages show the same either way.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\\' => html.push_str("&#92;"),
            '\n' => html.push_str("<br/>"),
            other => html.push(other),
        }
    }
    html
}
