//! The fetcher, against servers and archives that are good, bad and evil.
