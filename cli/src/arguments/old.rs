//! Spellings that clap does not know: Flink's long options with one dash, and those of its YARN client.
//!
//! They are rewritten to the double-dash options of [`super`] before parsing, up to the program's name: what comes
//! after it belongs to the program.

use std::ffi::{OsStr, OsString};

/// An option with one dash and several letters.
struct Old {
    spelling: &'static str,
    now: &'static str,
    takes_value: bool,
}

const fn flag(spelling: &'static str, now: &'static str) -> Old {
    Old { spelling, now, takes_value: false }
}

const fn value(spelling: &'static str, now: &'static str) -> Old {
    Old { spelling, now, takes_value: true }
}

/// Every old spelling. The first seven pairs are Flink's YARN client, short and long.
const OLD: &[Old] = &[
    value("-yn", "--yarncontainer"),
    value("-yarncontainer", "--yarncontainer"),
    value("-ys", "--yarnslots"),
    value("-yarnslots", "--yarnslots"),
    value("-ytm", "--yarntaskManagerMemory"),
    value("-yarntaskManagerMemory", "--yarntaskManagerMemory"),
    value("-yjm", "--yarnjobManagerMemory"),
    value("-yarnjobManagerMemory", "--yarnjobManagerMemory"),
    value("-ynm", "--yarnname"),
    value("-yarnname", "--yarnname"),
    value("-yqu", "--yarnqueue"),
    value("-yarnqueue", "--yarnqueue"),
    flag("-yst", "--yarnstreaming"),
    flag("-yarnstreaming", "--yarnstreaming"),
    value("-yD", "--yarnproperty"),
    flag("-yd", "--detached"),
    flag("-yarndetached", "--detached"),
    value("-yid", "--yarnapplicationId"),
    value("-yarnapplicationId", "--yarnapplicationId"),
    flag("-sae", "--shutdownOnAttachedExit"),
    flag("-detached", "--detached"),
    value("-jobmanager", "--jobmanager"),
    value("-parallelism", "--parallelism"),
    value("-class", "--class"),
    value("-target", "--target"),
    flag("-running", "--running"),
    flag("-scheduled", "--scheduled"),
    flag("-all", "--all"),
];

/// Options of `run`, `info` and `plan` that take a value, which is how the program's name is told from a value.
const VALUED: &[&str] = &[
    "-m",
    "--jobmanager",
    "-p",
    "--parallelism",
    "-c",
    "--class",
    "-D",
    "--name",
    "--job-graph",
    "--program",
    "-o",
    "--output",
    "--state-dir",
    "--config",
    "-t",
    "--target",
    "--timeout",
];

/// Verbs whose first positional argument is a program with arguments of its own.
const PROGRAM_VERBS: &[&str] = &["run", "info", "plan"];

/// Rewrites old spellings.
pub fn rewrite(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut out: Vec<OsString> = arguments.by_ref().take(1).collect();
    let mut verb: Option<OsString> = None;
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or("");
        if let Some((now, takes_value, glued)) = find(text) {
            let given = if takes_value { glued.or_else(|| arguments.next()) } else { None };
            out.push(now.into());
            out.extend(given);
            continue;
        }
        if VALUED.contains(&text) {
            out.push(argument);
            out.extend(arguments.next());
            continue;
        }
        if let Some((option, value)) = glued(text) {
            out.extend([option.into(), value.into()]);
            continue;
        }
        if text.starts_with('-') && text.len() > 1 {
            out.push(argument);
            continue;
        }
        out.push(argument.clone());
        match &verb {
            None => verb = Some(argument),
            Some(verb) if PROGRAM_VERBS.iter().any(|known| OsStr::new(known) == verb) => {
                // The program: the rest is its own.
                out.extend(arguments.by_ref());
            }
            Some(_) => {}
        }
    }
    out
}

/// The option that `text` is an old spelling of, with a value that is glued to it (`-yDkey=value`, `-yn=2`).
fn find(text: &str) -> Option<(&'static str, bool, Option<OsString>)> {
    if let Some(old) = OLD.iter().find(|old| old.spelling == text) {
        return Some((old.now, old.takes_value, None));
    }
    if let Some(pair) = text.strip_prefix("-yD").filter(|pair| !pair.is_empty()) {
        return Some(("--yarnproperty", true, Some(pair.into())));
    }
    let (spelling, value) = text.split_once('=')?;
    let old = OLD.iter().find(|old| old.spelling == spelling && old.takes_value)?;
    Some((old.now, true, Some(value.into())))
}

/// `-Dkey=value` and `-p4`, which clap would take for the program, whose arguments may begin with anything.
fn glued(text: &str) -> Option<(&str, &str)> {
    let (option, value) = text.split_at_checked(2)?;
    let fits = match option {
        "-D" => value.contains('='),
        "-p" => !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    fits.then_some((option, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        let rewritten = rewrite(given.split_whitespace().map(OsString::from));
        let rewritten: Vec<_> = rewritten.iter().map(|argument| argument.to_string_lossy()).collect();
        assert_eq!(rewritten.join(" "), expected);
    }

    #[test]
    fn the_old_yarn_line_is_understood() {
        check(
            "flott run -m yarn-cluster -ynm t -c com.Main -yn 2 -ys 2 -ytm 4096 -yjm 2048 -yst -p 4 -yD a=b -yarnqueue q -yd PROGRAM -yn 7",
            "flott run -m yarn-cluster --yarnname t -c com.Main --yarncontainer 2 --yarnslots 2 --yarntaskManagerMemory 4096 --yarnjobManagerMemory 2048 --yarnstreaming -p 4 --yarnproperty a=b --yarnqueue q --detached PROGRAM -yn 7",
        );
    }

    #[test]
    fn values_may_be_glued() {
        check("flott run -yDa=b -yn=3 P", "flott run --yarnproperty a=b --yarncontainer 3 P");
        check("flott run -Da=b -p4 -d P -p4 -Dc=d", "flott run -D a=b -p 4 -d P -p4 -Dc=d");
    }

    #[test]
    fn a_program_keeps_its_arguments() {
        check("flott run -p 2 prog -yd run -sae", "flott run -p 2 prog -yd run -sae");
        check("flott info prog -yd", "flott info prog -yd");
    }

    #[test]
    fn other_verbs_are_rewritten_to_the_end() {
        check("flott list -all -m a:1", "flott list --all -m a:1");
    }
}
