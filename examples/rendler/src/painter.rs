//! [`Painter`]: makes pictures of pages: screenshots by a browser, or text cards.

use crate::job::{PictureKind, Rendered};
use crate::markup::Text;
use crate::page::Page;
use crate::site::{FetchError, Fetched, Site};
use crate::task_threads::{CancelFlag, TaskError};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Makes pictures of the pages of a site in a folder.
#[derive(Debug)]
pub(crate) struct Painter {
    site: Arc<Site>,
    folder: PathBuf,
    browser: Option<PathBuf>,
}

/// The interval at which a running browser is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why a picture could not be made; a retry may succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaintError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it is no page any more")]
    NoPage,
    #[error("{file}: {source}")]
    File { file: String, source: io::Error },
    #[error("the browser ended with {0} and made no picture")]
    NoPicture(ExitStatus),
    #[error("nobody wants it any more")]
    Cancelled,
}

/// The names of the programs that can make screenshots, in order of preference.
const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "chrome-headless-shell", "google-chrome", "google-chrome-stable"];

/// Returns the browser of this machine, if one is installed.
pub(crate) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    BROWSERS.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

impl Painter {
    /// Puts pictures of that site into that folder: screenshots if there is a browser, else cards.
    pub(crate) fn new(site: Arc<Site>, folder: PathBuf, browser: Option<PathBuf>) -> Self {
        Self { site, folder, browser }
    }

    /// Returns the site of the pages.
    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
    }

    /// Makes a picture of a page.
    pub(crate) fn paint(&self, page: &str, cancelled: &CancelFlag) -> Result<Rendered, PaintError> {
        let (kind, ending) = match self.browser {
            Some(_) => (PictureKind::Screenshot, "png"),
            None => (PictureKind::Card, "svg"),
        };
        let file = format!("{}.{ending}", file_name(page));
        let path = self.folder.join(&file);
        match &self.browser {
            Some(browser) => self.screenshot(browser, page, &path, cancelled)?,
            None => {
                let Fetched::Html(html) = self.site.fetch(page)? else { return Err(PaintError::NoPage) };
                let card = card(page, &Page::read(&html));
                fs::write(&path, card).map_err(|source| unusable(&path, source))?;
            }
        }
        Ok(Rendered { file, kind })
    }

    /// Makes a screenshot, at half size so that many fit into one drawing.
    fn screenshot(&self, browser: &Path, page: &str, to: &Path, cancelled: &CancelFlag) -> Result<(), PaintError> {
        let home = tempfile::tempdir().map_err(|source| unusable(&std::env::temp_dir(), source))?;
        let shot = home.path().join("shot.png");
        let mut command = Command::new(browser);
        command.args(["--headless", "--disable-gpu", "--hide-scrollbars", "--mute-audio", "--no-first-run"]);
        command.args(["--window-size=1024,768", "--force-device-scale-factor=0.5", "--virtual-time-budget=5000"]);
        // No page may have the browser connect to another machine.
        command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]");
        command.arg(format!("--user-data-dir={}", home.path().display()));
        command.arg(format!("--screenshot={}", shot.display()));
        if is_root() {
            command.arg("--no-sandbox"); // as root a browser exits at once without this
        }
        command.arg(self.site.url(page)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|source| unusable(browser, source))?;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|source| unusable(browser, source))? {
                break status;
            }
            if cancelled.is_set() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(PaintError::Cancelled);
            }
            thread::sleep(POLL_INTERVAL);
        };
        if !fs::metadata(&shot).is_ok_and(|shot| shot.len() > 0) {
            return Err(PaintError::NoPicture(status));
        }
        fs::copy(&shot, to).map_err(|source| unusable(to, source))?;
        Ok(())
    }
}

fn unusable(file: &Path, source: io::Error) -> PaintError {
    PaintError::File { file: file.display().to_string(), source }
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// Returns a file name for a page: a readable part, and a hash (FNV-1a) that makes it unique.
fn file_name(page: &str) -> String {
    let hash = page
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let readable = page.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).take(60);
    format!("{}-{hash:016x}", readable.collect::<String>().trim_matches('-'))
}

/// Returns a text card as SVG: the name, title and first words of a page, and that it is no screenshot.
fn card(page: &str, read: &Page) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"512\" height=\"384\" font-family=\"sans-serif\">\n\
         <rect width=\"512\" height=\"384\" fill=\"#fff\"/>\n<rect width=\"512\" height=\"40\" fill=\"#345\"/>\n",
    );
    let mut line = |y: usize, style: &str, text: &str| {
        let _ = writeln!(svg, "<text x=\"20\" y=\"{y}\" {style}>{}</text>", Text(text));
    };
    let short =
        |text: &str, width: usize| textwrap::wrap(text, width).first().map(ToString::to_string).unwrap_or_default();
    line(27, "font-size=\"16\" fill=\"#fff\"", &short(page, 52));
    let title = read.title.as_deref().unwrap_or_default();
    for (row, text) in textwrap::wrap(title, 36).iter().take(2).enumerate() {
        line(80 + 32 * row, "font-size=\"24\" font-weight=\"bold\" fill=\"#123\"", text);
    }
    for (row, text) in textwrap::wrap(&read.words, 62).iter().take(9).enumerate() {
        line(150 + 22 * row, "font-size=\"15\" fill=\"#444\"", text);
    }
    line(370, "font-size=\"12\" fill=\"#999\"", "text card: there was no browser to draw the page");
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_file_name_of_its_own_that_any_file_system_takes() {
        assert_eq!(
            file_name("/"),
            format!("-{:016x}", (0xcbf2_9ce4_8422_2325_u64 ^ 0x2f).wrapping_mul(0x100_0000_01b3))
        );
        assert_ne!(file_name("/a?b"), file_name("/a-b"));
        assert!(file_name(&"/ä".repeat(1000)).len() < 100);
    }

    #[test]
    fn a_card_says_what_it_is_and_escapes_what_it_shows() {
        let page = Page::read("<title>1 < 2 & \"so\"</title><p>Some words &lt;script> \u{b}");
        let card = card("/a&b.html", &page);
        for part in ["/a&amp;b.html", "1 &lt; 2 &amp; &quot;so&quot;", "Some words &lt;script&gt;", "text card"] {
            assert!(card.contains(part), "{part} in {card}");
        }
        assert!(!card.contains('\u{b}'));
    }
}
