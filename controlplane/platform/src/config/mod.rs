//! The file of a platform: `coeur.toml`.
//!
//! Every refusal names file, line, field and what was expected, and never repeats a key.

mod conflicts;
mod locate;

use coeur_model::config::{ConfigError, CoreConfig};
use locate::Place;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Most cores of one platform.
pub const CORES_MAX: usize = 256;

/// Largest file, in octets.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// Longest path of a Unix socket: `sun_path` less its closing zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// What a platform runs, and where it keeps it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Everything that outlives a process: databases, keys, the operator's token. Relative to the file.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    #[serde(default)]
    pub api: ApiConfig,
    /// The user that cores run as when the platform is started as root; none: its own, without privileges.
    #[serde(default)]
    pub user: Option<String>,
    #[serde(rename = "core")]
    pub cores: Vec<CoreConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Where the operator API is served.
    pub listen: SocketAddr,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)) }
    }
}

fn data_dir() -> PathBuf {
    "/var/lib/coeur".into()
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{file}: {source}", file = file.display())]
    Io { file: PathBuf, source: std::io::Error },
    #[error("{file}: {octets} octets, expected at most {FILE_MAX}", file = file.display())]
    Size { file: PathBuf, octets: u64 },
    #[error("{file}:{fault}", file = file.display())]
    Content { file: PathBuf, fault: ContentFault },
}

/// What in a file is wrong: `line:column: field: what was expected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentFault {
    pub line: usize,
    pub column: usize,
    /// As `core[0].n2.port`; none where the text is no TOML at all.
    pub field: Option<String>,
    pub message: String,
}

impl fmt::Display for ContentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn read(file: &Path) -> Result<Self, Fault> {
        let io = |source| Fault::Io { file: file.to_owned(), source };
        let octets = std::fs::metadata(file).map_err(io)?.len();
        if octets > FILE_MAX {
            return Err(Fault::Size { file: file.to_owned(), octets });
        }
        let text = std::fs::read_to_string(file).map_err(io)?;
        let mut config = Self::from_toml(&text).map_err(|fault| Fault::Content { file: file.to_owned(), fault })?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        config.data_dir = std::path::absolute(folder.join(&config.data_dir)).map_err(io)?;
        for (index, core) in config.cores.iter().enumerate() {
            let length = config.socket(&core.name).as_os_str().len();
            if length > SOCKET_PATH_MAX {
                let message = format!(
                    "the socket of core {:?} would have a path of {length} octets, expected at most {SOCKET_PATH_MAX}: \
                     choose a shorter data_dir",
                    core.name
                );
                let fault = fault(&text, &[Place::Key("core"), Place::Index(index), Place::Key("name")], message);
                return Err(Fault::Content { file: file.to_owned(), fault });
            }
        }
        Ok(config)
    }

    /// Checks the text of a file; `data_dir` stays as written.
    pub fn from_toml(text: &str) -> Result<Self, ContentFault> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| locate::line_column(text, span.start));
            let field = error.span().and_then(|span| locate::field_at(text, span.start));
            ContentFault { line, column, field, message: error.message().trim_end().replace('\n', "; ") }
        })?;
        config.check(text)?;
        Ok(config)
    }

    /// Where the configuration of a core is, and below it everything of its own.
    pub fn core_dir(&self, core: &str) -> PathBuf {
        self.data_dir.join("cores").join(core)
    }

    /// Where a core serves its northbound contract.
    pub fn socket(&self, core: &str) -> PathBuf {
        self.core_dir(core).join("run").join("core.sock")
    }

    /// Where the configuration of a core's user plane is.
    pub fn user_plane_dir(&self, core: &str) -> PathBuf {
        self.data_dir.join("user-planes").join(core)
    }

    /// The operator's token.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join("operator.token")
    }

    fn check(&self, text: &str) -> Result<(), ContentFault> {
        if self.cores.is_empty() || self.cores.len() > CORES_MAX {
            let message = format!("expected 1 to {CORES_MAX} [[core]], got {}", self.cores.len());
            return Err(fault(text, &[Place::Key("core")], message));
        }
        for (index, core) in self.cores.iter().enumerate() {
            core.check().map_err(|error| core_fault(text, index, &error))?;
        }
        conflicts::check(self).map_err(|conflict| fault(text, &conflict.place, conflict.message))
    }
}

/// A fault of one core, at the line of its field.
fn core_fault(text: &str, index: usize, error: &ConfigError) -> ContentFault {
    let mut place = vec![Place::Key("core"), Place::Index(index)];
    match error {
        ConfigError::Field { field, expected, .. } => {
            place.extend(field.split('.').map(Place::Key));
            fault(text, &place, format!("expected {expected}"))
        }
        ConfigError::Toml(error) => fault(text, &place, error.message().to_owned()),
    }
}

fn fault(text: &str, place: &[Place<'_>], message: String) -> ContentFault {
    let (line, column) = locate::place(text, place);
    ContentFault { line, column, field: Some(locate::path(place)), message }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MINIMAL: &str = r#"
data_dir = "state"

[api]
listen = "127.0.0.1:8080"

[[core]]
name = "plant"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "10.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.8:8805" }

[[core.dnn]]
name = "internet"
pool = "10.45.0.0/16"

[[core.suci_key]]
id = 1
profile = "A"
private = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d"
"#;

    pub(crate) fn two_cores() -> String {
        let second = MINIMAL[MINIMAL.find("[[core]]").unwrap()..]
            .replace("plant", "mine")
            .replace("10.0.0.1", "10.0.0.2")
            .replace("127.0.0.1:8805", "127.0.0.2:8805")
            .replace("127.0.0.8", "127.0.0.9")
            .replace("tacs", "metrics = \"127.0.0.1:9191\"\ntacs");
        format!("{MINIMAL}\n{second}")
    }

    #[test]
    fn a_small_file_is_enough_and_its_data_dir_is_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("coeur.toml");
        std::fs::write(&file, MINIMAL).unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(config.data_dir, dir.path().join("state"));
        assert_eq!(config.socket("plant"), dir.path().join("state/cores/plant/run/core.sock"));
        assert_eq!(Config::from_toml(&two_cores()).unwrap().cores.len(), 2);
    }

    #[test]
    fn a_fault_names_line_field_and_what_was_expected() {
        for (from, to, says) in [
            ("tacs = [1]", "tacs = [16777216]", "10:8: core[0].tacs: TAC: expected 0 to 16777215"),
            ("tacs = [1]", "tacs = []", "10:8: core[0].tacs: expected 1 to 16"),
            ("slices =", "slizes =", "11:1: core[0].slizes: unknown field `slizes`, expected"),
            ("plmn = \"00101\"\n", "", "core[0]: missing field `plmn`"),
            ("listen", "adress", "5:1: api.adress: unknown field `adress`, expected `listen`"),
            ("127.0.0.1:8080", "localhost", "5:10: api.listen: invalid socket address syntax"),
            ("data_dir = \"state\"", "data_dir = 1", "2:12: data_dir: invalid type"),
            ("10.45.0.0/16", "10.45.0.1/16", "17:8: core[0].dnn[0].pool: address pool: expected a network"),
            ("data_dir = \"state\"", "data_dir = ", "2:"),
            ("profile = \"A\"", "profile = \"C\"", "21:11: core[0].suci_key[0].profile: unknown variant `C`"),
            ("name = \"plant\"", "name = \"Plant\"", "8:8: core[0].name: expected 1 to 32 lower-case"),
        ] {
            let changed = MINIMAL.replacen(from, to, 1);
            assert_ne!(changed, MINIMAL, "{from}");
            let fault = Config::from_toml(&changed).unwrap_err().to_string();
            assert!(fault.contains(says), "{says:?} not in {fault:?}");
            assert!(!fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn a_fault_never_repeats_a_key() {
        let fault = Config::from_toml(&MINIMAL.replace("c53c2220", "c53c222")).unwrap_err().to_string();
        assert!(fault.contains("22:11: core[0].suci_key[0].private: key: expected hex digits"), "{fault}");
        assert!(!fault.contains("c53c"), "{fault}");
    }

    #[test]
    fn a_file_that_is_not_there_and_a_path_that_is_too_long_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("coeur.toml");
        assert!(matches!(Config::read(&file), Err(Fault::Io { .. })));
        std::fs::write(&file, MINIMAL.replace("\"state\"", &format!("{:?}", "d".repeat(100)))).unwrap();
        let fault = Config::read(&file).unwrap_err().to_string();
        assert!(fault.contains("coeur.toml:8:8: core[0].name") && fault.contains("at most 107"), "{fault}");
    }

    #[test]
    fn no_core_and_too_many_cores_are_refused() {
        let fault = Config::from_toml("core = []").unwrap_err().to_string();
        assert_eq!(fault, "1:8: core: expected 1 to 256 [[core]], got 0");
        assert!(Config::from_toml("").unwrap_err().to_string().contains("missing field `core`"));
    }

    /// What docs/configuration.md shows is what is read.
    #[test]
    fn the_example_of_the_documentation_is_good() {
        let page = include_str!("../../../../docs/configuration.md");
        let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::from_toml(example).unwrap();
        assert!(config.cores[0].upf.is_some());
    }
}
