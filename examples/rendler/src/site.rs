//! [`Site`]: the source of pages: a folder, or a server on this machine.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode, header};
use url::{Host, Url};

/// The most bytes read of a page; a longer one is truncated.
const MAX_PAGE_BYTES: u64 = 8 << 20;

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A site: its pages by name, and its start page.
///
/// The name of a page is its path and query within the site, `/guide/install.html`, as a browser would write it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The URL of the site, without the slash that each page name begins with.
    base: String,
    start: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Folder(PathBuf),
    Server(ureq::Agent),
}

/// The result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// An HTML page.
    Html(String),
    /// A file of that kind.
    File(String),
    /// A redirect.
    Moved(String),
    /// Not found or not permitted, and why; a retry would not help.
    Missing(String),
}

/// Why a site cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    #[error("{site}: {source}")]
    Unreadable { site: String, source: io::Error },
    #[error("{site}: expected a folder with index.html, or a file whose name ends in .html or .htm")]
    NoPage { site: String },
    #[error("{site}: found {scheme}://, expected http:// or a folder")]
    Scheme { site: String, scheme: String },
    #[error("{site}: {host} is not this machine, expected localhost, 127.0.0.1 or [::1]")]
    Elsewhere { site: String, host: String },
    #[error("{site}: {source}")]
    Url { site: String, source: url::ParseError },
}

/// Why a fetch failed; a retry may succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] Box<ureq::Error>),
    #[error("the server said {0}")]
    Status(StatusCode),
}

impl Site {
    /// Opens a folder, a page in a folder, or `http://` on this machine.
    pub(crate) fn open(named: &str) -> Result<Self, SiteError> {
        match named.split_once("://") {
            Some(("http", _)) => Self::server(named),
            Some((scheme, _)) => Err(SiteError::Scheme { site: named.to_owned(), scheme: scheme.to_owned() }),
            None => Self::folder(named),
        }
    }

    fn server(named: &str) -> Result<Self, SiteError> {
        let site = || named.to_owned();
        let mut start = Url::parse(named).map_err(|source| SiteError::Url { site: site(), source })?;
        start.set_fragment(None);
        let local = match start.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if !local {
            let host = start.host_str().unwrap_or_default().to_owned();
            return Err(SiteError::Elsewhere { site: site(), host });
        }
        let base = start.origin().ascii_serialization();
        // A redirect is drawn like a link, and crawled only within the site. A proxy would be another machine.
        let config = ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false).proxy(None);
        let config = config.http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
        let source = Source::Server(config.into());
        let start = start.as_str().strip_prefix(&base).unwrap_or("/").to_owned();
        Ok(Self { base, start, source })
    }

    fn folder(named: &str) -> Result<Self, SiteError> {
        let unreadable = |source| SiteError::Unreadable { site: named.to_owned(), source };
        let no_page = || SiteError::NoPage { site: named.to_owned() };
        let path = fs::canonicalize(named).map_err(unreadable)?;
        let (folder, page) = if path.is_dir() {
            (path.clone(), path.join("index.html"))
        } else {
            (path.parent().ok_or_else(no_page)?.to_owned(), path)
        };
        if !page.is_file() || kind_of(&page) != "html" {
            return Err(no_page());
        }
        let url = |path: &Path| Url::from_file_path(path).map_err(|()| no_page());
        let (base, start) = (String::from(url(&folder)?), String::from(url(&page)?));
        let base = base.trim_end_matches('/').to_owned();
        let start = start.strip_prefix(&base).ok_or_else(no_page)?.to_owned();
        Ok(Self { base, start, source: Source::Folder(folder) })
    }

    /// Returns the start page.
    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Returns the URL of a page.
    pub(crate) fn url(&self, page: &str) -> String {
        format!("{}{page}", self.base)
    }

    /// Resolves a link on the page `from`, whose `<base href>` is `base`. Returns the page; `None` if it is on another site.
    pub(crate) fn link(&self, from: &str, base: Option<&str>, href: &str) -> Option<String> {
        let page = Url::parse(&self.url(from)).ok()?;
        let from = base.and_then(|base| page.join(base).ok()).unwrap_or(page);
        let mut url = from.join(href).ok()?;
        url.set_fragment(None);
        let folder = matches!(self.source, Source::Folder(_));
        if folder {
            url.set_query(None);
        }
        let name = url.as_str().strip_prefix(&self.base).filter(|name| name.starts_with('/'))?;
        Some(if folder && name.ends_with('/') { format!("{name}index.html") } else { name.to_owned() })
    }

    /// Fetches a page.
    pub(crate) fn fetch(&self, page: &str) -> Result<Fetched, FetchError> {
        match &self.source {
            Source::Folder(folder) => self.read(folder, page),
            Source::Server(agent) => self.request(agent, page),
        }
    }

    fn read(&self, folder: &Path, page: &str) -> Result<Fetched, FetchError> {
        let missing = |why: &str| Ok(Fetched::Missing(why.to_owned()));
        let Some(path) = Url::parse(&self.url(page)).ok().and_then(|url| url.to_file_path().ok()) else {
            return missing("not the name of a file");
        };
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                return missing("no such file");
            }
            Err(error) => return Err(error.into()),
        };
        if !path.starts_with(folder) {
            return missing("a way out of the folder");
        }
        if path.is_dir() {
            return Ok(Fetched::Moved(format!("{page}/index.html")));
        }
        match kind_of(&path) {
            "html" => Ok(Fetched::Html(text(fs::File::open(path)?)?)),
            kind => Ok(Fetched::File(kind.to_owned())),
        }
    }

    fn request(&self, agent: &ureq::Agent, page: &str) -> Result<Fetched, FetchError> {
        let mut response = agent.get(self.url(page)).call().map_err(Box::new)?;
        let status = response.status();
        if status.is_redirection() {
            let to = field(response.headers(), header::LOCATION);
            return Ok(to.map_or_else(|| Fetched::Missing(status.to_string()), Fetched::Moved));
        }
        if status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
            return Err(FetchError::Status(status));
        }
        if !status.is_success() {
            return Ok(Fetched::Missing(status.to_string()));
        }
        let kind = field(response.headers(), header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/html" | "application/xhtml+xml" => Ok(Fetched::Html(text(response.body_mut().as_reader())?)),
            _ => Ok(Fetched::File(kind)),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, self.start)
    }
}

/// Reads the text of a page as UTF-8, whatever charset it declares.
fn text(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_PAGE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn field(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Returns the kind of a file, by its extension.
fn kind_of(path: &Path) -> &str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or("unknown") {
        "html" | "htm" | "HTML" | "HTM" => "html",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_as_browsers_do_and_stay_within_the_site() {
        let site = Site::open("http://localhost:8000/guide/?page=1#top").unwrap();
        assert_eq!(site.start(), "/guide/?page=1");
        for (href, name) in [
            ("a.html#part", Some("/guide/a.html")),
            ("../b.html", Some("/b.html")),
            ("/c?q=1", Some("/c?q=1")),
            ("", Some("/guide/?page=1")),
            ("//localhost:8000/d", Some("/d")),
            ("http://localhost:8001/d", None),
            ("http://localhost:80000/d", None),
            ("https://localhost:8000/d", None),
            ("mailto:a@b.c", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(site.link(site.start(), None, href).as_deref(), name, "{href}");
        }
        assert_eq!(site.link("/a/b", Some("/c/"), "d").unwrap(), "/c/d");
    }

    #[test]
    fn a_folder_is_left_neither_by_links_nor_by_links_of_the_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("my site");
        fs::create_dir_all(root.join("guide")).unwrap();
        fs::write(root.join("index.html"), "<p>here").unwrap();
        fs::write(folder.path().join("secret.html"), "<p>secret").unwrap();
        let site = Site::open(root.to_str().unwrap()).unwrap();
        assert_eq!(site.start(), "/index.html");
        assert_eq!(site.link("/index.html", None, "../secret.html"), None);
        assert_eq!(site.link("/index.html", None, "guide/?x=1").unwrap(), "/guide/index.html");
        assert_eq!(site.fetch("/index.html").unwrap(), Fetched::Html("<p>here".to_owned()));
        assert_eq!(site.fetch("/guide").unwrap(), Fetched::Moved("/guide/index.html".to_owned()));
        assert_eq!(site.fetch("/nowhere.html").unwrap(), Fetched::Missing("no such file".to_owned()));
        assert_eq!(site.fetch("/index.html/a").unwrap(), Fetched::Missing("no such file".to_owned()));
        let out = Fetched::Missing("a way out of the folder".to_owned());
        assert_eq!(site.fetch("/%2e%2e/secret.html").unwrap(), out);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret.html"), root.join("door.html")).unwrap();
            assert_eq!(site.fetch("/door.html").unwrap(), out);
        }
    }

    #[test]
    fn what_is_no_site_is_said_precisely() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap();
        let told = |named: &str| Site::open(named).unwrap_err().to_string();
        assert_eq!(told("https://localhost/"), "https://localhost/: found https://, expected http:// or a folder");
        assert_eq!(
            told("http://example.org/a"),
            "http://example.org/a: example.org is not this machine, expected localhost, 127.0.0.1 or [::1]"
        );
        assert!(told("http://127.0.0.1:99999/").ends_with("invalid port number"));
        assert!(told(empty).ends_with("expected a folder with index.html, or a file whose name ends in .html or .htm"));
        assert!(told(&format!("{empty}/nothing")).contains("No such file"));
    }
}
