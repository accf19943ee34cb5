use std::fmt::Write;

use super::{
    accepted::{REFUSED, WITHOUT_EFFECT},
    environment::OWN,
    keys::{MAPS, SECTIONS},
    option::{Declaration, Section},
};

const HEAD: &str = "\
# Configuration

<!-- Generated from the declarations in core/src/config/keys by `cargo xtask docs`. -->

Settings come from three places, each stronger than the one before:

1. one YAML file, `config.yaml`; nested maps and dotted keys mean the same, and may stand in one file
2. environment variables: the variable of a key is `FLOTT_` and the key in capitals, with `__` for `.` and `_` for `-`:
   `FLOTT_REST__BIND_ADDRESS` is `rest.bind-address`
3. `-D key=value` on the command line

They are checked when they are loaded. An unknown key is an error that names the nearest known one, and so is a value
that does not fit, even where a stronger source covers it.

Byte sizes are a whole number and a unit: `b`, `kb`, `mb`, `gb`, `tb`, or just the letters `k`, `m`, `g`, `t`. Units are
powers of 1024; a bare number is bytes. Durations are a whole number and a unit: `ns`, `µs`, `ms`, `s`, `min`, `h`, `d`; a
bare number is milliseconds.
";

/// The reference page of all keys, in Markdown: what `docs/configuration.md` holds.
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page.push_str("\n## Free keys\n\nUnder these prefixes every key is allowed.\n");
    write_table(
        &mut page,
        ["Prefix", "Meaning"],
        MAPS.iter().map(|map| [code(&[map.prefix, ".*"].concat()), cell(map.doc)]),
    );
    page.push_str("\n## Environment\n\nThese variables are not keys.\n");
    write_table(&mut page, ["Variable", "Meaning"], OWN.iter().map(|(name, doc)| [code(name), cell(doc)]));
    page.push_str(
        "\n## Keys without effect\n\nFlink's keys that mean nothing here are accepted, with one warning line each, so that \
         files and command lines need not be rewritten.\n",
    );
    write_table(
        &mut page,
        ["Key", "Why it has no effect"],
        WITHOUT_EFFECT.iter().map(|entry| {
            let star = if entry.is_prefix() { "*" } else { "" };
            [code(&[entry.pattern, star].concat()), cell(entry.reason)]
        }),
    );
    page.push_str("\n## Keys that are refused\n\nTo leave these out silently would lose what they ask for.\n");
    write_table(
        &mut page,
        ["Key", "Why it is refused"],
        REFUSED.iter().map(|entry| [code(&[entry.prefix, "*"].concat()), cell(entry.reason)]),
    );
    page
}

fn write_section(page: &mut String, section: &Section) {
    let _ = write!(page, "\n## {}\n\n{}\n", section.title, section.intro);
    write_table(
        page,
        ["Key", "Default", "Type", "Meaning"],
        section.options.iter().map(|declaration| {
            let default = declaration.default.map(code).unwrap_or_else(|| "none".to_owned());
            [code(declaration.key), default, cell(&kind(declaration)), meaning(declaration)]
        }),
    );
}

fn kind(declaration: &Declaration) -> String {
    let kind = (declaration.kind)();
    match declaration.range {
        Some((min, max)) => format!("{kind}, {min} to {max}"),
        None => kind,
    }
}

fn meaning(declaration: &Declaration) -> String {
    let mut meaning = cell(declaration.doc);
    if declaration.secret {
        meaning.push_str(" Never shown.");
    }
    for (word, names) in [("Also", declaration.fallback_keys), ("Formerly", declaration.deprecated_keys)] {
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| code(name)).collect();
            let _ = write!(meaning, " {word} {}.", names.join(", "));
        }
    }
    meaning
}

fn write_table<const N: usize>(page: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = write!(page, "\n| {} |\n|{}\n", head.join(" | "), " --- |".repeat(N));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

/// One line, with the table's own bars escaped.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::registry::declarations;

    #[test]
    fn every_key_has_a_row() {
        let page = reference_markdown();
        for declaration in declarations() {
            let row = format!("\n| `{}` | ", declaration.key);
            assert_eq!(page.matches(&row).count(), 1, "{}", declaration.key);
        }
    }

    #[test]
    fn tables_are_whole() {
        let page = reference_markdown();
        let mut columns = 0;
        for line in page.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            if line.starts_with("| ") || line.starts_with("|-") {
                assert!(columns == 0 || bars == columns, "{line}");
                columns = bars;
            } else {
                columns = 0;
            }
        }
    }
}
