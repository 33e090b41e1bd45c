//! [`Graph`]: pages, their links and their pictures.

use crate::job::{Crawled, Rendered};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// The pages of a site, by name, and the links between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    nodes: BTreeMap<String, Node>,
    edges: BTreeSet<(String, String)>,
}

/// A page of the site.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) state: State,
    pub(crate) picture: Option<Rendered>,
    /// The number of its links to other sites.
    pub(crate) elsewhere: usize,
}

/// The state of a page in the crawl.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum State {
    /// Linked, and not crawled yet.
    #[default]
    Seen,
    /// Crawled, with its title.
    Page(Option<String>),
    /// A file of that kind, which is no page.
    File(String),
    /// Redirects to another page.
    Moved,
    /// Does not exist, and why.
    Missing(String),
    /// Given up after all retries, and why.
    Failed(String),
}

impl Graph {
    /// Adds a page. Returns whether it is new.
    pub(crate) fn insert(&mut self, page: &str) -> bool {
        let new = !self.nodes.contains_key(page);
        if new {
            self.nodes.insert(page.to_owned(), Node::default());
        }
        new
    }

    /// Records the result of a crawl. Returns the new pages, in the order of the links.
    pub(crate) fn record_crawl(&mut self, page: &str, found: Crawled) -> Vec<String> {
        let (state, links, elsewhere) = match found {
            Crawled::Page { title, links, elsewhere } => (State::Page(title), links, elsewhere),
            Crawled::File { kind } => (State::File(kind), Vec::new(), 0),
            Crawled::Moved { to } => (State::Moved, Vec::from_iter(to), 0),
            Crawled::Missing { why } => (State::Missing(why), Vec::new(), 0),
        };
        let node = self.nodes.entry(page.to_owned()).or_default();
        (node.state, node.elsewhere) = (state, elsewhere);
        self.edges.extend(links.iter().map(|to| (page.to_owned(), to.clone())));
        links.into_iter().filter(|link| self.insert(link)).collect()
    }

    /// Records that a page was given up.
    pub(crate) fn record_failure(&mut self, page: &str, why: String) {
        self.nodes.entry(page.to_owned()).or_default().state = State::Failed(why);
    }

    /// Records the picture of a page.
    pub(crate) fn record_picture(&mut self, page: &str, picture: Rendered) {
        self.nodes.entry(page.to_owned()).or_default().picture = Some(picture);
    }

    /// Returns all pages, by name.
    pub(crate) fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }

    /// Returns all links, as pairs of pages.
    pub(crate) fn edges(&self) -> &BTreeSet<(String, String)> {
        &self.edges
    }

    /// Returns the pages that link to this one.
    pub(crate) fn linked_from<'a>(&'a self, page: &'a str) -> impl Iterator<Item = &'a str> {
        self.edges.iter().filter(move |(_, to)| to == page).map(|(from, _)| from.as_str())
    }

    /// Returns the pages by their distance from `start` in links, by breadth-first search. Each rank is sorted by name;
    /// unreachable pages are the last rank.
    pub(crate) fn ranks(&self, start: &str) -> Vec<Vec<&str>> {
        let mut links: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in &self.edges {
            links.entry(from).or_default().push(to);
        }
        let mut rank: BTreeMap<&str, usize> = BTreeMap::new();
        let mut queue = VecDeque::new();
        if let Some((start, _)) = self.nodes.get_key_value(start) {
            rank.insert(start, 0);
            queue.push_back(start.as_str());
        }
        while let Some(page) = queue.pop_front() {
            let next = rank[page] + 1;
            for to in links.get(page).into_iter().flatten() {
                if !rank.contains_key(to) {
                    rank.insert(to, next);
                    queue.push_back(to);
                }
            }
        }
        let last = rank.values().max().map_or(0, |deepest| deepest + 1);
        let mut ranks = vec![Vec::new(); last + 1];
        for page in self.nodes.keys() {
            ranks[rank.get(page.as_str()).copied().unwrap_or(last)].push(page.as_str());
        }
        ranks.retain(|pages| !pages.is_empty());
        ranks
    }

    /// Returns the graph as DOT (Graphviz), with its pictures as files in the folder `pictures`.
    pub(crate) fn dot(&self) -> Dot<'_> {
        Dot(self)
    }
}

impl Node {
    /// Returns the caption of a page.
    pub(crate) fn caption(&self) -> String {
        match &self.state {
            State::Seen => "not crawled".to_owned(),
            State::Page(title) => title.clone().unwrap_or_default(),
            State::File(kind) if kind.is_empty() => "a file".to_owned(),
            State::File(kind) => format!("a file: {kind}"),
            State::Moved => "moved".to_owned(),
            State::Missing(why) => format!("missing: {why}"),
            State::Failed(why) => format!("failed: {why}"),
        }
    }

    /// Returns the state in one word: the class of the page in the drawing.
    pub(crate) fn class(&self) -> &'static str {
        match self.state {
            State::Seen => "seen",
            State::Page(_) => "page",
            State::File(_) => "file",
            State::Moved => "moved",
            State::Missing(_) => "missing",
            State::Failed(_) => "failed",
        }
    }
}

/// Displays a graph as DOT.
#[derive(Debug)]
pub(crate) struct Dot<'a>(&'a Graph);

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digraph site {{\n  node [shape=box];")?;
        for (page, node) in &self.0.nodes {
            let label = match node.caption() {
                caption if caption.is_empty() => page.clone(),
                caption => format!("{page}\n{caption}"),
            };
            write!(f, "  {} [label={}, class={}", Quoted(page), Quoted(&label), node.class())?;
            if let Some(picture) = &node.picture {
                let file = format!("pictures/{}", picture.file);
                write!(
                    f,
                    ", image={}, imagescale=true, labelloc=b, width=3, height=2.6, fixedsize=true",
                    Quoted(&file)
                )?;
            }
            writeln!(f, "];")?;
        }
        for (from, to) in &self.0.edges {
            writeln!(f, "  {} -> {};", Quoted(from), Quoted(to))?;
        }
        writeln!(f, "}}")
    }
}

/// Displays a quoted string of DOT, in which a backslash is doubled and a line break is `\n`.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str, links: &[&str]) -> Crawled {
        let links = links.iter().map(|&link| link.to_owned()).collect();
        Crawled::Page { title: Some(title.to_owned()), links, elsewhere: 0 }
    }

    #[test]
    fn dot_keeps_whatever_names_and_titles_have_in_them() {
        let mut graph = Graph::default();
        assert!(graph.insert("/"));
        assert_eq!(graph.record_crawl("/", page("say \"hi\" \\ there", &["/a", "/"])), ["/a"]);
        graph.record_crawl("/a", Crawled::Missing { why: "no such file".to_owned() });
        assert_eq!(
            graph.dot().to_string(),
            r#"digraph site {
  node [shape=box];
  "/" [label="/\nsay \"hi\" \\ there", class=page];
  "/a" [label="/a\nmissing: no such file", class=missing];
  "/" -> "/";
  "/" -> "/a";
}
"#
        );
    }

    #[test]
    fn ranks_count_links_from_the_start() {
        let mut graph = Graph::default();
        graph.record_crawl("/", page("", &["/b", "/a"]));
        graph.record_crawl("/b", page("", &["/c", "/a", "/"]));
        graph.record_crawl("/alone", page("", &["/"]));
        assert_eq!(graph.ranks("/"), [vec!["/"], vec!["/a", "/b"], vec!["/c"], vec!["/alone"]]);
        assert_eq!(Graph::default().ranks("/"), Vec::<Vec<&str>>::new());
    }
}
