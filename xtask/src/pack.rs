//! Turns the kernel's ELF into the raw image that QEMU boots. QEMU passes the device tree in x0 only to a raw image with the
//! 64-byte header of arm64 Linux, not to an ELF.

use crate::symbols::{self, Elf};
use crate::{barriers, noprobe};
use anyhow::{Context, Result, bail};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSymbol, elf::PT_LOAD};
use std::path::{Path, PathBuf};

/// Where the header says how much memory the image takes.
const IMAGE_SIZE: usize = 16;
/// The header's magic, at `MAGIC_AT`.
const MAGIC: &[u8; 4] = b"ARM\x64";
const MAGIC_AT: usize = 56;
/// The kernel's static for the list of its exclusives.
const LISTED: &str = "EXCLUSIVES_LISTED";
/// The image's length is a multiple of this.
const PAGE: usize = 4096;

/// Writes the image beside the ELF, and returns its path.
///
/// # Errors
/// When the ELF is not as the linker script makes it, when no-probe text calls text that can be probed, when a barrier is
/// missing, or when files cannot be read or written.
pub fn pack(elf: &Path) -> Result<PathBuf> {
    let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let image = image(&bytes).with_context(|| format!("{} cannot be made an image", elf.display()))?;
    let parsed = symbols::parse(&bytes)?;
    noprobe::check(&parsed)?;
    barriers::check(&parsed)?;
    let path = elf.with_extension("img");
    // Several runs of this tool may write the image at the same time, so the image is written to another file, which is then
    // renamed.
    let mut file = tempfile::NamedTempFile::new_in(elf.parent().context("an ELF without a directory")?)?;
    std::io::Write::write_all(&mut file, &image)?;
    file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The image's bytes.
fn image(bytes: &[u8]) -> Result<Vec<u8>> {
    let elf = symbols::parse(bytes)?;
    let mut image = load(&elf, bytes)?;
    let length = symbols::value(&elf, "__image_end")? - symbols::value(&elf, "__image_start")?;
    let length = usize::try_from(length)?;
    if image.len() > length {
        bail!("segments reach {} bytes beyond __image_end", image.len() - length);
    }
    if !length.is_multiple_of(PAGE) {
        bail!("__image_end is not aligned to {PAGE}");
    }
    image.resize(length, 0);
    list_exclusives(&elf, &mut image)?;
    image.extend(symbols::encode(&symbols::read(&elf)?)?);
    image.resize(image.len().next_multiple_of(PAGE), 0);
    if image.get(MAGIC_AT..MAGIC_AT + 4) != Some(MAGIC) {
        bail!("the first segment does not start with the arm64 image header");
    }
    let size = image.len() as u64;
    image[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&size.to_le_bytes());
    Ok(image)
}

/// Writes the list of the exclusives in the text to where the kernel has room for it (`debug/exclusive/text.rs`): their number, then for
/// each the number of its word in the text. If there are more, the number stays as it is, and the kernel looks for them itself.
fn list_exclusives(elf: &Elf<'_>, image: &mut [u8]) -> Result<()> {
    let Some(room) = elf.symbols().find(|symbol| symbol.name() == Ok(LISTED)) else { return Ok(()) };
    let start = symbols::value(elf, "__image_start")?;
    let offset = |address: u64| usize::try_from(address.wrapping_sub(start));
    let text =
        image.get(..offset(symbols::value(elf, "__text_end")?)?).context("text outside of the image")?;
    let (pairs, _) = text.as_chunks::<8>();
    let pairs: Vec<u64> = pairs.iter().copied().map(u64::from_le_bytes).collect();
    let mut words = vec![0];
    probe::exclusives(&pairs, |index| words.push(index as u32));
    words[0] = u32::try_from(words.len() - 1)?;
    let list: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let at = offset(room.address())?;
    let place =
        image.get_mut(at..at + usize::try_from(room.size())?).context("a static outside of the image")?;
    if let Some(place) = place.get_mut(..list.len()) {
        place.copy_from_slice(&list);
    }
    Ok(())
}

/// Lays the loaded segments out by physical address.
fn load(elf: &Elf<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let endian = LittleEndian;
    let headers = elf.elf_header().program_headers(endian, bytes)?;
    let mut segments: Vec<_> = headers
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD && header.p_memsz(endian) > 0)
        .collect();
    segments.sort_by_key(|header| header.p_paddr(endian));
    let base = segments.first().context("the ELF loads nothing")?.p_paddr(endian);
    let mut image = Vec::new();
    for segment in segments {
        let at = usize::try_from(segment.p_paddr(endian) - base)?;
        if at < image.len() {
            bail!("segments overlap at {:#x}", segment.p_paddr(endian));
        }
        if at > 1 << 30 {
            bail!(
                "a segment at {:#x} is far from the first: is its load address right?",
                segment.p_paddr(endian)
            );
        }
        image.resize(at, 0);
        let data = segment.data(endian, bytes).ok().context("a segment outside the file")?;
        image.extend(data);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ElfBuilder;

    fn header() -> Vec<u8> {
        let mut header = vec![0; 64];
        header[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(MAGIC);
        header
    }

    #[test]
    fn segments_lie_where_they_are_loaded_and_the_size_covers_the_table() {
        let mut text = header();
        text.extend([0xaa; 64]);
        let elf = ElfBuilder::new()
            .segment(0x4020_0000, &text)
            .segment(0x4020_1000, &[0xbb; 16])
            .end(0x3000)
            .build();
        let image = image(&elf).unwrap();
        assert_eq!(&image[64..128], [0xaa; 64]);
        assert_eq!(&image[0x1000..0x1010], [0xbb; 16]);
        assert!(image[0x1010..0x3000].iter().all(|byte| *byte == 0), "bss is part of the image");
        assert_eq!(&image[0x3000..0x3008], symbols::MAGIC);
        assert_eq!(image.len() % PAGE, 0);
        assert_eq!(u64::from_le_bytes(image[16..24].try_into().unwrap()), image.len() as u64);
    }

    #[test]
    fn an_elf_that_does_not_fit_is_refused_with_the_reason() {
        let refuse = |elf: Vec<u8>, why: &str| {
            let error = format!("{:#}", image(&elf).unwrap_err());
            assert!(error.contains(why), "{error}");
        };
        refuse(b"nothing".to_vec(), "not a 64-bit");
        refuse(ElfBuilder::new().segment(0x4020_0000, &[0; 128]).end(0x1000).build(), "image header");
        refuse(ElfBuilder::new().segment(0x4020_0000, &header()).end(0x1008).build(), "aligned");
        refuse(ElfBuilder::new().segment(0x4020_0000, &[0; 0x1001]).end(0x1000).build(), "beyond");
        refuse(ElfBuilder::new().machine(62).segment(0, &header()).end(0x1000).build(), "AArch64");
        let far = ElfBuilder::new()
            .segment(0x4020_0000, &header())
            .segment(0xffff_8000_0000_0000, &[1])
            .end(0x1000);
        refuse(far.build(), "far from");
    }
}
