// SPDX-License-Identifier: GPL-2.0

//! What is found where classes and a kernel differ.

use super::*;

const HEADER: &str = "enum other {\n\tIORING_OP_FALSE,\n};\nenum io_uring_op {\n\tIORING_OP_NOP,\n\tIORING_OP_OPENAT,\n\n\t/* last */\n\tIORING_OP_LAST,\n};\n";
const TABLE_64: &str = "0 common read sys_read\n1 64 gone\n2 64 sysctl sys_ni_syscall\n3 x32 odd compat_sys_odd\n4 64 exit sys_exit - noreturn\n";
const TABLE_32: &str = "3 i386 read sys_read\n4 i386 vm86 sys_vm86 sys_ni_syscall\n5 i386 gone sys_gone\n6 i386 exit sys_exit - noreturn\n";
const CLASSES: &str = "[[calls]]\nnames = [\"read\", \"exit\"]\nnone = \"descriptor\"\n\
    [[calls]]\nnames = [\"odd\"]\nseen = [\"vfs.walk\"]\npick = [\"open\", \"create\"]\nscope = [\"signal\"]\nlimit = \"a sentence\"\n\
    [[calls]]\nnames = [\"gone\"]\nnone = \"object\"\n\
    [[operations]]\nnames = [\"NOP\"]\nnone = \"object\"\n[[operations]]\nnames = [\"OPENAT\"]\npick = [\"open\"]\n";

/// A source with these tables and this header.
fn source(table_64: &str, table_32: &str, header: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    for (path, text) in [
        ("arch/x86/entry/syscalls/syscall_64.tbl", table_64),
        ("arch/x86/entry/syscalls/syscall_32.tbl", table_32),
        (OPERATIONS, header),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, text).expect("file");
    }
    dir
}

fn surface(table_64: &str, header: &str) -> Surface {
    Surface::read(source(table_64, TABLE_32, header).path()).expect("a surface")
}

fn classes(text: &str) -> Result<Classes> {
    let mut classes = Classes::default();
    classes.add(text).map(|()| classes)
}

fn differences(classes_text: &str, table_64: &str, header: &str) -> Vec<String> {
    let classes = classes(classes_text).expect("classes");
    classes.differences(&surface(table_64, header))
}

#[test]
fn a_call_without_a_class_is_found() {
    assert_eq!(differences(CLASSES, TABLE_64, HEADER), [""; 0]);
    let more = format!("{TABLE_64}9 common openat3 sys_openat3\n");
    assert_eq!(
        differences(CLASSES, &more, HEADER),
        ["system call openat3 (x86_64, x32): not classified"]
    );
    let header = HEADER.replace("\n\n", "\n\tIORING_OP_NEWER,\n\n");
    assert_eq!(
        differences(CLASSES, TABLE_64, &header),
        ["operation NEWER of io_uring: not classified"]
    );
}

#[test]
fn a_class_without_a_call_is_found() {
    let more = format!("{CLASSES}[[calls]]\nnames = [\"sysctl\", \"absent\"]\nnone = \"object\"\n");
    assert_eq!(
        differences(&more, TABLE_64, HEADER),
        [
            "system call absent: classified, but this kernel has none",
            "system call sysctl: classified, but this kernel has none"
        ]
    );
    let header = HEADER.replace("\tIORING_OP_OPENAT,\n", "");
    assert_eq!(
        differences(CLASSES, TABLE_64, &header),
        ["operation OPENAT of io_uring: classified, but this kernel has none"]
    );
}

#[test]
fn a_table_is_made_only_of_what_fits() {
    let classes = classes(CLASSES).expect("classes");
    let text = classes.table(&surface(TABLE_64, HEADER), "7.3.4");
    let text = text.expect("a table");
    assert_eq!(
        body(&text),
        "\n[calls]\n\
         exit x86_64,i386 none=descriptor\n\
         gone i386 none=object\n\
         gone x86_64 none=absent\n\
         odd x32 vfs.walk vfs.pick=open,create scope=signal | a sentence\n\
         read x86_64,x32,i386 none=descriptor\n\
         sysctl x86_64 none=absent\n\
         vm86 i386 none=absent\n\
         \n[operations]\n\
         NOP 0 none=object\n\
         OPENAT 1 vfs.pick=open"
    );
    assert!(text.contains("\nlinux 7.3.4\n"));
    let more = format!("{TABLE_64}9 common openat3 sys_openat3\n");
    let error = classes.table(&surface(&more, HEADER), "7.4").err();
    let error = error.expect("an error").to_string();
    assert!(
        error.contains("7.4") && error.contains("openat3"),
        "{error}"
    );
}

#[test]
fn an_enum_that_is_not_understood_is_refused() {
    for header in [
        "enum io_uring_op {\n\tIORING_OP_NOP = 3,\n\tIORING_OP_LAST,\n};\n",
        "enum io_uring_op {\n\tIORING_OP_NOP,\n};\n",
        "enum io_uring_sqe_flags_bit {\n};\n",
    ] {
        let source = source(TABLE_64, TABLE_32, header);
        let error = Surface::read(source.path()).expect_err("an error");
        assert!(error.to_string().contains("io_uring"), "{error}");
    }
}

#[test]
fn classes_that_say_nothing_or_too_much_are_refused() {
    for (text, expected) in [
        ("names = [\"a\"]", "a: either"),
        (
            "names = [\"a\"]\npick = [\"open\"]\nnone = \"object\"",
            "a: either",
        ),
        ("names = [\"a\"]\nnone = \"limit\"", "needs the sentence"),
        ("names = []\nnone = \"object\"", "without names"),
        ("names = [\"a\", \"a\"]\nnone = \"object\"", "twice"),
        (
            "names = [\"a\"]\nnone = \"limit\"\nlimit = \"x | y\"",
            "one line",
        ),
    ] {
        let error = classes(&format!("[[calls]]\n{text}\n")).err();
        let error = error.expect("an error").to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(classes("[[calls]]\nnames = [\"a\"]\nnone = \"laziness\"\n").is_err());
    assert!(classes("[[calls]]\nnames = [\"a\"]\npicks = [\"open\"]\n").is_err());
}

#[test]
fn the_classes_of_this_checkout_are_read() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    let classes = Classes::read(repo.parent().expect("the checkout")).expect("classes");
    assert!(classes.calls.len() > 400 && classes.operations.len() > 60);
}
