//! Reading what platforms send, leniently: an unknown or missing field must never cost an incident its click.

use serde_json::Value;

/// The text at a JSON pointer; empty when it is not there or no text.
pub(super) fn text<'a>(of: &'a Value, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// As `text`, none when it is empty.
pub(super) fn some(of: &Value, pointer: &str) -> Option<String> {
    Some(text(of, pointer)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The list there; empty when there is none.
pub(super) fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the flag is there and set.
pub(super) fn is(of: &Value, pointer: &str) -> bool {
    of.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}
