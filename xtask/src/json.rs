//! What commands print for programs.

use serde::Serialize;

/// A line of JSON, with the fields in their order.
pub fn line(value: &impl Serialize) -> String {
    // Structures of numbers, texts and lists have no value that JSON cannot hold.
    let text = serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"));
    format!("{text}\n")
}
