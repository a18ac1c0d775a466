//! Cores as the operator API asks them: the northbound contract over each core's Unix socket.

mod client;
mod convert;

pub(crate) use client::CoreClient;

use crate::config::Config;
use crate::state::State;
use coeur_api::types::CoreSummary;
use coeur_api::{Core, Platform};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cores of this platform.
pub(crate) struct Cores {
    plmns: BTreeMap<String, String>,
    clients: BTreeMap<String, Arc<CoreClient>>,
    state: Arc<State>,
}

impl Cores {
    pub(crate) fn new(config: &Config, state: &Arc<State>) -> Self {
        let client = |core| Arc::new(CoreClient::new(core, config.socket(&core.name), Arc::clone(state)));
        Self {
            plmns: config.cores.iter().map(|core| (core.name.clone(), plmn_text(core.plmn))).collect(),
            clients: config.cores.iter().map(|core| (core.name.clone(), client(core))).collect(),
            state: Arc::clone(state),
        }
    }
}

/// The text form of the domain, `00101`.
fn plmn_text(plmn: coeur_model::Plmn) -> String {
    format!("{}{}", plmn.mcc(), plmn.mnc())
}

impl Platform for Cores {
    fn cores(&self) -> Vec<CoreSummary> {
        self.plmns.iter().map(|(name, plmn)| self.state.summary(name, plmn.clone())).collect()
    }

    fn core(&self, name: &str) -> Option<Arc<dyn Core>> {
        self.clients.get(name).map(|client| Arc::clone(client) as Arc<dyn Core>)
    }
}
