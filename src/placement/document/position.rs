//! [`locate`]: the line and the column of a value, found again by its path. Only an error pays for it.

use super::syntax::{Scan, line_and_column};

/// Returns the line and the column, from 1, of the value at a path such as `apps[0].constraints[1]`, in text that is JSON; or
/// of the key that its object has. Where the path ends in a value that is not there, it is the place of what should have it.
pub(super) fn locate(text: &str, path: &str, key: Option<&str>) -> (usize, usize) {
    let mut scan = Scan::new(text);
    let mut rest = path;
    let mut found = loop {
        scan.blanks();
        let step = match scan.peek() {
            _ if rest.is_empty() => None,
            Some('{') => longest_key(scan.at, text, rest),
            Some('[') => item(scan.at, text, rest),
            _ => None,
        };
        let Some((at, left)) = step else { break scan.at };
        (scan.at, rest) = (at, left);
    };
    if let Some(key) = key.filter(|_| rest.is_empty() && text[found..].starts_with('{')) {
        let members = members(found, text);
        found = members.into_iter().find(|member| member.key == key).map_or(found, |member| member.at);
    }
    line_and_column(text, found)
}

/// A member of an object: its key, the place of the key, and that of the value.
struct Member {
    key: String,
    at: usize,
    value: usize,
}

/// Returns the members of the object that begins there.
fn members(at: usize, text: &str) -> Vec<Member> {
    let (mut scan, mut members) = (Scan { text, at }, Vec::new());
    loop {
        scan.bump(); // the bracket, or a comma
        scan.blanks();
        let at = scan.at;
        if scan.peek() != Some('"') || scan.string().is_err() {
            return members; // it is empty
        }
        let key = serde_json::from_str(&text[at..scan.at]).unwrap_or_default();
        scan.blanks();
        scan.bump(); // the colon
        scan.blanks();
        members.push(Member { key, at, value: scan.at });
        scan.value();
        scan.blanks();
        if scan.peek() != Some(',') {
            return members;
        }
    }
}

/// Returns the place of the member that a path begins with, and the path from there. A key may have dots in it.
fn longest_key<'p>(at: usize, text: &str, path: &'p str) -> Option<(usize, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    let rest = |member: &Member| {
        let rest = path.strip_prefix(member.key.as_str())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((member.value, rest))
    };
    members(at, text).iter().filter_map(rest).min_by_key(|(_, rest)| rest.len())
}

/// Returns the place of the item that a path begins with, and the path from there.
fn item<'p>(at: usize, text: &str, path: &'p str) -> Option<(usize, &'p str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    let mut scan = Scan { text, at };
    for left in (0..=index.parse::<usize>().ok()?).rev() {
        scan.bump(); // the bracket, or a comma
        scan.blanks();
        if left == 0 {
            return (scan.peek() != Some(']')).then_some((scan.at, rest));
        }
        scan.value();
        scan.blanks();
        if scan.peek() != Some(',') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "{\n  \"apps\": [ 1, {\"id\": \"ü\", \"cpus\": [[], [\"a\", -1.5e3 ]],\n \"a.b\": {\"c\": null}, \"a\": {\"\\u0062\": true}} ]\n}";
        for (path, key, expected) in [
            ("", None, (1, 1)),
            ("apps", None, (2, 11)),
            ("apps[0]", None, (2, 13)),
            ("apps[1]", None, (2, 16)),
            ("apps[1].id", None, (2, 23)),
            ("apps[1].cpus", None, (2, 36)),
            ("apps[1].cpus[0]", None, (2, 37)),
            ("apps[1].cpus[1][1]", None, (2, 47)),
            ("apps[1].a.b.c", None, (3, 15)),
            ("apps[1].a", None, (3, 27)),
            ("apps[1].a", Some("b"), (3, 28)),
            ("apps[1]", Some("cpus"), (2, 28)),
            ("apps[1].mem", None, (2, 16)), // it is not there
            ("apps[2]", None, (2, 11)),
            ("apps[1].cpus[0][0]", None, (2, 37)),
            ("apps[0].id", None, (2, 13)),
        ] {
            assert_eq!(locate(text, path, key), expected, "{path} {key:?}");
        }
        assert_eq!(locate("[]", "a", Some("b")), (1, 1));
        assert_eq!(locate("{}", "", Some("b")), (1, 1));
    }
}
