/// What a crate of the workspace may know of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// These crates alone.
    Only(&'static [&'static str]),
    /// Every crate but tools and tests.
    AnyLower,
}

/// Crates by name, from the ground up.
const CRATES: &[(&str, Rule)] = &[
    ("flott-core", Rule::Only(&[])),
    ("flott-rpc", Rule::Only(&["flott-core"])),
    ("flott-snapshot", Rule::Only(&["flott-core"])),
    ("flott-runtime", Rule::Only(&["flott-core", "flott-rpc", "flott-snapshot"])),
    ("flott-jobmaster", Rule::Only(&["flott-core", "flott-snapshot"])),
    ("flott-resource-manager", Rule::Only(&["flott-core"])),
    // The lab is for its tests.
    ("flott-kubernetes", Rule::Only(&["flott-core", "flott-resource-manager", "flott-kubernetes-lab"])),
    ("flott-worker", Rule::Only(&["flott-core", "flott-rpc"])),
    ("flott", Rule::Only(&["flott-core", "flott-rpc", "flott-runtime", "flott-jobmaster", "flott-snapshot"])),
    ("flott-cep", Rule::Only(&["flott"])),
    ("flott-parquet", Rule::Only(&["flott"])),
    ("flott-kafka", Rule::Only(&["flott", "flott-kafka-broker"])),
    ("flott-kafka-broker", Rule::Only(&[])),
    (
        "flott-dispatcher",
        Rule::Only(&["flott-core", "flott-rpc", "flott-snapshot", "flott-jobmaster", "flott-resource-manager"]),
    ),
    (
        "flott-cli",
        Rule::Only(&[
            "flott-core",
            "flott-rpc",
            "flott-snapshot",
            "flott-dispatcher",
            "flott-kubernetes",
            "flott-resource-manager",
            "flott-worker",
        ]),
    ),
    ("flott-kubernetes-lab", Rule::Only(&[])),
    ("flott-tests", Rule::AnyLower),
    ("flott-helm-tests", Rule::Only(&["flott-core", "flott-kubernetes-lab"])),
    ("xtask", Rule::AnyLower),
];

/// Crates by folder: programs are written against the user's libraries alone.
const FOLDERS: &[(&str, Rule)] = &[
    ("examples", Rule::Only(&["flott", "flott-cep", "flott-kafka", "flott-parquet"])),
    ("benchmarks", Rule::Only(&["flott", "flott-cep", "flott-kafka", "flott-parquet"])),
];

/// Crates that nothing may know.
pub const TOPS: &[&str] = &["flott-tests", "flott-helm-tests", "xtask"];

/// The crate that users link, and what must not come with it.
pub const LIGHT: &str = "flott";
/// An HTTP server or client, a cluster's client, a database, a query engine, TLS: they belong to the daemons. Formats of files
/// that take much code have crates of their own.
pub const HEAVY: &[&str] = &[
    "arrow-array",
    "axum",
    "datafusion",
    "h2",
    "hyper",
    "hyper-util",
    "kube",
    "kube-client",
    "native-tls",
    "openssl",
    "parquet",
    "reqwest",
    "rustls",
    "sled",
    "tonic",
    "tower-http",
    "utoipa",
];

/// The rule for a crate that lies in `folder` of the workspace; `None` if nobody thought of it.
pub fn rule(name: &str, folder: &str) -> Option<Rule> {
    let by_name = CRATES.iter().find(|(known, _)| *known == name);
    let top = folder.split('/').next().unwrap_or(folder);
    by_name.or_else(|| FOLDERS.iter().find(|(known, _)| *known == top)).map(|(_, rule)| *rule)
}

impl Rule {
    /// Whether `other`, a crate of the workspace, may be known.
    pub fn allows(self, other: &str) -> bool {
        match self {
            Self::Only(allowed) => allowed.contains(&other),
            Self::AnyLower => !TOPS.contains(&other),
        }
    }

    /// The rule in words.
    pub fn describe(self) -> String {
        match self {
            Self::Only([]) => "may know no other crate of the workspace".to_owned(),
            Self::Only(allowed) => format!("may know only {}", allowed.join(", ")),
            Self::AnyLower => format!("may know every crate but {}", TOPS.join(", ")),
        }
    }
}
