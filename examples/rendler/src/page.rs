//! [`Page`]: the title, links and first words of an HTML page.

use scraper::{ElementRef, Html, Node, Selector};

/// The parts of a page that the crawl needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Its title, or else its first heading.
    pub(crate) title: Option<String>,
    /// Its `<base href>`: the URL that its links are relative to, if not its own.
    pub(crate) base: Option<String>,
    /// The targets of its links, as they are written.
    pub(crate) links: Vec<String>,
    /// Its first words.
    pub(crate) words: String,
}

/// The most words kept of a page.
const MAX_WORDS: usize = 80;

impl Page {
    /// Parses a page as a browser does: no input is an error.
    pub(crate) fn read(html: &str) -> Self {
        let document = Html::parse_document(html);
        let links = select(&document, "a[href], area[href], iframe[src], frame[src]");
        let links = links.into_iter().filter_map(|link| link.attr("href").or_else(|| link.attr("src")));
        let links = links.map(|link| link.trim().to_owned()).collect();
        let base = select(&document, "base[href]").first().and_then(|base| base.attr("href")).map(str::to_owned);
        let title = ["title", "h1"].into_iter().find_map(|name| {
            let text: String = select(&document, name).first()?.text().collect();
            Some(words([text.as_str()])).filter(|title| !title.is_empty())
        });
        Self { title, base, links, words: words(shown(&document)) }
    }
}

fn select<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    Selector::parse(selector).map(|selector| document.select(&selector).collect()).unwrap_or_default()
}

/// Returns the visible texts, in order.
fn shown(document: &Html) -> impl Iterator<Item = &str> {
    document.tree.nodes().filter_map(|node| {
        let Node::Text(text) = node.value() else { return None };
        let unseen = node.ancestors().filter_map(|above| above.value().as_element());
        let unseen = unseen
            .map(|above| above.name())
            .any(|name| ["head", "script", "style", "template", "noscript"].contains(&name));
        (!unseen).then_some(&**text)
    })
}

/// Returns the first words of texts, separated by single spaces.
fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let words = texts.into_iter().flat_map(str::split_whitespace).take(MAX_WORDS);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_a_browser_reads_it() {
        let page = Page::read(
            "<!doctype html><title>Fish &amp;\n chips</title><base href='/menu/'>\
             <!-- <a href=no> --><script>'<a href=no>'</script><textarea><a href=no></a></textarea>\
             <p>Cheap <b>and\n good<p><A HREF=' one.html '>1</a><a name=here>no</a><area href=two?a=1&amp;b=2>\
             <iframe src=three></iframe>",
        );
        assert_eq!(page.title.as_deref(), Some("Fish & chips"));
        assert_eq!(page.base.as_deref(), Some("/menu/"));
        assert_eq!(page.links, ["one.html", "two?a=1&b=2", "three"]);
        assert_eq!(page.words, "<a href=no></a> Cheap and good 1 no");
    }

    #[test]
    fn without_a_title_the_heading_will_do_and_nothing_is_nothing() {
        assert_eq!(Page::read("<title> </title><h1>Top</h1>").title.as_deref(), Some("Top"));
        assert_eq!(Page::read(""), Page { title: None, base: None, links: vec![], words: String::new() });
        let deep = "<div>".repeat(1_000);
        assert_eq!(Page::read(&deep).words, "");
    }
}
