//! What a release says of the OCI images that its components are made from.

/// The label of a component that names the layers of its image, the lowest first, with spaces between:
/// the first 12 digits of the SHA-256 of each layer's archive without compression (`rootfs.diff_ids`).
pub const LABEL_LAYERS: &str = "oci.layers";
/// The label of a component that holds the digest of its image's manifest.
pub const LABEL_MANIFEST: &str = "oci.manifest";
