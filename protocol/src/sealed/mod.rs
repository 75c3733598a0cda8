//! The sealed resource as a file.
