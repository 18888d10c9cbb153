// SPDX-License-Identifier: GPL-2.0
//! A processor goes and comes back during a storm.

use std::sync::atomic::{AtomicBool, Ordering};

use super::blow::Storm;
use crate::harness::{Test, note, skip, tests};
use crate::sys::child::nap;

pub(super) fn tests() -> Vec<Test> {
    tests!("storms"; processor_goes_and_comes_back_in_a_storm)
        .into_iter()
        .map(|test| test.limit(300).afterwards(bring_back))
        .collect()
}

const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";

fn switch(on: bool) -> std::io::Result<()> {
    std::fs::write(SWITCH, if on { "1" } else { "0" })
}

/// Whatever has become of the test: the tests behind it have all processors.
fn bring_back() {
    if std::fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "0") {
        switch(true).expect(SWITCH);
    }
}

/// Tasks are moved to other processors wherever they are, and what the module keeps for each processor stays right.
fn processor_goes_and_comes_back_in_a_storm() {
    if std::fs::metadata(SWITCH).is_err() {
        skip("this machine has no processor that can be switched off");
    }
    let storm = Storm::of_the_wish(600);
    let over = AtomicBool::new(false);
    let (tally, times) = std::thread::scope(|scope| {
        // Before there is a thread: a storm is made of forks.
        let blowing = storm.begin();
        let switching = scope.spawn(|| {
            let mut times = 0;
            while !over.load(Ordering::SeqCst) {
                for on in [false, true] {
                    switch(on).expect(SWITCH);
                    nap(20);
                }
                times += 1;
            }
            times
        });
        let tally = blowing.end();
        over.store(true, Ordering::SeqCst);
        (tally, switching.join().expect("a thread"))
    });
    tally.note("in all");
    note(&format!("{times} times"));
    assert!(times > 2, "{times} times");
    assert_eq!(std::fs::read_to_string(SWITCH).expect(SWITCH).trim(), "1");
}
