//! [`memory_of`]: how much memory a text would take as [`serde_json::Value`]s, before it does.

use serde_json::Value as Json;

/// The memory that any text may take, 256 MiB, whatever its length.
const FLOOR: usize = 256 << 20;

/// The memory of a value itself, in a list or a map.
const VALUE: usize = size_of::<Json>();

/// The memory of a key: its text's header and allocation, its hash, and its place in the table.
const KEY: usize = size_of::<String>() + 16 + 8 + 16;

/// Returns the memory, if it is more than ten times that of the text, and more than any text may take.
pub(super) fn excess(text: &str) -> Option<usize> {
    let most = text.len().saturating_mul(10).max(FLOOR);
    // No text takes more than half a value and half a key for each byte: `1,` or `"":1,`.
    if text.len().saturating_mul(VALUE) < most {
        return None;
    }
    Some(memory_of(text)).filter(|memory| *memory > most)
}

/// Returns an upper bound of the memory that JSON text takes as values: each value follows a comma or an opening bracket, each
/// key is followed by a colon, and the characters of keys and strings are at most those of the text.
fn memory_of(text: &str) -> usize {
    let (mut values, mut keys) = (1_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            b',' | b'[' | b'{' => values += 1,
            b':' => keys += 1,
            _ => {}
        }
    }
    values.saturating_mul(VALUE).saturating_add(keys.saturating_mul(KEY)).saturating_add(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_and_dense_text_takes_too_much() {
        let items = |item: &str, bytes: usize| format!("[{}1]", item.repeat(bytes / item.len()));
        assert_eq!(excess(&items("1,", 1 << 20)), None);
        assert_eq!(excess(&items(r#"{"id":"o1","hostname":"h1","resources":"cpus:4"},"#, 16 << 20)), None);
        assert_eq!(excess(&items(r#""[[[{{{,,,:::\"[[",[""#, 64).replace("[\"", "[")), None);
        for dense in ["1,", "[],", r#"{"":1},"#] {
            let memory = excess(&items(dense, 16 << 20));
            assert!(memory.is_some_and(|memory| memory > FLOOR), "{dense}: {memory:?}");
        }
        // What is in strings does not count.
        assert!(memory_of(r#"["[[[,,,:::\",,,"]"#) < 2 * VALUE + 20 + VALUE);
    }
}
