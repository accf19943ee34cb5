//! Spellings that clap does not know: Flink's long options with one dash, and those of its YARN client.
//!
//! They are rewritten to the double-dash options of [`super`] before parsing, up to the program's name: what comes
//! after it belongs to the program.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

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

/// What only `flott run` has other spellings of.
const CLAIM_MODE: &str = "--claimMode";

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
    value("-fromSavepoint", "--fromSavepoint"),
    flag("-allowNonRestoredState", "--allowNonRestoredState"),
    value("-cm", CLAIM_MODE),
    value("-claim", CLAIM_MODE),
    value("-claimMode", CLAIM_MODE),
    value("-rm", CLAIM_MODE),
    value("-restoreMode", CLAIM_MODE),
    value("--restoreMode", CLAIM_MODE),
    value("-withSavepoint", "--withSavepoint"),
    value("-savepointPath", "--savepointPath"),
    value("-dispose", "--dispose"),
    flag("-drain", "--drain"),
    flag("-full", "--full"),
    flag("-incremental", "--incremental"),
];

/// Verbs whose first positional argument is a program with arguments of its own.
const PROGRAM_VERBS: &[&str] = &["run", "info", "plan"];

/// Rewrites old spellings, for the command line of `root`. A program gets `--` before it, so that whatever comes after
/// is its own, and whatever comes before must be an option that is known.
pub fn rewrite(root: &Command, arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut out: Vec<OsString> = arguments.by_ref().take(1).collect();
    let mut verb: Option<OsString> = None;
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or("");
        // Elsewhere `-rm` is `-r` and `-m`.
        let applies = |now: &str| now != CLAIM_MODE || verb.as_deref() == Some(OsStr::new("run"));
        if let Some((now, takes_value, glued)) = find(text).filter(|(now, ..)| applies(now)) {
            let given = if takes_value { glued.or_else(|| arguments.next()) } else { None };
            out.push(now.into());
            out.extend(given);
            continue;
        }
        if text == "--" {
            out.push(argument);
            out.extend(arguments.by_ref());
            break;
        }
        if text.starts_with('-') && text.len() > 1 {
            let with_value = takes_value(root, verb.as_deref(), text);
            out.push(argument);
            out.extend(arguments.by_ref().take(usize::from(with_value)));
            continue;
        }
        match verb.as_deref().and_then(OsStr::to_str) {
            None => verb = Some(argument.clone()),
            Some(known) if PROGRAM_VERBS.contains(&known) => {
                // The program: the rest is its own.
                let mut own: Vec<_> = arguments.by_ref().collect();
                if known == "plan" && !out.iter().any(|given| is_output(given)) {
                    out.extend(output_behind(&mut own));
                }
                out.push("--".into());
                out.push(argument);
                out.extend(own);
                break;
            }
            Some(_) => {}
        }
        out.push(argument);
    }
    out
}

/// Whether the next argument is the value of the option `text` of `verb`.
fn takes_value(root: &Command, verb: Option<&OsStr>, text: &str) -> bool {
    let verb = verb.and_then(|verb| root.find_subcommand(verb));
    let mut options = root.get_arguments().chain(verb.into_iter().flat_map(Command::get_arguments));
    let named = |option: &Arg| match text.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long),
        None => option.get_short().is_some_and(|short| text.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4]))),
    };
    options.any(|option| named(option) && option.get_action().takes_values())
}

fn is_output(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    text == "--output" || text.starts_with("--output=") || (text.starts_with("-o") && !text.starts_with("--"))
}

/// `-o FILE` of `flott plan PROGRAM`, taken out of the program's arguments: right behind the program, or at the end.
/// The long spelling is left to the program, where many have one of their own.
fn output_behind(own: &mut Vec<OsString>) -> Vec<OsString> {
    let is_short = |place: &usize| own.get(*place).is_some_and(|argument| argument == "-o") && place + 1 < own.len();
    let place = [Some(0), own.len().checked_sub(2)].into_iter().flatten().find(is_short);
    place.map(|place| own.drain(place..place + 2).collect()).unwrap_or_default()
}

/// The old spelling that `text` is nearest to.
pub fn nearest(text: &str) -> Option<&'static str> {
    flott_core::config::nearest_of(text, OLD.iter().map(|old| old.spelling))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        let rewritten = rewrite(&super::super::command(), given.split_whitespace().map(OsString::from));
        let rewritten: Vec<_> = rewritten.iter().map(|argument| argument.to_string_lossy()).collect();
        assert_eq!(rewritten.join(" "), expected);
    }

    #[test]
    fn the_old_yarn_line_is_understood() {
        check(
            "flott run -m yarn-cluster -ynm t -c com.Main -yn 2 -ys 2 -ytm 4096 -yjm 2048 -yst -p 4 -yD a=b -yarnqueue q -yd PROGRAM -yn 7",
            "flott run -m yarn-cluster --yarnname t -c com.Main --yarncontainer 2 --yarnslots 2 --yarntaskManagerMemory 4096 --yarnjobManagerMemory 2048 --yarnstreaming -p 4 --yarnproperty a=b --yarnqueue q --detached -- PROGRAM -yn 7",
        );
    }

    #[test]
    fn whose_a_snapshot_is_has_many_spellings() {
        for spelling in ["-cm", "-claim", "-claimMode", "--claimMode", "-rm", "-restoreMode", "--restoreMode"] {
            check(
                &format!("flott run -s a {spelling} no_claim -n P -rm"),
                "flott run -s a --claimMode no_claim -n -- P -rm",
            );
        }
    }

    #[test]
    fn the_kinds_of_checkpoints_have_one_dash_in_flink() {
        check("flott checkpoint -full J", "flott checkpoint --full J");
        check("flott checkpoint -incremental J", "flott checkpoint --incremental J");
    }

    #[test]
    fn values_may_be_glued() {
        check("flott run -yDa=b -yn=3 P", "flott run --yarnproperty a=b --yarncontainer 3 -- P");
        check("flott run -Da=b -p4 -d P -p4 -Dc=d", "flott run -Da=b -p4 -d -- P -p4 -Dc=d");
    }

    #[test]
    fn a_program_keeps_its_arguments() {
        check("flott run -p 2 prog -yd run -sae", "flott run -p 2 -- prog -yd run -sae");
        check("flott info prog -yd", "flott info -- prog -yd");
        check("flott run -- prog -yd", "flott run -- prog -yd");
        check("flott run -D a=b --yarnqueue q prog -- x", "flott run -D a=b --yarnqueue q -- prog -- x");
    }

    #[test]
    fn the_output_of_a_plan_may_come_after_the_program() {
        check("flott plan P -o g", "flott plan -o g -- P");
        check("flott plan P -o g a -b", "flott plan -o g -- P a -b");
        check("flott plan -p 2 P a -b -o g", "flott plan -p 2 -o g -- P a -b");
        check("flott plan P -o g a -o h", "flott plan -o g -- P a -o h");
    }

    #[test]
    fn a_planned_program_may_have_an_output_of_its_own() {
        check("flott plan -o g P -o h", "flott plan -o g -- P -o h");
        check("flott plan --output=g P -o h", "flott plan --output=g -- P -o h");
        check("flott plan -og P -o h", "flott plan -og -- P -o h");
        check("flott plan -- P -o h", "flott plan -- P -o h");
        check("flott plan P --output h", "flott plan -- P --output h");
        check("flott plan P a -o h b", "flott plan -- P a -o h b");
        check("flott plan P -o", "flott plan -- P -o");
        check("flott run P -o h", "flott run -- P -o h");
    }

    #[test]
    fn other_verbs_are_rewritten_to_the_end() {
        check("flott list -all -m a:1", "flott list --all -m a:1");
        check("flott list -rm a:1", "flott list -rm a:1");
    }
}
