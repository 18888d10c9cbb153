// SPDX-License-Identifier: GPL-2.0

//! The instrumented module as a file: its code at the addresses that the kernel gives it, and its debug information.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use object::elf;
use object::read::elf::{ElfFile64, ElfSection64};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    SectionFlags, SectionIndex, SymbolKind,
};

use super::seen::Region;

/// What each block of an instrumented function calls.
const COLLECTOR: &str = "__sanitizer_cov_trace_pc";
/// Tables of places in code that are jumped to from elsewhere.
const ENTRY_TABLES: [&str; 2] = ["__jump_table", "__ex_table"];

type Elf<'data> = ElfFile64<'data, object::Endianness>;

/// The address at which a region is put here. Not zero, which in debug information means "nowhere".
fn base(region: Region) -> u64 {
    match region {
        Region::Text => 0x1000_0000,
        Region::Init => 0x2000_0000,
    }
}

/// A place of the collector's report as an address of this file's.
pub(crate) fn address(region: Region, offset: u64) -> u64 {
    base(region) + offset
}

/// A function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Function {
    /// The address behind its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// What is read from the file.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) functions: Vec<Function>,
    /// The addresses to which calls of the collector return.
    pub(crate) calls: BTreeSet<u64>,
    /// Where the linker is still to fill in an address: what stands there leads out of the function.
    pub(crate) patched: BTreeSet<u64>,
    /// Addresses that are entered from another function, or through a table.
    pub(crate) entries: BTreeSet<u64>,
    pub(super) debug: HashMap<String, Vec<u8>>,
}

impl Code {
    /// Reads `evfilter.ko`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Self::from_bytes(&bytes).with_context(|| path.display().to_string())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file: Elf<'_> = ElfFile64::parse(bytes).context("not a module")?;
        let layout = layout(&file)?;
        let mut code = Self::default();
        for section in file.sections() {
            let name = section.name()?;
            let relocations = || relocations(&file, &section, &layout);
            if let Some(&start) = layout.get(&section.index()) {
                for one in relocations()? {
                    code.patched.insert(start + one.offset);
                    if one.symbol == COLLECTOR {
                        code.calls.insert(start + one.offset + 4);
                    } else if one.is_jump()
                        && let Some(target) = one.target
                    {
                        code.entries.insert(target.wrapping_add(4));
                    }
                }
            } else if ENTRY_TABLES.contains(&name) {
                code.entries
                    .extend(relocations()?.into_iter().filter_map(|one| one.target));
            } else if name.starts_with(".debug") {
                let mut data = section.uncompressed_data()?.into_owned();
                for one in relocations()? {
                    one.apply(&mut data)
                        .with_context(|| format!("section {name}"))?;
                }
                code.debug.insert(name.to_owned(), data);
            }
        }
        if code.calls.is_empty() {
            bail!("nothing in it is instrumented");
        }
        code.functions = functions(&file, &layout)?;
        Ok(code)
    }

    /// A section of the debug information; empty if there is none.
    pub(crate) fn debug(&self, name: &str) -> &[u8] {
        self.debug.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Where each section with code comes to lie, as `layout_sections` of kernel/module/main.c has it: in the order of the file, each at its alignment.
fn layout(file: &Elf<'_>) -> Result<HashMap<SectionIndex, u64>> {
    let mut sizes = BTreeMap::from([(Region::Text, 0), (Region::Init, 0)]);
    let mut places = HashMap::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            bail!("sections without flags");
        };
        let wanted = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
        if sh_flags & wanted != wanted {
            continue;
        }
        let region = if section.name()?.starts_with(".init") {
            Region::Init
        } else {
            Region::Text
        };
        let size = sizes.entry(region).or_insert(0_u64);
        let start = size.next_multiple_of(section.align().max(1));
        *size = start + section.size();
        places.insert(section.index(), base(region) + start);
    }
    Ok(places)
}

/// A place that the linker fills in.
struct Relocation {
    /// In its section.
    offset: u64,
    kind: elf::RelocationType,
    symbol: String,
    /// The symbol's address and the addend, where it is the module's own code or no code at all.
    value: u64,
    /// The same where it is the module's own code.
    target: Option<u64>,
}

impl Relocation {
    /// Whether it is the operand of a jump or a call, counted from behind its four bytes.
    fn is_jump(&self) -> bool {
        [elf::R_X86_64_PC32, elf::R_X86_64_PLT32].contains(&self.kind)
    }

    /// Fills it in, in debug information.
    fn apply(&self, data: &mut [u8]) -> Result<()> {
        let at = usize::try_from(self.offset)?;
        let width = match self.kind {
            elf::R_X86_64_64 => 8,
            elf::R_X86_64_32 => 4,
            kind => bail!("relocation {kind:?} in debug information"),
        };
        let value = self.value.to_le_bytes();
        data.get_mut(at..at + width)
            .context("relocation past the end")?
            .copy_from_slice(&value[..width]);
        Ok(())
    }
}

fn relocations(
    file: &Elf<'_>,
    section: &ElfSection64<'_, '_, object::Endianness>,
    layout: &HashMap<SectionIndex, u64>,
) -> Result<Vec<Relocation>> {
    let mut found = Vec::new();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            bail!("relocation of an unknown kind");
        };
        let symbol = file.symbol_by_index(index)?;
        let place = symbol.section_index().and_then(|index| layout.get(&index));
        let inside = symbol.address().wrapping_add_signed(relocation.addend());
        found.push(Relocation {
            offset,
            kind: r_type,
            symbol: symbol.name()?.to_owned(),
            value: place.copied().unwrap_or(0).wrapping_add(inside),
            target: place.map(|place| place.wrapping_add(inside)),
        });
    }
    Ok(found)
}

/// The functions in order of their addresses.
fn functions(file: &Elf<'_>, layout: &HashMap<SectionIndex, u64>) -> Result<Vec<Function>> {
    let mut functions = BTreeMap::new();
    for symbol in file.symbols() {
        let place = symbol
            .section_index()
            .and_then(|index| Some((index, layout.get(&index)?)));
        let Some((index, place)) = place.filter(|_| symbol.kind() == SymbolKind::Text) else {
            continue;
        };
        let start = usize::try_from(symbol.address())?;
        let end = start + usize::try_from(symbol.size())?;
        let data = file.section_by_index(index)?.data()?;
        let bytes = data.get(start..end).context("a function past the end")?;
        if bytes.is_empty() {
            continue;
        }
        let function = Function {
            name: symbol.name()?.to_owned(),
            start: place + symbol.address(),
            bytes: bytes.to_vec(),
        };
        // An alias names the same code a second time.
        functions.insert(function.start, function);
    }
    Ok(functions.into_values().collect())
}

#[cfg(test)]
mod tests {
    use object::write::{Object, Relocation as Patch, Symbol, SymbolId, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolScope};

    use super::*;

    const CALL_AND_RETURN: [u8; 6] = [0xe8, 0, 0, 0, 0, 0xc3];

    fn symbol(name: &str, section: SymbolSection, kind: SymbolKind, size: u64) -> Symbol {
        Symbol {
            name: name.into(),
            value: 0,
            size,
            kind,
            scope: SymbolScope::Compilation,
            weak: false,
            section,
            flags: SymbolFlags::None,
        }
    }

    fn patch(offset: u64, symbol: SymbolId, kind: elf::RelocationType, addend: i64) -> Patch {
        Patch {
            offset,
            symbol,
            addend,
            flags: RelocationFlags::Elf { r_type: kind },
        }
    }

    /// `.text` with f, which calls the collector; `.init.text` and `.exit.text` with g and h, of which g calls the collector and h calls f; an address of h in the debug information.
    fn module(collector: &str) -> Vec<u8> {
        let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let collector = file.add_symbol(symbol(
            collector,
            SymbolSection::Undefined,
            SymbolKind::Text,
            0,
        ));
        let mut functions = Vec::new();
        for (section, name) in [(".text", "f"), (".init.text", "g"), (".exit.text", "h")] {
            let id = file.add_section(vec![], section.into(), SectionKind::Text);
            file.append_section_data(id, &CALL_AND_RETURN, 16);
            let place = SymbolSection::Section(id);
            functions.push(file.add_symbol(symbol(name, place, SymbolKind::Text, 6)));
            let called = match name {
                "h" => functions[0],
                _ => collector,
            };
            let call = patch(1, called, elf::R_X86_64_PLT32, -4);
            file.add_relocation(id, call).expect("relocation");
        }
        let debug = file.add_section(vec![], b".debug_addr".to_vec(), SectionKind::Debug);
        file.append_section_data(debug, &[0; 12], 1);
        let address = patch(2, functions[2], elf::R_X86_64_64, 5);
        file.add_relocation(debug, address).expect("relocation");
        file.write().expect("a module")
    }

    #[test]
    fn code_lies_where_the_kernel_puts_it() {
        let code = Code::from_bytes(&module(COLLECTOR)).expect("readable");
        let text = base(Region::Text);
        let init = base(Region::Init);
        let found: Vec<(&str, u64)> = code
            .functions
            .iter()
            .map(|function| (function.name.as_str(), function.start))
            .collect();
        assert_eq!(found, [("f", text), ("h", text + 16), ("g", init)]);
        assert_eq!(
            code.calls,
            BTreeSet::from([address(Region::Text, 5), address(Region::Init, 5)])
        );
        assert_eq!(code.entries, BTreeSet::from([text]));
        assert_eq!(
            code.patched,
            BTreeSet::from([text + 1, text + 17, init + 1])
        );
        let told = &code.debug(".debug_addr")[2..10];
        assert_eq!(told, (text + 16 + 5).to_le_bytes());
    }

    #[test]
    fn module_that_does_not_report_is_refused() {
        let error = Code::from_bytes(&module("elsewhere")).expect_err("no call");
        assert!(error.to_string().contains("instrumented"), "{error}");
    }
}
