//! Packets through the programs, in the kernel (BPF_PROG_TEST_RUN): each row of a table is a description, a frame, and what
//! must come of it; each row runs through XDP and TC, and through the programs for one and for two interfaces.

mod downlink;
mod frames;
mod uplink;
mod world;
