//! The northbound contract of one core, as generated from `proto/coeur/core/v1/core.proto`: server and client.
//!
//! What this crate does not do: anything by itself. It holds no conversion into the types of the domain, no connection
//! and no policy; `coeur-core` serves the contract, `coeur-platform` calls it.

/// Version 1. A change that an older client or server would misread makes a version 2 beside it.
#[allow(clippy::all, unreachable_pub, reason = "generated")]
pub mod core_v1 {
    tonic::include_proto!("coeur.core.v1");
}

/// ASCII metadata of a refused import: the index, from 0, of the record that is at fault.
pub const METADATA_RECORD: &str = "coeur-record";

/// Most records of one import.
pub const IMPORT_RECORDS_MAX: usize = 1_000_000;

/// Most items of a page. A request for more, or for 0, gets this many.
pub const PAGE_SIZE_MAX: u32 = 1_000;

/// How many items a request for `asked` gets.
pub fn page_size(asked: u32) -> u32 {
    if asked == 0 { PAGE_SIZE_MAX } else { asked.min(PAGE_SIZE_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_never_larger_than_its_limit_and_never_empty() {
        assert_eq!([0, 1, 1_000, u32::MAX].map(page_size), [1_000, 1, 1_000, 1_000]);
    }
}
