// SPDX-License-Identifier: GPL-2.0

//! Rust source with comments and literals told apart from code, enough for rules about single lines.

/// One line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScannedLine {
    /// The code; comments, and what is inside string and character literals, are blanks.
    pub(crate) code: String,
    /// The text of comments.
    pub(crate) comment: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// Nested that deep.
    BlockComment(u32),
    String,
    /// Raw, closed by a quote and that many hashes.
    RawString(usize),
}

/// Takes `text` apart line by line.
pub(crate) fn scan(text: &str) -> Vec<ScannedLine> {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = vec![ScannedLine::default()];
    let mut state = State::Code;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c == '\n' {
            if state == State::LineComment {
                state = State::Code;
            }
            lines.push(ScannedLine::default());
            at += 1;
            continue;
        }
        let next = chars.get(at + 1).copied();
        let (new_state, taken) = step(state, &chars, at, c, next);
        let line = lines.last_mut().expect("there is always a line");
        let in_comment = |state| matches!(state, State::LineComment | State::BlockComment(_));
        for &c in chars.iter().skip(at).take(taken) {
            if in_comment(state) || in_comment(new_state) {
                line.comment.push(c);
                line.code.push(' ');
            } else if taken == 1 && (state == State::Code && new_state == State::Code || c == '"') {
                line.code.push(c);
            } else {
                line.code.push(' ');
            }
        }
        state = new_state;
        at += taken;
    }
    lines
}

/// The state after the characters at `at`, and how many of them belong together.
fn step(state: State, chars: &[char], at: usize, c: char, next: Option<char>) -> (State, usize) {
    match (state, c, next) {
        (State::Code, '/', Some('/')) => (State::LineComment, 2),
        (State::Code, '/', Some('*')) => (State::BlockComment(1), 2),
        (State::Code, '"', _) => (State::String, 1),
        (State::Code, 'r', Some('"' | '#')) if !follows_word(chars, at) => {
            match raw_hashes(chars, at + 1) {
                Some(hashes) => (State::RawString(hashes), hashes + 2),
                None => (State::Code, 1),
            }
        }
        (State::Code, '\'', _) => (State::Code, char_literal(chars, at)),
        (State::BlockComment(depth), '/', Some('*')) => (State::BlockComment(depth + 1), 2),
        (State::BlockComment(1), '*', Some('/')) => (State::Code, 2),
        (State::BlockComment(depth), '*', Some('/')) => (State::BlockComment(depth - 1), 2),
        // An escaped line end leaves the newline to be seen by the caller.
        (State::String, '\\', Some(escaped)) if escaped != '\n' => (State::String, 2),
        (State::String, '"', _) => (State::Code, 1),
        (State::RawString(hashes), '"', _)
            if chars
                .iter()
                .skip(at + 1)
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes =>
        {
            (State::Code, hashes + 1)
        }
        _ => (state, 1),
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    // `br"..."` and `cr"..."` are raw strings too.
    let before = |n: usize| at.checked_sub(n).and_then(|at| chars.get(at)).copied();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if matches!(before(1), Some('b' | 'c')) {
        word(before(2))
    } else {
        word(before(1))
    }
}

fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars.iter().skip(at).take_while(|&&c| c == '#').count();
    (chars.get(at + hashes) == Some(&'"')).then_some(hashes)
}

/// The length of the character literal at `at`, or 1 for a lifetime.
fn char_literal(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let length = chars
                .iter()
                .skip(at + 3)
                .take_while(|&&c| c != '\'' && c != '\n')
                .count();
            length + 4
        }
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

/// Whether `word` stands in `code` as a word of its own.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(part)
            && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        scan(text)
            .into_iter()
            .map(|line| line.code.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        assert_eq!(code("let x = 1; // unsafe"), ["let x = 1;"]);
        assert_eq!(
            code("a /* unsafe /* b */ c */ d"),
            [format!(
                "a{}d",
                " ".repeat("/* unsafe /* b */ c */".len() + 2)
            )]
        );
        assert_eq!(
            code("f(\"unsafe \\\" x\", y)"),
            [format!("f(\"{}\", y)", " ".repeat(11))]
        );
        assert!(!has_word(&code("r#\"x \" unsafe \"# z")[0], "unsafe"));
        assert!(code("r#\"x \" unsafe \"# z")[0].ends_with('z'));
    }

    #[test]
    fn quotes_and_lifetimes_do_not_open_strings() {
        assert!(code("match c { '\"' => 1, '\\'' => 2, 'a' => last }")[0].contains("last"));
        assert!(has_word(
            &code("fn f<'a>(x: &'a str) { unsafe { x } }")[0],
            "unsafe"
        ));
        assert!(has_word(&code("let c = '\\u{1f}'; unsafe {}")[0], "unsafe"));
    }

    #[test]
    fn strings_and_comments_span_lines() {
        let lines = scan("let s = \"one \\\n unsafe two\"; x();\n/* a\n unsafe */ y();");
        assert!(!has_word(&lines[1].code, "unsafe") && lines[1].code.contains("x();"));
        assert!(!has_word(&lines[3].code, "unsafe") && lines[3].code.contains("y();"));
        assert!(lines[3].comment.contains("unsafe"));
    }

    #[test]
    fn words_are_whole() {
        assert!(
            has_word("unsafe {", "unsafe")
                && !has_word("unsafe_code", "unsafe")
                && !has_word("an_unsafe", "unsafe")
        );
    }
}
