//! Between the types of the codec and those of the domain.

use crate::ue::Location;
use coeur_model::{Dnn, GnbId, Guami, NrCellId, PduSessionId, Plmn, Snssai, Tac, Tai};
use oxirush_ngap::ngap::{self, GNBID, GlobalRANNodeID, PLMNIdentity, SNSSAI, UserLocationInformation};
use oxirush_ngap::{Error, helpers};

pub(crate) fn plmn(plmn: &PLMNIdentity) -> Option<Plmn> {
    Plmn::from_octets(plmn.0).ok()
}

pub(crate) fn to_plmn(plmn: Plmn) -> PLMNIdentity {
    PLMNIdentity(plmn.octets())
}

pub(crate) fn snssai(snssai: &SNSSAI) -> Snssai {
    Snssai::new(snssai.sst.0[0], snssai.sd.as_ref().map(|sd| sd.0))
}

pub(crate) fn to_snssai(snssai: Snssai) -> SNSSAI {
    helpers::s_nssai(snssai.sst, snssai.sd)
}

pub(crate) fn to_guami(guami: Guami) -> Result<ngap::GUAMI, Error> {
    helpers::guami(to_plmn(guami.plmn()), guami.region(), guami.set(), guami.pointer())
}

/// None: another kind of node than a gNB, or an identity that is none.
pub(crate) fn gnb_id(node: &GlobalRANNodeID) -> Option<GnbId> {
    let GlobalRANNodeID::globalGNB_ID(gnb) = node else { return None };
    let GNBID::gNB_ID(bits) = &gnb.gnb_id else { return None };
    let id = u32::try_from(bits.value()).ok()?;
    Some(GnbId { plmn: plmn(&gnb.plmn_identity)?, id, bits: u8::try_from(bits.len()).ok()? })
}

/// None: not NR, or a PLMN that is none.
pub(crate) fn location(location: &UserLocationInformation<'_>) -> Option<Location> {
    let UserLocationInformation::userLocationInformationNR(nr) = location else { return None };
    let tai = Tai { plmn: plmn(&nr.tai.plmn_identity)?, tac: Tac::from_octets(nr.tai.tac.0) };
    let cell = plmn(&nr.nr_cgi.plmn_identity).map(|plmn| NrCellId { plmn, cell: nr.nr_cgi.nr_cell_identity.0.value() });
    Some(Location { tai, cell })
}

pub(crate) fn session(id: &ngap::PDUSessionID) -> Option<PduSessionId> {
    PduSessionId::new(id.0).ok()
}

/// The labels of TS 23.003, 9.1, as a DNN IE has them.
pub(crate) fn dnn(octets: &[u8]) -> Option<Dnn> {
    let mut name = String::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((length, tail)) = rest.split_first() {
        let (label, tail) = tail.split_at_checked(usize::from(*length))?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).ok()?);
        rest = tail;
    }
    Dnn::new(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dnn_is_read_from_its_labels() {
        assert_eq!(dnn(b"\x08internet").unwrap().as_str(), "internet");
        assert_eq!(dnn(b"\x03ims\x06mnc001").unwrap().as_str(), "ims.mnc001");
        for wrong in [&b""[..], b"\x09internet", b"\x00", b"\x02\xFF\xFE", b"internet"] {
            assert!(dnn(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_gnb_id_keeps_its_width() {
        let node = helpers::global_gnb_id(to_plmn("00101".parse().unwrap()), 0x0012_3456, 24).unwrap();
        let id = gnb_id(&GlobalRANNodeID::globalGNB_ID(node)).unwrap();
        assert_eq!((id.id, id.bits), (0x0012_3456, 24));
    }
}
