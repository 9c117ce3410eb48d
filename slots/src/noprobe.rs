//! Where no slot may be set (rule H6), enforced where slots are handed out.

use core::ops::Range;

use crate::{Encoding, Kind, Pieces, Request, SlotError, VaSize};

/// The text and the data of the debugger itself. A slot there would be hit while the debugger deals with a hit, which would cause
/// the next hit, and so on for ever.
#[derive(Clone, Copy, Debug)]
pub struct NoProbe<'a> {
    /// Text in which breakpoints are refused: virtual addresses, end exclusive.
    pub text: &'a [Range<u64>],
    /// Data on which watchpoints are refused: virtual addresses, end exclusive.
    pub data: &'a [Range<u64>],
    /// The size of the CPUs' virtual addresses.
    pub va: VaSize,
}

impl NoProbe<'_> {
    /// Encodes `request` if it is allowed. The only other way to a slot is [`Admitted::despite_no_probe`].
    ///
    /// # Errors
    /// As [`Request::encode_for`]; [`SlotError::NoProbeText`] for a breakpoint in no-probe text; [`SlotError::NoProbeData`] for a
    /// watchpoint if any byte of its range is no-probe data.
    pub fn admit(&self, request: &Request) -> Result<Admitted, SlotError> {
        let admitted = Admitted { kind: request.kind(), encoding: request.encode_for(self.va)?, plain: true };
        let address = request.address();
        match request.kind() {
            _ if !self.touches(request) => Ok(admitted),
            Kind::Breakpoint => Err(SlotError::NoProbeText { address }),
            Kind::Watchpoint => Err(SlotError::NoProbeData { address }),
        }
    }

    /// The answer of [`NoProbe::admit`] in few instructions, for the common requests: a breakpoint, or up to 8 bytes in one
    /// doubleword. `None` for every other request and for one that is refused: `admit` has the answer then.
    #[inline(always)]
    pub fn admit_small(&self, request: &Request) -> Option<Admitted> {
        let encoding = request.encode_doubleword(self.va)?;
        (!self.touches(request)).then_some(Admitted { kind: request.kind(), encoding, plain: true })
    }

    /// Whether a request has a byte in a no-probe range. The caller has encoded the request already, so its range does not wrap
    /// around.
    #[inline(always)]
    fn touches(&self, request: &Request) -> bool {
        let first = request.address();
        let last = first + (request.length() - 1);
        let ranges = match request.kind() {
            Kind::Breakpoint => self.text,
            Kind::Watchpoint => self.data,
        };
        // `is_empty` comes last for speed: hardly any request passes the two comparisons.
        ranges.iter().any(|range| first < range.end && range.start <= last && !range.is_empty())
    }

    /// As [`NoProbe::admit`], for two slots where one slot cannot hold the request and two hold it exactly.
    ///
    /// # Errors
    /// As [`Request::split_for`] and [`NoProbe::admit`].
    pub fn admit_split(&self, request: &Request) -> Result<Pieces<Admitted>, SlotError> {
        request.split_for(self.va)?.try_map(|piece| self.admit(&piece))
    }
}

/// A request that has passed the check of rule H6, or was told to skip it. Only such a request can reserve a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admitted {
    kind: Kind,
    encoding: Encoding,
    plain: bool,
}

impl Admitted {
    /// Encodes `request` for addresses of the size `va` without the check of rule H6: for tests that set a slot in no-probe text
    /// and survive its hit (rule H3).
    ///
    /// # Errors
    /// Those of [`Request::encode_for`].
    pub fn despite_no_probe(request: &Request, va: VaSize) -> Result<Admitted, SlotError> {
        Ok(Admitted { kind: request.kind(), encoding: request.encode_for(va)?, plain: true })
    }

    /// The same request, but its hits need more than to be counted:
    /// [`CpuSlots::plain_breakpoint`](crate::CpuSlots::plain_breakpoint) and `plain_watchpoint` then leave these hits to the other
    /// functions. For a caller that treats hits at this address specially.
    #[must_use]
    pub const fn with_care(self) -> Admitted {
        Admitted { plain: false, ..self }
    }

    /// Whether [`with_care`](Self::with_care) was not called.
    pub(crate) const fn plain(&self) -> bool {
        self.plain
    }

    /// The kind of slot.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The register contents.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Privilege};

    const TEXT: Range<u64> = 0xffff_0000_0001_0000..0xffff_0000_0001_1000;
    const DATA: Range<u64> = 0xffff_0000_0002_0004..0xffff_0000_0002_0008;
    const NO_PROBE: NoProbe<'static> = NoProbe { text: &[0..0, TEXT], data: &[DATA], va: VaSize::Bits48 };

    fn text(address: u64) -> Result<Admitted, SlotError> {
        NO_PROBE.admit(&Request::Breakpoint { address, privilege: Privilege::El1 })
    }

    fn data(address: u64, length: u64) -> Result<Admitted, SlotError> {
        NO_PROBE.admit(&Request::Watchpoint {
            address,
            length,
            access: Access::Read,
            privilege: Privilege::Both,
        })
    }

    #[test]
    fn h6_no_probe_text_is_refused_for_breakpoints_from_its_first_to_its_last_instruction() {
        assert!(text(TEXT.start - 4).is_ok());
        assert_eq!(text(TEXT.start), Err(SlotError::NoProbeText { address: TEXT.start }));
        assert_eq!(text(TEXT.end - 4), Err(SlotError::NoProbeText { address: TEXT.end - 4 }));
        assert!(text(TEXT.end).is_ok());
        assert!(text(DATA.start).is_ok());
    }

    #[test]
    fn h6_no_probe_data_is_refused_for_watchpoints_that_touch_any_byte_of_it() {
        let before = DATA.start - 4;
        assert!(data(before, 4).is_ok());
        assert_eq!(data(before, 5), Err(SlotError::NoProbeData { address: before }));
        assert_eq!(data(DATA.end - 1, 1), Err(SlotError::NoProbeData { address: DATA.end - 1 }));
        assert!(data(DATA.end, 1).is_ok());
        let wide = DATA.start & !0xfff;
        assert_eq!(data(wide, 0x1000), Err(SlotError::NoProbeData { address: wide }));
        assert!(data(TEXT.start, 8).is_ok());
    }

    #[test]
    fn h6_can_be_overridden_by_name_only() {
        let request = Request::Breakpoint { address: TEXT.start, privilege: Privilege::El1 };
        assert!(NO_PROBE.admit(&request).is_err());
        assert_eq!(
            Admitted::despite_no_probe(&request, VaSize::Bits48).map(|a| a.encoding().value),
            Ok(TEXT.start)
        );
    }
}
