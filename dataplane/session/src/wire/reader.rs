//! Information elements, read in place: each octet is looked at once.

use rs_pfcp::ie::IeType;

use super::Refusal;

/// Most elements looked at in one message or group; the rest of a message that has more is refused as too long.
pub(crate) const ELEMENTS_MAX: usize = 512;

/// One information element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) kind: IeType,
    pub(crate) value: &'a [u8],
}

/// Walks the elements of a message or group. Vendor-specific ones are left out (TS 29.244 7.6.9: ignored).
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    within: IeType,
    left: usize,
}

impl<'a> Elements<'a> {
    /// The elements of a message.
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets, within: IeType::Unknown, left: ELEMENTS_MAX }
    }

    /// The elements of a group.
    pub(crate) fn of(group: Element<'a>) -> Self {
        Self { rest: group.value, within: group.kind, left: ELEMENTS_MAX }
    }

    /// The first element of a kind (TS 29.244 7.6.10: a repeated one is ignored where one is expected).
    pub(crate) fn first(&self, kind: IeType) -> Result<Option<Element<'a>>, Refusal> {
        for element in self.clone() {
            let element = element?;
            if element.kind == kind {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    fn fail(&mut self, kind: IeType) -> Option<Result<Element<'a>, Refusal>> {
        self.rest = &[];
        // TS 29.244 7.6.7: the offending element is the one whose length is wrong; for a stump of a header, its group.
        Some(Err(Refusal::length(if kind == IeType::Unknown { self.within } else { kind })))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(left) = self.left.checked_sub(1) else { return self.fail(IeType::Unknown) };
            self.left = left;
            let Some(([k0, k1, l0, l1], rest)) = self.rest.split_first_chunk::<4>() else {
                return self.fail(IeType::Unknown);
            };
            let raw = u16::from_be_bytes([*k0, *k1]);
            let kind = IeType::from(raw);
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let Some((value, rest)) = rest.split_at_checked(length) else { return self.fail(kind) };
            self.rest = rest;
            // TS 29.244 8.1.1: the highest bit says that an enterprise defined it.
            if raw & 0x8000 == 0 {
                return Some(Ok(Element { kind, value }));
            }
        }
    }
}

impl<'a> Element<'a> {
    /// Fixed-length values may be followed by more (TS 29.244 8.1.1: extendable); never by less.
    pub(crate) fn octets<const N: usize>(self) -> Result<[u8; N], Refusal> {
        self.value.first_chunk::<N>().copied().ok_or(Refusal::length(self.kind))
    }

    pub(crate) fn u8(self) -> Result<u8, Refusal> {
        self.octets::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u16(self) -> Result<u16, Refusal> {
        self.octets().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(self) -> Result<u32, Refusal> {
        self.octets().map(u32::from_be_bytes)
    }

    /// Decodes with `rs-pfcp`.
    pub(crate) fn decode<T>(
        self,
        unmarshal: impl FnOnce(&'a [u8]) -> Result<T, rs_pfcp::error::PfcpError>,
    ) -> Result<T, Refusal> {
        unmarshal(self.value).map_err(|error| Refusal::decoding(self.kind, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rs_pfcp::ie::cause::CauseValue;

    #[test]
    fn elements_are_read_and_a_vendors_are_left_out() {
        // PDR ID 1, a vendor's, precedence 5.
        let octets = [0, 56, 0, 2, 0, 1, 0x80, 1, 0, 3, 0, 10, 9, 0, 29, 0, 4, 0, 0, 0, 5];
        let read: Vec<_> = Elements::new(&octets).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|element| element.kind).collect::<Vec<_>>(), [IeType::PdrId, IeType::Precedence]);
        assert_eq!((read[0].u16(), read[1].u32()), (Ok(1), Ok(5)));
        assert_eq!(read[0].u32(), Err(Refusal::length(IeType::PdrId)));
    }

    #[test]
    fn ts_29_244_7_6_7_a_length_beyond_the_message_names_its_element() {
        let mut elements = Elements::new(&[0, 56, 0, 3, 0, 1]);
        assert_eq!(elements.next(), Some(Err(Refusal::length(IeType::PdrId))));
        assert_eq!(elements.next(), None);
        let group = Element { kind: IeType::CreatePdr, value: &[0, 56, 0] };
        let refusal = Elements::of(group).next().unwrap().unwrap_err();
        assert_eq!((refusal.cause, refusal.offending_ie), (CauseValue::InvalidLength, Some(1)));
    }

    #[test]
    fn elements_have_a_limit() {
        let octets = [0u8, 29, 0, 0].repeat(ELEMENTS_MAX + 1);
        assert_eq!(Elements::new(&octets).filter(Result::is_ok).count(), ELEMENTS_MAX);
        assert!(Elements::new(&octets).last().unwrap().is_err());
    }

    impl PartialEq for Element<'_> {
        fn eq(&self, other: &Self) -> bool {
            (self.kind, self.value) == (other.kind, other.value)
        }
    }
}
