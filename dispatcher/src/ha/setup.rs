//! What the configuration says about several JobManagers.

use std::{fmt::Write, path::PathBuf, sync::Arc};

use flott_core::config::{
    Configuration,
    keys::{cluster, high_availability as keys, kubernetes},
};
use flott_snapshot::{Directory, S3Options};

use super::{LeaseRegister, Timing, lease::DirectoryLease};

/// Several JobManagers: how this one takes part.
#[derive(Debug, Clone)]
pub struct HighAvailability {
    pub(crate) directory: Directory,
    pub(crate) register: Arc<dyn LeaseRegister>,
    pub(crate) timing: Timing,
    /// A name that no other life of a JobManager has.
    pub(crate) name: String,
    /// Where the others reach this very JobManager, if not where everybody does.
    pub(crate) host: Option<String>,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no directory.
    #[error(
        "{} is {kind}, which needs {}: a directory that all JobManagers share, or s3://<bucket>/<path>",
        keys::TYPE.key(),
        keys::STORAGE_DIR.key()
    )]
    NoDirectory {
        /// The type.
        kind: keys::HighAvailabilityType,
    },
    /// The directory cannot be one.
    #[error("{}: {cause}", keys::STORAGE_DIR.key())]
    Directory {
        /// Why not.
        #[from]
        cause: flott_snapshot::Error,
    },
    /// The name cannot be one of a directory.
    #[error("{}: {id:?} is no name of a directory, expected letters, digits, `-`, `_` and `.`", keys::CLUSTER_ID.key())]
    ClusterId {
        /// The name.
        id: String,
    },
    /// Times that do not go together.
    #[error("{shorter} ({short}) must be shorter than {longer} ({long})")]
    Timing {
        /// A key.
        shorter: &'static str,
        /// Its value.
        short: String,
        /// Another.
        longer: &'static str,
        /// Its value.
        long: String,
    },
}

impl HighAvailability {
    /// What `configuration` says, on a host of this name; with a lease in the shared directory, or in `register` if that is given.
    /// `reached_at` is the host by which others reach this very JobManager, where `rest.address` leads to all.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn of(
        configuration: &Configuration,
        host: &str,
        reached_at: Option<String>,
        register: Option<Arc<dyn LeaseRegister>>,
    ) -> Result<Self, SetupError> {
        let kind = configuration.get(&keys::TYPE);
        let location = configuration.get(&keys::STORAGE_DIR).ok_or(SetupError::NoDirectory { kind })?;
        let root = Directory::open(&location, &S3Options::of(configuration))?;
        let directory = root.child(&cluster_id(configuration)?);
        let register = register.unwrap_or_else(|| Arc::new(DirectoryLease::new(directory.child("leader"))));
        Ok(Self { directory, register, timing: timing(configuration)?, name: name(host), host: reached_at })
    }

    /// Where the address stands of the one that leads, if all JobManagers are of one host and see it as a file.
    pub(crate) fn address_file(&self) -> Option<PathBuf> {
        Some(self.directory.local()?.join("address"))
    }

    /// Where checkpoints go of jobs that name no directory.
    pub(crate) fn checkpoints(&self) -> String {
        self.directory.child("checkpoints").location().to_owned()
    }
}

fn cluster_id(configuration: &Configuration) -> Result<String, SetupError> {
    let set =
        [&keys::CLUSTER_ID, &kubernetes::CLUSTER_ID, &cluster::ID].into_iter().find_map(|key| configuration.get(key));
    // Flink's begins with a slash where it is a path of ZooKeeper.
    let id = set.map_or_else(|| "default".to_owned(), |id| id.trim_start_matches('/').to_owned());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || !id.chars().all(allowed) || id.chars().all(|c| c == '.') {
        return Err(SetupError::ClusterId { id });
    }
    Ok(id)
}

fn timing(configuration: &Configuration) -> Result<Timing, SetupError> {
    let in_order = [&keys::RETRY_PERIOD, &keys::RENEW_DEADLINE, &keys::LEASE_DURATION];
    for pair in in_order.windows(2) {
        let (short, long) = (configuration.get(pair[0]), configuration.get(pair[1]));
        if short >= long {
            let (short, long) = (format!("{short:?}"), format!("{long:?}"));
            return Err(SetupError::Timing { shorter: pair[0].key(), short, longer: pair[1].key(), long });
        }
    }
    let [retry, renewal, lease] = in_order.map(|key| configuration.get(key));
    Ok(Timing { lease, renewal, retry })
}

fn name(host: &str) -> String {
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("the operating system has a random source");
    random.iter().fold(format!("{host}-"), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}
