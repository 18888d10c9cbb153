// SPDX-License-Identifier: GPL-2.0
//! Images with errors in them: sound ones, of which bytes are turned, cut out, doubled or joined with those of another.

use evfilter::Policy;
use filters::limits::MAX_INSNS;
use filters::policy;

use crate::program::{Part, allow_all, deny_name, image, on_nr, ret};
use crate::random::Random;

/// Policies that between them have every event, every kind of test and a scope.
const POLICIES: [&str; 3] = [
    r#"
    scope signal, abstract
    on syscall.enter { deny EPERM kill when pid == 123456; log getpid; default allow }
    on vfs.getname { deny EUCLEAN path matches "**/evf-*.secret", "/evf-absent/**"; default allow }
    on vfs.walk { default allow }
    on vfs.pick { deny ENOTUNIQ path under "/evf-fuzz"; default allow }
    on fd.receive { deny EUCLEAN when type == directory; default allow }
    "#,
    r#"
    paths { read "/"; write "/tmp", "/dev"; exec "/usr/bin"; hidden "/evf-fuzz" }
    "#,
    r#"
    on vfs.getname { allow path prefix "/usr/"; deny ENOENT path suffix ".so"; default allow }
    "#,
];

/// Sound images to begin with.
pub(super) fn sound() -> Vec<Vec<u8>> {
    let policies = POLICIES.iter().map(|text| {
        let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}"));
        policy.image().to_vec()
    });
    let by_hand = [
        allow_all(),
        deny_name(b"/evf-absent/fuzz"),
        image(&[Part::syscall(on_nr(
            libc::SYS_getppid,
            crate::program::errno(libc::EXDEV),
        ))]),
        image(&[
            Part::syscall(vec![ret(crate::program::ALLOW)]),
            Part::getname(vec![ret(crate::program::ALLOW)], vec![b"unused".to_vec()]),
        ]),
    ];
    policies.chain(by_hand).collect()
}

/// What the module's verifier must say.
pub(super) fn verdict(image: &[u8]) -> Result<(), filters::refusal::Refusal> {
    let mut workspace: Box<policy::Workspace> = Box::new([0; MAX_INSNS]);
    policy::Policy::verify(image, &mut workspace).map(|_| ())
}

/// One of the sound ones, as it is or with errors.
pub(super) fn any(random: &mut Random, sound: &[Vec<u8>]) -> Vec<u8> {
    let mut image = sound[random.below(sound.len())].clone();
    if random.percent(25) {
        return image;
    }
    for _ in 0..1 + random.below(3) {
        damage(random, &mut image, sound);
    }
    if random.percent(50) && image.len() >= 8 {
        // Or nothing behind the first field would ever be looked at.
        let size = image.len() as u32;
        image[4..8].copy_from_slice(&size.to_le_bytes());
    }
    image
}

fn damage(random: &mut Random, image: &mut Vec<u8>, sound: &[Vec<u8>]) {
    if image.is_empty() {
        image.push(0);
    }
    let at = random.below(image.len());
    let word = at & !3;
    match random.below(8) {
        0 | 1 => image[at] ^= 1 << random.below(8),
        2 => image[at] = random.number() as u8,
        3 if word + 4 <= image.len() => {
            let value = random.pick(&[0, 1, 2, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX, 4096]);
            image[word..word + 4].copy_from_slice(&value.to_le_bytes());
        }
        4 if word + 4 <= image.len() => {
            let old = &image[word..word + 4];
            let old = u32::from_le_bytes([old[0], old[1], old[2], old[3]]);
            let step = random.pick(&[1, u32::MAX, 4, 8]);
            image[word..word + 4].copy_from_slice(&old.wrapping_add(step).to_le_bytes());
        }
        5 => image.truncate(at),
        6 => {
            let other = &sound[random.below(sound.len())];
            image.truncate(word);
            image.extend_from_slice(&other[word.min(other.len())..]);
        }
        _ => {
            let end = (at + 8 * (1 + random.below(8))).min(image.len());
            let part = image[at..end].to_vec();
            match random.percent(50) {
                true => drop(image.splice(at..at, part)),
                false => drop(image.splice(at..end, [])),
            }
        }
    }
}
