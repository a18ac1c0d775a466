//! Packets through the programs, in the kernel (BPF_PROG_TEST_RUN): each row of a table is a description, a frame, and what
//! must come of it; each row runs through XDP and TC, and through the programs for one and for two interfaces.

mod downlink;
mod frames;
mod uplink;
mod world;

/// The verifier gives up at a million. Whoever comes near sees it here, and not on a customer's older kernel.
#[test]
fn every_program_is_far_from_the_verifiers_budget() {
    const BUDGET: u32 = 20_000;
    let Some(world) = world::world() else { return };
    let counts = world.verified_instructions();
    assert_eq!(counts.len(), 7, "{counts:?}");
    for (name, instructions) in counts {
        assert!(instructions < BUDGET, "{name}: {instructions}");
    }
}
