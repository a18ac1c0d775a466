//! Trials: each program in turn, many times, and what comes of the figures.

use super::{frames, tables::Tables};
use crate::figure::Figure;
use anyhow::ensure;
use aya::programs::{TestRun as _, TestRunOptions};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Direction {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What is called by the wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// Returns at once: what the wrapper itself costs.
    Nothing,
    /// MAC swap and transmit.
    Swap,
    FloorArray,
    FloorHash,
    /// The daemon's program: counters and anti-spoofing on, no rate limit.
    Unlimited,
}

impl Measured {
    pub(super) const ALL: [Self; 5] = [Self::Nothing, Self::Swap, Self::FloorArray, Self::FloorHash, Self::Unlimited];

    fn case(self) -> &'static str {
        match self {
            Self::Nothing => "wrapper",
            Self::Swap => "floor swap",
            Self::FloorArray => "floor array",
            Self::FloorHash => "floor hash",
            Self::Unlimited => "unlimited",
        }
    }

    fn program(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Self::Nothing, _) => "nothing",
            (Self::Swap, _) => "floor_swap",
            (Self::FloorArray, Direction::Up) => "floor_array_up",
            (Self::FloorArray, Direction::Down) => "floor_array_down",
            (Self::FloorHash, Direction::Up) => "floor_hash_up",
            (Self::FloorHash, Direction::Down) => "floor_hash_down",
            (Self::Unlimited, Direction::Up) => coeur_ebpf_abi::program::XDP_N3,
            (Self::Unlimited, Direction::Down) => coeur_ebpf_abi::program::XDP_N6,
        }
    }

    /// Octets that the frame is longer afterwards, and the address it then starts with.
    fn result(self, direction: Direction, frame: &[u8]) -> (i32, [u8; 4]) {
        let head = |octets: &[u8]| [octets[0], octets[1], octets[2], octets[3]];
        match (self, direction) {
            (Self::Nothing, _) => (0, head(frame)),
            (Self::Swap, _) => (0, head(&frame[6..])),
            (_, Direction::Up) => (-44, head(&frames::NEXT_HOP)),
            (_, Direction::Down) => (44, head(&frames::NEXT_HOP)),
        }
    }
}

/// Gross nanoseconds a packet, one a trial.
pub(super) struct Costs([Vec<f64>; Measured::ALL.len()]);

/// Word numbers of the wrapper's state.
const RIGHT: usize = 5;
const WRONG: usize = 6;

pub(super) fn measure(
    tables: &mut Tables,
    direction: Direction,
    n: u32,
    trials: u32,
    packets: u32,
) -> anyhow::Result<Costs> {
    let mut costs = Costs(Default::default());
    for trial in 0..=trials {
        for (measured, cost) in Measured::ALL.into_iter().zip(&mut costs.0) {
            let nanoseconds = run(tables, measured, direction, n, trial, packets)?;
            // The first round warms up.
            if trial > 0 {
                cost.push(nanoseconds);
            }
        }
    }
    Ok(costs)
}

fn run(
    tables: &mut Tables,
    measured: Measured,
    direction: Direction,
    n: u32,
    trial: u32,
    packets: u32,
) -> anyhow::Result<f64> {
    let (frame, wrapper) = match direction {
        Direction::Up => (frames::uplink(), "wrap_up"),
        Direction::Down => (frames::downlink(), "wrap_down"),
    };
    let (longer, mac) = measured.result(direction, &frame);
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let length = frame.len() as u32;
    let mut state = [0u64; 17];
    state[0] = 0x9e37_79b9_7f4a_7c15 ^ u64::from(trial + 1);
    state[1] = pair(n, length);
    state[2] = pair(length.wrapping_add_signed(longer), u32::from_ne_bytes(mac));
    state[3] = pair(u32::from(frames::POOL), frames::teid_base());
    state[7..].copy_from_slice(&frames::words::<10>(&frame));
    tables.state.set(0, state, 0)?;
    tables.aim(measured.program(direction))?;

    let mut options = TestRunOptions::new();
    options.data_in = Some(&frame);
    options.repeat = packets;
    // The kernel's own time, in whole nanoseconds a packet. Ours would contain the end of the system call, which waits for a
    // tick of the kernel's clock.
    let result = tables.program(wrapper)?.test_run(options)?;
    let state = tables.state.get(&0, 0)?;
    ensure!(
        state[WRONG] == 0 && state[RIGHT] == u64::from(packets) - 1,
        "{}: {} packets came out as they should, {} did not, verdict {}",
        measured.program(direction),
        state[RIGHT],
        state[WRONG],
        result.return_value
    );
    Ok(result.duration.as_nanos() as f64)
}

/// Net costs, each beside the array floor of the same run.
pub(super) fn figures(costs: &Costs, direction: Direction, n: u32) -> Vec<Figure> {
    let [wrapper, ..] = &costs.0;
    let (own_median, own_least) = (median(wrapper), least(wrapper));
    let floor = &costs.0[Measured::FloorArray as usize];
    let (floor_median, floor_least) = (median(floor) - own_median, least(floor) - own_least);
    let figure =
        |case: &str, value| Figure::cost("fastpath", case, u64::from(n), direction.label(), value, "ns/packet");
    // For whoever compares gross figures: this much is in none of those below.
    let mut figures = vec![figure(Measured::Nothing.case(), own_median)];
    for (measured, gross) in Measured::ALL.into_iter().zip(&costs.0).skip(1) {
        let net = figure(measured.case(), median(gross) - own_median);
        figures.push(match measured {
            Measured::Unlimited => net.over(floor_median),
            _ => net,
        });
        if measured == Measured::Unlimited {
            figures.push(figure("unlimited, least", least(gross) - own_least).over(floor_least));
        }
    }
    figures
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_net_and_stand_beside_the_array_floor() {
        let costs = Costs([vec![40.0, 42.0, 41.0], vec![90.0; 3], vec![141.0; 3], vec![241.0; 3], vec![191.0; 3]]);
        let figures = figures(&costs, Direction::Up, 1000);
        let unlimited = figures.iter().find(|figure| figure.case == "unlimited").unwrap();
        assert_eq!((unlimited.value, unlimited.floor, unlimited.ratio), (150.0, Some(100.0), Some(1.5)));
        assert_eq!(figures[0].case, "wrapper");
        assert_eq!(figures[0].value, 41.0);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
