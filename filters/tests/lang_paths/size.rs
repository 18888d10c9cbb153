// SPDX-License-Identifier: GPL-2.0
//! `paths` blocks with many places: they compile in about a second, stay far below the limit of an image, and cost no more than small ones.

use std::fmt::Write;
use std::time::Instant;

use filters::event::Event;
use filters::lang::{compile, Compiled, Memory};
use filters::limits::{LAYER_COST, MAX_IMAGE_BYTES, MAX_LAYERS, MAX_STACK_COST};

/// Names as they occur in trees of files.
fn name(index: u32) -> String {
    let (a, b, c) = (
        index % 17,
        index / 17 % 29,
        index.wrapping_mul(2_654_435_761) >> 12,
    );
    format!("/srv/projects/team-{a}/service-{b}/src/module_{c:x}/part{index}")
}

fn block(places: u32, more: &str) -> String {
    let mut text = String::from("paths {\n");
    for (index, verb) in ["read", "write", "exec"].iter().cycle().enumerate() {
        let index = index as u32;
        if index >= places {
            break;
        }
        writeln!(text, "    {verb} \"{}\"", name(index)).expect("a String takes everything");
    }
    text.push_str(more);
    text.push_str("}\n");
    text
}

fn compiled(text: &str) -> Compiled {
    let start = Instant::now();
    match compile("many.evf", text, &Memory::new()) {
        Ok(policy) => {
            println!("{} bytes in {:?}", policy.image.len(), start.elapsed());
            policy
        }
        Err(error) => panic!("{}", error.render(false)),
    }
}

#[test]
fn ten_thousand_places_fit() {
    for more in [
        "",
        "    default hidden\n",
        "    deny \"/srv/projects/team-3/secret\"\n",
    ] {
        let policy = compiled(&block(10_000, more));
        assert!(policy.image.len() < MAX_IMAGE_BYTES);
    }
}

#[test]
fn a_search_beside_ten_thousand_places_fits() {
    let policy = compiled(&block(10_000, "    deny \"**/.env\", \"**/*.key\"\n"));
    assert!(policy.image.len() < MAX_IMAGE_BYTES);
}

#[test]
fn cost_does_not_grow_with_the_number_of_places() {
    let few = compiled(&block(3, ""));
    let many = compiled(&block(3_000, ""));
    for event in [Event::VfsPick, Event::FdReceive] {
        assert_eq!(few.policy().cost(event), many.policy().cost(event));
    }
    let cost = few.policy().cost(Event::VfsPick) + LAYER_COST;
    assert!(cost * MAX_LAYERS as u32 <= MAX_STACK_COST, "{cost}");
}
