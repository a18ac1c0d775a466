//! Which slices the phone may use (TS 23.501, 5.15.5.2.1; TS 24.501, 5.5.1.2.4).

use coeur_model::Snssai;
use oxirush_nas::nas_5gs::{NasNssai, NasRegistrationRequest, NasRejectedNssai, NasSNssai, RejectedNssaiCause};

/// TS 24.501, 9.11.3.37: eight S-NSSAIs in an allowed NSSAI.
const ALLOWED_MAX: usize = 8;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    pub(super) allowed: Vec<Snssai>,
    pub(super) rejected: Vec<(RejectedCause, Snssai)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectedCause {
    /// Not in the PLMN for this phone.
    Plmn,
    /// Not in this registration area.
    Area,
}

/// Requested, subscribed (with the default mark), configured in the core, and offered by the gNB in this tracking area.
pub(super) fn decide(
    requested: &[Snssai],
    subscribed: &[(Snssai, bool)],
    configured: &[Snssai],
    offered: &[Snssai],
) -> Decision {
    let mut decision = Decision::default();
    let in_plmn = |slice: &Snssai| configured.contains(slice) && subscribed.iter().any(|(of, _)| of == slice);
    for slice in requested {
        match (in_plmn(slice), offered.contains(slice)) {
            (true, true) if !decision.allowed.contains(slice) => decision.allowed.push(*slice),
            (true, true) => {}
            (true, false) => decision.rejected.push((RejectedCause::Area, *slice)),
            (false, _) => decision.rejected.push((RejectedCause::Plmn, *slice)),
        }
    }
    // Nothing asked for, or nothing of it possible: the default ones.
    if decision.allowed.is_empty() {
        let defaults = subscribed.iter().filter(|(_, default)| *default).map(|(slice, _)| *slice);
        decision.allowed = defaults.filter(|slice| in_plmn(slice) && offered.contains(slice)).collect();
    }
    decision.allowed.truncate(ALLOWED_MAX);
    decision.rejected.truncate(ALLOWED_MAX);
    decision
}

pub(super) fn requested(request: &NasRegistrationRequest) -> Vec<Snssai> {
    let list = request.requested_nssai.as_ref().map(NasNssai::parse_all).unwrap_or_default();
    list.into_iter().map(|slice| Snssai::new(slice.sst, slice.sd)).collect()
}

pub(super) fn to_nas(slice: Snssai) -> NasSNssai {
    NasSNssai::from_sst_sd(slice.sst, slice.sd)
}

pub(super) fn to_nssai(slices: &[Snssai]) -> Option<NasNssai> {
    let slices: Vec<NasSNssai> = slices.iter().copied().map(to_nas).collect();
    NasNssai::from_snssais(&slices).ok()
}

pub(super) fn to_rejected(rejected: &[(RejectedCause, Snssai)]) -> Option<NasRejectedNssai> {
    let slices: Vec<(RejectedNssaiCause, NasSNssai)> = rejected
        .iter()
        .map(|(cause, slice)| {
            let cause = match cause {
                RejectedCause::Plmn => RejectedNssaiCause::NotAvailableInPlmnOrSnpn,
                RejectedCause::Area => RejectedNssaiCause::NotAvailableInRegistrationArea,
            };
            (cause, to_nas(*slice))
        })
        .collect();
    let entries: Vec<(RejectedNssaiCause, &NasSNssai)> = slices.iter().map(|(cause, slice)| (*cause, slice)).collect();
    NasRejectedNssai::from_entries(&entries).ok()
}

/// With cause #62: nothing that was asked for is possible.
pub(super) fn all_rejected(request: &NasRegistrationRequest) -> Option<NasRejectedNssai> {
    let rejected: Vec<_> = requested(request).into_iter().map(|slice| (RejectedCause::Plmn, slice)).collect();
    to_rejected(&rejected[..rejected.len().min(ALLOWED_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(sst: u8) -> Snssai {
        Snssai::new(sst, None)
    }

    #[test]
    fn allowed_is_requested_subscribed_configured_and_offered() {
        let subscribed = [(slice(1), true), (slice(2), false), (slice(3), false)];
        let configured = [slice(1), slice(2), slice(4)];
        for (requested, offered, allowed, rejected) in [
            (vec![1, 2], vec![1, 2], vec![1, 2], vec![]),
            (vec![2, 2], vec![1, 2], vec![2], vec![]),
            (vec![1, 2], vec![1], vec![1], vec![(RejectedCause::Area, 2)]),
            (vec![1, 3, 4], vec![1, 3, 4], vec![1], vec![(RejectedCause::Plmn, 3), (RejectedCause::Plmn, 4)]),
            (vec![], vec![1, 2], vec![1], vec![]),
            (vec![9], vec![1], vec![1], vec![(RejectedCause::Plmn, 9)]),
            (vec![], vec![2], vec![], vec![]),
        ] {
            let of = |list: Vec<u8>| list.into_iter().map(slice).collect::<Vec<_>>();
            let decision = decide(&of(requested), &subscribed, &configured, &of(offered));
            assert_eq!(decision.allowed, of(allowed));
            let rejected: Vec<_> = rejected.into_iter().map(|(cause, sst)| (cause, slice(sst))).collect();
            assert_eq!(decision.rejected, rejected);
        }
    }
}
