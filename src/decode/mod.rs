//! Bytes to values of the configured paths.
