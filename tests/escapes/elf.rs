// SPDX-License-Identifier: GPL-2.0
//! Static programs of a few instructions.

use crate::executable::elf;

/// Loads the address of what follows the code into `rsi`: `lea rsi, [rip + distance]`.
fn address_of_text(distance: u32) -> Vec<u8> {
    let mut code = vec![0x48, 0x8d, 0x35];
    code.extend(distance.to_le_bytes());
    code
}

/// A program that writes `text` to its standard output and ends.
pub fn says(text: &str) -> Vec<u8> {
    // Behind `lea`: mov edx (5), mov edi (5), mov eax (5), syscall (2), xor edi (2), mov eax (5), syscall (2).
    let mut code = address_of_text(26);
    code.push(0xba); // mov edx, length
    code.extend((text.len() as u32).to_le_bytes());
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, SYS_write
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0xb8, 0xe7, 0, 0, 0]); // mov eax, SYS_exit_group
    code.extend([0x0f, 0x05]); // syscall
    code.extend(text.as_bytes());
    elf(&code)
}

/// A program that waits until it is killed, and whose file holds `text`.
pub fn waits(text: &str) -> Vec<u8> {
    let mut code = vec![0xb8, 34, 0, 0, 0]; // mov eax, SYS_pause
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xeb, 0xf7]); // jmp to the start
    code.extend(text.as_bytes());
    elf(&code)
}

/// Machine code that returns `number`, to be called from a mapping of its own.
pub fn returns(number: u32) -> Vec<u8> {
    let mut code = vec![0xb8]; // mov eax, number
    code.extend(number.to_le_bytes());
    code.push(0xc3); // ret
    code
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_lies_where_the_code_points() {
        let file = super::says("hello");
        let code = 64 + 56;
        let distance = u32::from_le_bytes(file[code + 3..code + 7].try_into().expect("four"));
        let text = code + 7 + distance as usize;
        assert_eq!(&file[text..], b"hello");
    }
}
