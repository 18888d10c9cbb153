// SPDX-License-Identifier: GPL-2.0
//! `vfs.getname`: every way by which a name reaches the kernel.

mod ia32;
mod kernel_made;
mod long_names;
mod native;
mod outside;
mod record;
mod uring;

use std::ffi::CString;

use crate::harness::Test;
use crate::kernel;
use crate::program::{Names, ODD, errno};
use crate::sys::Ret;

pub(super) fn tests() -> Vec<Test> {
    let mut tests = native::tests();
    tests.extend(kernel_made::tests());
    tests.extend(ia32::tests());
    tests.extend(uring::tests());
    tests.extend(long_names::tests());
    tests.extend(record::tests());
    tests.extend(outside::tests());
    tests
}

/// A name in a directory that is not there: whatever is called with it changes nothing and says `ENOENT`.
const ALLOWED: &str = "/evf-absent/evf-probe-allowed";

/// A name beside it, which the policy of a row refuses.
const DENIED: &str = "/evf-absent/evf-probe-refused";

/// The second name of calls that take two.
const OTHER: &str = "/evf-absent/evf-other";

/// What a row's call gets: where its name lies.
type Deed = fn(u64) -> Ret;

/// One row of the coverage table: the call, and the errno that it gives by itself.
struct Row {
    name: &'static str,
    /// `None`: without a layer the call succeeds.
    ordinary: Option<i32>,
    deed: Deed,
}

const fn row(name: &'static str, ordinary: i32, deed: Deed) -> Row {
    Row {
        name,
        ordinary: Some(ordinary),
        deed,
    }
}

fn text(name: &str) -> CString {
    CString::new(name).expect("a name without NUL")
}

/// The law of every row: the refused name gives the policy's errno, any other name what it would have given without the layer.
#[track_caller]
fn check(ordinary: Option<i32>, allowed: &str, denied: &str, mut deed: impl FnMut(&str) -> Ret) {
    let expected = |result: Ret, when: &str| match (result, ordinary) {
        (Err(errno), Some(ordinary)) => assert_eq!(errno, ordinary, "errno {when}"),
        (Ok(_), None) => {}
        (result, ordinary) => panic!("{when}: {result:?}, expected {ordinary:?}"),
    };
    expected(deed(denied), "of the refused name without a layer");
    expected(deed(allowed), "of the other name without a layer");
    kernel::attach(&Names::new().equal(denied.as_bytes(), errno(ODD)).or_allow());
    expected(deed(allowed), "of the other name under the layer");
    assert_eq!(
        deed(denied),
        Err(ODD),
        "of the refused name under the layer"
    );
    expected(deed(allowed), "of the other name after a refusal");
}
