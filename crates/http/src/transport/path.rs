//! [`Path`]: the path of a request, which names an endpoint.

/// The path of a request, decoded, without the name of the server that may stand in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

impl Path {
    /// Takes a path apart. One of `own` may stand in front of it, as in `/master/state` and `/slave(1)/state`.
    #[must_use]
    pub fn of(path: &str, own: &[&str]) -> Self {
        let decoded = percent_decoded(path);
        let mut segments: Vec<String> =
            decoded.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        if segments.first().is_some_and(|first| own.contains(&first.as_str())) {
            segments.remove(0);
        }
        Self { segments }
    }

    /// Returns the path, without a slash in front.
    #[must_use]
    pub fn text(&self) -> String {
        self.segments.join("/")
    }

    /// Returns what is known under the longest beginning of the path. `.json` behind a segment makes no difference.
    ///
    /// # Examples
    ///
    /// ```
    /// use apportion_http::transport::Path;
    ///
    /// let path = Path::of("/slave(1)/monitor/statistics.json", &["slave(1)"]);
    /// assert_eq!(path.endpoint(&[("monitor", 1), ("monitor/statistics", 2)]), Some(2));
    /// ```
    #[must_use]
    pub fn endpoint<T: Copy>(&self, known: &[(&str, T)]) -> Option<T> {
        self.longest(known).map(|(_, found)| found)
    }

    /// Returns what follows in the path after that which is known.
    #[must_use]
    pub fn tail<T: Copy>(&self, known: &[(&str, T)]) -> String {
        self.segments[self.longest(known).map_or(0, |(length, _)| length)..].join("/")
    }

    /// Returns how many segments are known, and under what.
    fn longest<T: Copy>(&self, known: &[(&str, T)]) -> Option<(usize, T)> {
        let plain: Vec<&str> =
            self.segments.iter().map(|segment| segment.strip_suffix(".json").unwrap_or(segment)).collect();
        (1..=plain.len()).rev().find_map(|length| {
            let path = plain[..length].join("/");
            known.iter().find(|(known, _)| *known == path).map(|(_, found)| (length, *found))
        })
    }
}

/// Returns a path in which codes like `%2F` are decoded; a `%` without two digits after it stays.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.first_chunk::<2>().and_then(|digits| str::from_utf8(digits).ok());
        match code.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
