/// What is shown in the place of a secret, as in Flink.
pub const MASK: &str = "******";

/// Parts of keys whose values Flink's users expect to be masked.
const SENSITIVE_PARTS: [&str; 11] = [
    "password",
    "secret",
    "token",
    "apikey",
    "api-key",
    "auth-params",
    "basic-auth",
    "service-key",
    "jaas.config",
    "http-headers",
    "fs.azure.account.key",
];

/// Whether the value of a key is never to be shown: declared so, or named like one that holds a secret.
///
/// Names decide for keys that are free (`pipeline.global-job-parameters.*`) and for keys of other systems.
pub fn is_secret(key: &str) -> bool {
    if let Some(declaration) = super::registry::find(key).map(|found| found.declaration) {
        return declaration.secret;
    }
    let key = key.to_lowercase();
    SENSITIVE_PARTS.iter().any(|part| key.contains(part))
}
