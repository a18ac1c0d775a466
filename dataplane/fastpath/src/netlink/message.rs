//! Netlink messages as octets: built, and taken apart. Pure; nothing here trusts a length.

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct nlattr`.
const ATTRIBUTE: usize = 4;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLM_F_REQUEST: u16 = 0x0001;
pub(crate) const NLM_F_ACK: u16 = 0x0004;
pub(crate) const NLM_F_DUMP: u16 = 0x0300;
pub(crate) const NLM_F_CREATE: u16 = 0x0400;
/// The two high bits of an attribute's type are flags.
const TYPE_MASK: u16 = 0x3fff;

/// A message under construction. Its length is written when it is finished.
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    /// `fixed` is the family's header behind the netlink header.
    pub(crate) fn new(kind: u16, flags: u16, sequence: u32, fixed: &[u8]) -> Self {
        let mut octets = vec![0; 4];
        octets.extend(kind.to_ne_bytes());
        octets.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        octets.extend(sequence.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend(fixed);
        Self(octets)
    }

    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        // Attributes here are addresses, numbers and names of interfaces.
        self.0.extend(((ATTRIBUTE + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Message<'_> {
    /// Of an error message, the negated errno; 0 is an acknowledgement.
    pub(crate) fn error(&self) -> Option<i32> {
        if self.kind == NLMSG_ERROR { i32_at(self.payload, 0) } else { None }
    }
}

/// The messages of one datagram, up to the first whose length is not possible.
pub(crate) fn messages(mut octets: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(octets, 0)? as usize;
        let kind = u16_at(octets, 4)?;
        let sequence = u32_at(octets, 8)?;
        let payload = octets.get(HEADER..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Message { kind, sequence, payload })
    })
}

/// The attributes behind a family's header, up to the first whose length is not possible.
pub(crate) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(octets, 0)?);
        let kind = u16_at(octets, 2)? & TYPE_MASK;
        let value = octets.get(ATTRIBUTE..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

pub(crate) fn u16_at(octets: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*octets.get(offset..)?.first_chunk()?))
}

pub(crate) fn u32_at(octets: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*octets.get(offset..)?.first_chunk()?))
}

pub(crate) fn u64_at(octets: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*octets.get(offset..)?.first_chunk()?))
}

pub(crate) fn i32_at(octets: &[u8], offset: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*octets.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_taken_apart() {
        let first = Builder::new(26, NLM_F_DUMP, 7, &[9; 12]).attribute(1, &[1, 2, 3]).attribute(2, &[4; 4]).finish();
        let second = Builder::new(3, 0, 8, &[]).finish();
        let both = [first, second].concat();
        let parsed: Vec<_> = messages(&both).collect();
        assert_eq!(parsed.len(), 2);
        assert_eq!((parsed[0].kind, parsed[0].sequence), (26, 7));
        let attributes: Vec<_> = attributes(&parsed[0].payload[12..]).collect();
        assert_eq!(attributes, [(1, &[1u8, 2, 3][..]), (2, &[4u8; 4][..])]);
        assert_eq!((parsed[1].kind, parsed[1].payload), (3, &[][..]));
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        let good = Builder::new(26, 0, 1, &[0; 12]).attribute(1, &[1; 4]).finish();
        for length in [0u32, 1, 15, good.len() as u32 + 1, u32::MAX] {
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bad).count(), 0, "length {length}");
        }
        for cut in 0..good.len() {
            assert_eq!(messages(&good[..cut]).count(), 0, "cut at {cut}");
        }
        for length in [0u16, 1, 3, 100, u16::MAX] {
            let mut value = [8, 0, 1, 0, 0, 0, 0, 0];
            value[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(attributes(&value).count(), 0, "length {length}");
        }
    }

    #[test]
    fn an_error_carries_its_number() {
        let refused = Builder::new(NLMSG_ERROR, 0, 1, &(-2i32).to_ne_bytes()).finish();
        assert_eq!(messages(&refused).next().and_then(|message| message.error()), Some(-2));
    }
}
