//! From a configuration to the children that it wants: program, arguments, files, privileges.

use crate::config::Config;
use crate::driver::capabilities::{self, CapabilitySet};
use crate::driver::confine::User;
use crate::plan::{ChildId, Desired, ProcessKind, Version};
use coeur_model::config::{CoreConfig, N3Config, N6Config, PathChoice, SctpChoice, UpfConfig};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How a child is run.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ChildSpec {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Where its configuration is: the platform's folder, so that no child can put a link in the way of what root writes.
    pub(crate) dir: PathBuf,
    /// Its configuration: written before each start, readable for its user only.
    pub(crate) config: (PathBuf, String),
    /// Folders of its own.
    pub(crate) own_dirs: Vec<PathBuf>,
    /// What it may do when the platform may do it.
    pub(crate) capabilities: CapabilitySet,
    /// Who it is when the platform is root; none: what the platform is.
    pub(crate) user: Option<User>,
}

impl ChildSpec {
    pub(crate) fn version(&self) -> Version {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Version(hasher.finish())
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) coeur: PathBuf,
    /// Needed if any core has a user plane here.
    pub(crate) coeur_upf: Option<PathBuf>,
}

pub(crate) type Specs = BTreeMap<ChildId, ChildSpec>;

/// The children of all cores.
pub(crate) fn specs(config: &Config, programs: &Programs, user: Option<User>) -> Result<Specs, toml::ser::Error> {
    let mut specs = Specs::new();
    for core in &config.cores {
        let id = |kind| ChildId { core: core.name.clone(), kind };
        specs.insert(id(ProcessKind::Core), core_spec(config, core, &programs.coeur, user)?);
        if let (Some(upf), Some(program)) = (&core.upf, &programs.coeur_upf) {
            specs.insert(id(ProcessKind::UserPlane), user_plane_spec(config, core, upf, program)?);
        }
    }
    Ok(specs)
}

pub(crate) fn desired(specs: &Specs) -> Desired {
    specs.iter().map(|(id, spec)| (id.clone(), spec.version())).collect()
}

fn core_spec(
    config: &Config,
    core: &CoreConfig,
    program: &Path,
    user: Option<User>,
) -> Result<ChildSpec, toml::ser::Error> {
    let dir = config.core_dir(&core.name);
    let (file, state) = (dir.join("core.toml"), dir.join("state"));
    let socket = config.socket(&core.name);
    let arguments = [
        "core".into(),
        "--config".into(),
        file.clone().into(),
        "--state-dir".into(),
        state.clone().into(),
        "--socket".into(),
        socket.clone().into(),
    ];
    let user_space = match core.n2.sctp {
        SctpChoice::Kernel => false,
        SctpChoice::Usrsctp => true,
        SctpChoice::Auto => !capabilities::kernel_has_sctp(),
    };
    Ok(ChildSpec {
        program: program.to_owned(),
        arguments: arguments.to_vec(),
        config: (file, toml::to_string(core)?),
        own_dirs: socket.parent().map(Path::to_owned).into_iter().chain([state]).collect(),
        dir,
        capabilities: capabilities::of_core(user_space, core.n2.port),
        user,
    })
}

/// The file that `coeur-upf run` reads.
#[derive(Serialize)]
struct UserPlaneFile<'a> {
    name: &'a str,
    n4: SocketAddr,
    path: PathChoice,
    session_max: u32,
    metrics: SocketAddr,
    pools: Vec<String>,
    n3: &'a N3Config,
    n6: &'a N6Config,
}

fn user_plane_spec(
    config: &Config,
    core: &CoreConfig,
    upf: &UpfConfig,
    program: &Path,
) -> Result<ChildSpec, toml::ser::Error> {
    let dir = config.user_plane_dir(&core.name);
    let file = dir.join("upf.toml");
    let content = UserPlaneFile {
        name: &core.name,
        n4: core.n4.upf,
        path: upf.path,
        session_max: upf.session_max,
        metrics: upf.metrics,
        pools: core.dnns.iter().map(|dnn| dnn.pool.to_string()).collect(),
        n3: &upf.n3,
        n6: &upf.n6,
    };
    Ok(ChildSpec {
        program: program.to_owned(),
        arguments: vec!["run".into(), "--config".into(), file.clone().into()],
        config: (file, toml::to_string(&content)?),
        own_dirs: Vec::new(),
        dir,
        capabilities: capabilities::of_user_plane(capabilities::kernel_version()),
        user: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{MINIMAL, two_cores};

    fn programs() -> Programs {
        Programs { coeur: "/bin/coeur".into(), coeur_upf: Some("/bin/coeur-upf".into()) }
    }

    fn with_upf() -> Config {
        let upf = r#"upf = { n3 = { interface = "n3", address = "10.0.0.1" }, n6 = { interface = "n6" } }"#;
        Config::from_toml(&MINIMAL.replace("tacs", &format!("{upf}\ntacs"))).unwrap()
    }

    #[test]
    fn each_core_is_a_child_and_so_is_its_user_plane_if_it_has_one_here() {
        let two = Config::from_toml(&two_cores()).unwrap();
        let names: Vec<_> = specs(&two, &programs(), None).unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["mine/core", "plant/core"]);
        let names: Vec<_> = specs(&with_upf(), &programs(), None).unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(names, ["plant/core", "plant/user-plane"]);
    }

    #[test]
    fn a_core_reads_what_the_platform_wrote_for_it() {
        let config = with_upf();
        let specs = specs(&config, &programs(), None).unwrap();
        let spec = specs.values().next().unwrap();
        let again = CoreConfig::from_toml(&spec.config.1).unwrap();
        assert_eq!((again.name.as_str(), again.suci_keys.len()), ("plant", 1));
        let upf: toml::Table = specs.values().nth(1).unwrap().config.1.parse().unwrap();
        assert_eq!(upf["n4"].as_str(), Some("127.0.0.8:8805"));
        assert_eq!(upf["pools"].as_array().unwrap()[0].as_str(), Some("10.45.0.0/16"));
        assert_eq!(upf["n3"]["interface"].as_str(), Some("n3"));
    }

    #[test]
    fn another_configuration_is_another_version() {
        let version = |config: &Config| specs(config, &programs(), None).unwrap().values().next().unwrap().version();
        let config = with_upf();
        let mut other = with_upf();
        assert_eq!(version(&config), version(&other));
        other.cores[0].amf.relative_capacity = 7;
        assert_ne!(version(&config), version(&other));
    }
}
