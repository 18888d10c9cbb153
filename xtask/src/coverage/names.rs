// SPDX-License-Identifier: GPL-2.0

//! Names of functions as people write them: without the path to their module, parameters of types, and closures.

/// `<evfilter::domain::Domain>::push::{closure#0}` is `Domain::push`; a C function's name stays as it is.
pub(crate) fn simple(name: &str) -> String {
    let (qualified, rest) = match name.strip_prefix('<').and_then(|inner| {
        let end = closing(inner)?;
        Some((&inner[..end], inner.get(end + 1..)?.strip_prefix("::")?))
    }) {
        Some((inner, rest)) => (Some(inner), rest),
        None => (None, name),
    };
    let mut segments = segments(rest);
    segments.retain(|segment| !segment.starts_with(['<', '{']));
    let method = match qualified {
        Some(_) => segments.first(),
        None => segments.last(),
    };
    let method = bare(method.copied().unwrap_or(rest));
    match qualified {
        None => method.to_owned(),
        Some(inner) => match split_as(inner) {
            Some((of, as_)) => format!("<{} as {}>::{method}", of_type(of), of_type(as_)),
            None => format!("{}::{method}", of_type(inner)),
        },
    }
}

/// The place of the `>` that ends what an opened `<` began.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            // An arrow is no bracket.
            '>' if last == '-' => {}
            '>' if depth == 0 => return Some(at),
            '>' => depth -= 1,
            _ => {}
        }
        last = c;
    }
    None
}

/// What stands between `::`, brackets being one piece.
fn segments(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let (mut begin, mut pieces) = (0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if text[..at].ends_with('-') => {}
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && text[at..].starts_with("::") => {
                pieces.push(&text[begin..at]);
                begin = at + 2;
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

/// A type and the trait that it is looked at as.
fn split_as(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    inner.char_indices().find_map(|(at, c)| {
        match c {
            '<' => depth += 1,
            '>' if inner[..at].ends_with('-') => {}
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let rest = inner[at..].strip_prefix(" as ")?;
        (depth == 0).then_some((&inner[..at], rest))
    })
}

/// A type's own name.
fn of_type(text: &str) -> &str {
    let mut segments = segments(text);
    segments.retain(|segment| !segment.starts_with(['<', '{']));
    bare(segments.last().copied().unwrap_or(text))
}

/// A name without the parameters behind it.
fn bare(text: &str) -> &str {
    match text.find('<') {
        Some(at) if at > 0 => &text[..at],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stands_in_the_source() {
        for (long, short) in [
            ("evf_task_bind", "evf_task_bind"),
            ("filters::vm::run", "run"),
            ("filters::vm::run::<evfilter::event::View, 4>", "run"),
            ("<evfilter::domain::Domain>::push", "Domain::push"),
            (
                "<evfilter::domain::Domain>::push::{closure#0}",
                "Domain::push",
            ),
            ("<evfilter::domain::Domain>::push::inner", "Domain::push"),
            (
                "evfilter::attach::install::{closure#0}::{closure#1}",
                "install",
            ),
            (
                "<filters::stack::Stack<filters::Layer, 64>>::push",
                "Stack::push",
            ),
            (
                "<filters::insn::Op as core::convert::TryFrom<u16>>::try_from",
                "<Op as TryFrom>::try_from",
            ),
            (
                "<heapless::vec::Vec<fn(u8) -> u8, 4> as core::ops::drop::Drop>::drop",
                "<Vec as Drop>::drop",
            ),
        ] {
            assert_eq!(simple(long), short, "{long}");
        }
    }
}
