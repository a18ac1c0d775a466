//! PFCP on the wire: where our own types read better than those of `rs-pfcp`, and no copy is made of a nested element.

pub(crate) mod node_id;
pub(crate) mod reader;
pub(crate) mod rules;
pub(crate) mod writer;

use coeur_rules::{RuleError, RuleId};
use rs_pfcp::error::PfcpError;
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;

/// Why a request is refused: what its response says, and what the log adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: CauseValue,
    pub(crate) offending_ie: Option<u16>,
    pub(crate) rule: Option<RuleError>,
}

impl Refusal {
    pub(crate) fn new(cause: CauseValue) -> Self {
        Self { cause, offending_ie: None, rule: None }
    }

    pub(crate) fn naming(cause: CauseValue, ie: IeType) -> Self {
        Self { offending_ie: Some(ie as u16), ..Self::new(cause) }
    }

    /// TS 29.244 7.6.6.
    pub(crate) fn missing(ie: IeType) -> Self {
        Self::naming(CauseValue::MandatoryIeMissing, ie)
    }

    /// TS 29.244 7.6.6.
    pub(crate) fn missing_conditional(ie: IeType) -> Self {
        Self::naming(CauseValue::ConditionalIeMissing, ie)
    }

    /// TS 29.244 7.6.8.
    pub(crate) fn incorrect(ie: IeType) -> Self {
        Self::naming(CauseValue::MandatoryIeIncorrect, ie)
    }

    /// TS 29.244 7.6.7.
    pub(crate) fn length(ie: IeType) -> Self {
        Self::naming(CauseValue::InvalidLength, ie)
    }

    /// A whole kind of request or element that this user plane does not serve.
    pub(crate) fn not_supported(ie: IeType) -> Self {
        Self::naming(CauseValue::ServiceNotSupported, ie)
    }

    pub(crate) fn decoding(ie: IeType, error: &PfcpError) -> Self {
        match error {
            PfcpError::InvalidLength { .. } | PfcpError::ZeroLengthNotAllowed { .. } => Self::length(ie),
            _ => Self::incorrect(ie),
        }
    }

    pub(crate) fn failed_rule(&self) -> Option<RuleId> {
        self.rule.map(|error| error.rule)
    }
}

/// TS 29.244 table 8.2.1-1: the rule itself is what is wrong.
impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        Self { rule: Some(error), ..Self::new(CauseValue::RuleCreationModificationFailure) }
    }
}
