// SPDX-License-Identifier: GPL-2.0
//! Stacks of random policies, and random names.

use proptest::prelude::*;

use super::*;

fn literal() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        12 => prop::sample::select(b"ab/.".to_vec()),
        1 => any::<u8>(),
    ];
    prop_oneof![
        6 => prop::collection::vec(byte.clone(), 1..7),
        1 => prop::collection::vec(byte, 7..30),
    ]
}

fn glob() -> impl Strategy<Value = Pattern> {
    let part = prop::sample::select(vec![
        "a", "b", "/", ".", "*", "?", "**", "**/", "/**", "[ab]", "[!a]", "[.-b]", "/**/",
    ]);
    prop::collection::vec(part, 0..6).prop_filter_map("three stars", |parts| {
        let glob = parts.concat();
        let glob = (!glob.contains("***")).then_some(glob)?;
        Pattern::glob(glob.as_bytes()).ok()
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        2 => literal().prop_map(Pattern::Equal),
        2 => literal().prop_map(Pattern::Prefix),
        1 => literal().prop_map(Pattern::Suffix),
        1 => literal().prop_map(Pattern::Contains),
        4 => literal().prop_map(|tree| Pattern::under(&tree)),
        3 => glob(),
    ]
}

/// Patterns, and which of their values are allowed; 0 is that of no match.
fn layer() -> impl Strategy<Value = (Vec<Pattern>, Vec<u32>)> {
    prop::collection::vec(pattern(), 0..6).prop_flat_map(|patterns| {
        let values = patterns.len() as u32 + 1;
        let allowed = prop::collection::btree_set(0..values, 1..=values as usize);
        (
            Just(patterns),
            allowed.prop_map(|set| set.into_iter().collect()),
        )
    })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(prop::sample::select(b"ab/.".to_vec()), 0..14);
    prop_oneof![
        12 => short.clone(),
        2 => prop::collection::vec(any::<u8>(), 0..9),
        // As long as names are, and longer than what the kernel keeps within the struct.
        1 => (short.clone(), 0usize..600, short).prop_map(|(start, between, end)| {
            [start, b"ab/".iter().copied().cycle().take(between).collect(), end].concat()
        }),
    ]
}

/// Strings that a pattern was made of: what hits it, or nearly does.
fn hits(patterns: &[Pattern]) -> Vec<Vec<u8>> {
    let literal = |pattern: &Pattern| match pattern {
        Pattern::Equal(bytes)
        | Pattern::Prefix(bytes)
        | Pattern::Suffix(bytes)
        | Pattern::Contains(bytes)
        | Pattern::Under(bytes) => Some(bytes.clone()),
        Pattern::Glob(_) => None,
    };
    let literals: Vec<Vec<u8>> = patterns.iter().filter_map(literal).collect();
    let around = |bytes: &Vec<u8>| {
        let longer = |tail: &[u8]| [bytes.as_slice(), tail].concat();
        let shorter = bytes[..bytes.len() - 1].to_vec();
        [
            bytes.clone(),
            longer(b"/"),
            longer(b"/a"),
            longer(b"a"),
            longer(&[0]),
            shorter,
        ]
    };
    literals.iter().flat_map(around).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, ..ProptestConfig::default() })]

    /// 768 stacks, some 200 names each.
    #[test]
    fn product_allows_what_every_layer_allows(
        layers in prop::collection::vec(layer(), 2..7),
        names in prop::collection::vec(name(), 160),
    ) {
        let policies: Vec<_> = layers
            .iter()
            .map(|(patterns, allowed)| policy_of_patterns(patterns, allowed))
            .collect();
        let merged = product_of_all(&policies, &mut workspace());
        // Globs with sets of bytes multiply; nothing else does at this size.
        let globs = layers.iter().flat_map(|layer| &layer.0);
        let globs = globs.filter(|pattern| matches!(pattern, Pattern::Glob(_))).count();
        prop_assume!(merged.is_some() || globs > 6);
        if let Some(merged) = merged {
            let hits = layers.iter().flat_map(|(patterns, _)| hits(patterns));
            for name in names.into_iter().chain(hits) {
                let all = policies.iter().all(|policy| allows(policy, &name));
                prop_assert_eq!(merged.allow(&name), all, "{:?}", String::from_utf8_lossy(&name));
            }
        }
    }
}

#[test]
fn sixty_four_layers_are_one_walk() {
    let rules = |layer: usize| {
        format!(
            "deny EACCES path contains \"..\"\n deny ENOENT path matches \"**/.env\"\n\
             allow path under \"/usr\", \"/etc\", \"/lib/x86_64-linux-gnu\", \"/tmp/layer{layer}\", \"/home/user/work\"\n\
             default deny EACCES"
        )
    };
    let policies: Vec<_> = (0..64)
        .map(|layer| policy_of_rules(&rules(layer)))
        .collect();
    let merged = product_of_all(&policies, &mut workspace()).expect("few states");
    // What is left is what all have in common, no larger than one of them.
    let one = policies[0].image().len();
    assert!(
        merged.table().len() <= one,
        "{} bytes of {one}",
        merged.table().len()
    );
    for (name, allowed) in [
        ("/usr/bin/env", true),
        ("/usr/bin/.env", false),
        ("/usr/../bin", false),
        ("/tmp/layer0/x", false),
        ("/tmp/layer63/x", false),
        ("/home/user/work", true),
        ("/home/user/works", false),
        ("", false),
    ] {
        assert_eq!(merged.allow(name.as_bytes()), allowed, "{name}");
    }
}

/// The words of a table that are heads of this kind, or look like one.
fn heads(table: &[u8], kind: u32) -> usize {
    let words = table.chunks_exact(4).skip(4);
    let words = words.map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
    words.filter(|word| word >> 30 == kind).count()
}

/// What makes a walk fast is found again in the product: literals, and searches that skip.
#[test]
fn chains_and_skips_stay() {
    let trees: Vec<Pattern> = (0..40)
        .map(|at| format!("/srv/projects/team-{}/service-{at}", at % 7))
        .map(|tree| Pattern::under(tree.as_bytes()))
        .collect();
    let numbered: Vec<(&Pattern, u32)> = trees.iter().map(|tree| (tree, 1)).collect();
    let compiled = table(&numbered).expect("few states").bytes;
    let list = policy_of(compiled.clone(), &[1]).expect("a sound table");
    let search = policy_of_rules("deny EACCES path contains \"..\", \"/.git/\"\n default allow");
    let mut workspace = workspace();
    let own = names(&list).expect("names");
    let squared = product(&own, &own, &mut workspace).expect("few states");
    let chains = |table: &[u8]| u32::from_le_bytes(table[8..12].try_into().expect("four bytes"));
    assert!(chains(&compiled) > 5);
    assert_eq!(chains(squared.table()), chains(&compiled));
    assert!(squared.table().len() <= compiled.len() + 64);
    let own = names(&search).expect("names");
    let squared = product(&own, &own, &mut workspace).expect("few states");
    assert!(heads(squared.table(), 3) > 0, "no skip is left");
    let both = product(&names(&list).expect("names"), &own, &mut workspace).expect("few states");
    assert!(heads(both.table(), 3) > 0 && both.allow(b"/srv/projects/team-0/service-0/x"));
    assert!(!both.allow(b"/srv/projects/team-0/service-0/.git/x"));
}
