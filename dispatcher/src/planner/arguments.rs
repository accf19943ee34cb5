/// Splits a command line at blanks, as Flink splits `programArgs`: single and double quotes hold blanks together.
pub fn split(text: &str) -> Vec<String> {
    let (mut arguments, mut current, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '\'' => {
                quote = Some(character);
                current.get_or_insert_default();
            }
            None if character.is_whitespace() => arguments.extend(current.take()),
            _ => current.get_or_insert_default().push(character),
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(super::split(text), expected);
    }

    #[test]
    fn quotes_hold_blanks_together() {
        check("", &[]);
        check("  --rate 5\t-x ", &["--rate", "5", "-x"]);
        check("--name 'two words' \"\" a\"b c\"d", &["--name", "two words", "", "ab cd"]);
        check("'open", &["open"]);
    }
}
