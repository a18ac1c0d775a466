//! Nudm_SDM_Get: what a subscriber may use (TS 29.503, 5.2.2.2).

use coeur_model::{Dnn, Snssai, SubscriptionProfile};
use coeur_nf::services::nudm::{AccessData, UdmProblem, UdmResponse};

/// Access and mobility, and slice selection data. A subscription without slices allows nothing: DATA_NOT_FOUND.
pub(crate) fn access_data(profile: &SubscriptionProfile) -> Result<UdmResponse, UdmProblem> {
    if profile.slices.is_empty() {
        return Err(UdmProblem::DataNotFound);
    }
    let slices = profile.slices.iter().map(|slice| (slice.snssai, slice.default)).collect();
    Ok(UdmResponse::AccessData(AccessData { ue_ambr: profile.ue_ambr, slices }))
}

/// Session management data of one data network in one slice; with no DNN, of the slice's default one, which is the first
/// (TS 23.502, 4.3.2.2.1, step 2).
pub(crate) fn session_data(
    profile: SubscriptionProfile,
    snssai: Snssai,
    dnn: Option<&Dnn>,
) -> Result<UdmResponse, UdmProblem> {
    let slice = profile.slices.into_iter().find(|slice| slice.snssai == snssai).ok_or(UdmProblem::NotSubscribed)?;
    let wanted = slice.dnns.into_iter().find(|subscribed| dnn.is_none_or(|dnn| subscribed.dnn == *dnn));
    wanted.map(UdmResponse::SessionData).ok_or(UdmProblem::NotSubscribed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coeur_model::{DnnSubscription, SliceSubscription};

    fn dnn(name: &str) -> Dnn {
        name.parse().unwrap()
    }

    fn slice(text: &str, dnns: &[&str]) -> SliceSubscription {
        let dnns = dnns.iter().map(|name| DnnSubscription::new(dnn(name))).collect();
        SliceSubscription { snssai: text.parse().unwrap(), default: text == "1", dnns }
    }

    fn profile() -> SubscriptionProfile {
        let slices = vec![slice("1", &["internet", "ims"]), slice("2-000001", &["plant"]), slice("3", &[])];
        SubscriptionProfile { ue_ambr: Default::default(), slices }
    }

    #[test]
    fn access_data_lists_the_slices_and_marks_the_default_ones() {
        let Ok(UdmResponse::AccessData(data)) = access_data(&profile()) else { panic!() };
        let slices: Vec<_> = data.slices.iter().map(|(snssai, default)| (snssai.to_string(), *default)).collect();
        assert_eq!(slices, [("1".into(), true), ("2-000001".into(), false), ("3".into(), false)]);
        let empty = SubscriptionProfile { slices: vec![], ..profile() };
        assert_eq!(access_data(&empty), Err(UdmProblem::DataNotFound));
    }

    #[test]
    fn session_data_is_that_of_the_dnn_in_the_slice_or_the_first() {
        for (snssai, asked, got) in [
            ("1", Some("ims"), Some("ims")),
            ("1", None, Some("internet")),
            ("2-000001", None, Some("plant")),
            ("2-000001", Some("internet"), None),
            ("2", Some("plant"), None),
            ("3", None, None),
        ] {
            let answer = session_data(profile(), snssai.parse().unwrap(), asked.map(dnn).as_ref());
            let expected = got
                .map(|name| UdmResponse::SessionData(DnnSubscription::new(dnn(name))))
                .ok_or(UdmProblem::NotSubscribed);
            assert_eq!(answer, expected, "{snssai} {asked:?}");
        }
    }
}
