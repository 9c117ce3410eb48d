//! Formats that are recognised, and not read.

use core::fmt;

/// A format that is not read here. `Display` says what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Format {
    /// Compressed with bzip2.
    Bzip2,
    /// Compressed with lz4.
    Lz4,
    /// Compressed with lzma.
    Lzma,
    /// Compressed with lzo.
    Lzo,
    /// Compressed with xz.
    Xz,
    /// Compressed with zstd.
    Zstd,
    /// A cpio archive in the format odc.
    Odc,
    /// A cpio archive in the oldest, binary format.
    Binary,
}

impl Format {
    /// The format whose magic `bytes` begins with.
    pub(super) fn detect(bytes: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Format); 10] = [
            (b"BZh", Format::Bzip2),
            // The format of the kernel's build, and the frame format of the command lz4.
            (b"\x02\x21\x4c\x18", Format::Lz4),
            (b"\x04\x22\x4d\x18", Format::Lz4),
            (b"\x5d\0\0", Format::Lzma),
            (b"\x89LZO", Format::Lzo),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"070707", Format::Odc),
            (b"\xc7\x71", Format::Binary),
            (b"\x71\xc7", Format::Binary),
        ];
        MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, format)| format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Odc => return f.write_str("a cpio archive in the format odc: repack with cpio -H newc"),
            Self::Binary => {
                return f.write_str("a cpio archive in the binary format: repack with cpio -H newc");
            }
        };
        write!(f, "compressed with {name}: repack with gzip")
    }
}
