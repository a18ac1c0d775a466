use crate::testing::*;
use coeur_nf::services::namf::AmfRequest;

#[test]
fn what_is_not_supported_is_rejected_and_the_session_stays() {
    for (n1_sm, answer) in [
        ("2e0502c9", "2e0502ca20"),     // Modification: reject, #32
        ("2e0502c1ffff", "2e0502c31f"), // Establishment of an existing session: reject, #31
        ("2e0502d4", "2e0502d662"),     // COMPLETE of nothing: STATUS, #98
        ("2e0502cc", "2e0502d662"),     // Modification complete of nothing
        ("2e0502c2", "2e0502d660"),     // What only the network sends, cut short: STATUS, #96
        ("2e050299", "2e0502d661"),     // Unknown type: STATUS, #97
        ("2e0500d1", "2e0500d251"),     // Release request without PTI: reject, #81
        ("2e05ffc9", ""),               // Reserved PTI: ignored
        ("2e0602d1", "2e0602d22b"),     // Another session's: reject, #43
        ("2e0602d4", "2e0602d62b"),     // The same, no request: STATUS, #43
        ("2e0502d660", ""),             // A STATUS is not answered
        ("2e0602d660", ""),
        ("2e05", ""),
        ("7e0044", ""),
    ] {
        let (mut world, context) = World::with_session();
        let answer = (!answer.is_empty()).then(|| hex(answer));
        assert_eq!(world.n1(context, n1_sm), answer, "{n1_sm}");
        assert_eq!(world.smf.sessions().count(), 1);
        assert!(world.upf_sessions()[0].gnb.is_some() && world.to_amf.is_empty());
    }
}

#[test]
fn a_phone_that_has_no_such_session_has_none() {
    // TS 24.501, 6.5.3: 5GSM STATUS with #43.
    let (mut world, context) = World::with_session();
    assert_eq!(world.n1(context, "2e0502d62b"), None);
    assert!(matches!(world.to_amf[..], [AmfRequest::SmContextReleased { .. }]));
    world.assert_empty();
    assert_eq!(world.counter("coeur_smf_statuses_received_total", Some("43")), 1);
}

#[test]
fn a_pti_that_the_phone_does_not_know_ends_its_procedure() {
    for cause in ["2f", "51"] {
        let (mut world, context) = World::with_session();
        world.n1(context, &format!("2e0502d6{cause}"));
        assert_eq!(world.smf.sessions().count(), 1, "no procedure, nothing to end");
        world.n1(context, "2e0503d1");
        world.n1(context, &format!("2e0502d6{cause}"));
        assert_eq!(world.smf.sessions().count(), 1, "another procedure's PTI");
        world.n1(context, &format!("2e0503d6{cause}"));
        world.assert_empty();
    }
}
