//! [`Drawing`]: the graph as one self-contained HTML page.

use crate::graph::{Graph, Node};
use crate::job::{PictureKind, Rendered};
use crate::markup::Text;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// The template of the page: its style, and the script that moves, zooms, searches and lists.
const PAGE: &str = include_str!("drawing.html");

/// The size of a picture, of the box around it, and of its cell.
const PICTURE: (usize, usize) = (192, 144);
const BOX: (usize, usize) = (200, 190);
const CELL: (usize, usize) = (250, 270);

/// The most characters shown of a caption.
const MAX_CAPTION: usize = 30;

/// The parts of a drawing.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    /// The title of the first page, if it has one, and the site.
    pub(crate) title: &'a str,
    /// The summary of the crawl, for people.
    pub(crate) summary: &'a str,
    pub(crate) graph: &'a Graph,
    /// The page at the top.
    pub(crate) start: &'a str,
    /// The folder of the pictures.
    pub(crate) pictures: &'a Path,
}

/// The upper left corner of the box of each page.
type Places<'a> = BTreeMap<&'a str, (usize, usize)>;

impl Drawing<'_> {
    /// Returns the page.
    pub(crate) fn html(&self) -> io::Result<String> {
        let svg = self.svg()?;
        let parts =
            [("title", Text(self.title).to_string()), ("summary", Text(self.summary).to_string()), ("svg", svg)];
        // In one pass, so that a placeholder within one part is not replaced by another part.
        let mut html = String::with_capacity(PAGE.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
        let mut pieces = PAGE.split("{{");
        html.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
            html.extend(parts.iter().filter(|(part, _)| *part == name).map(|(_, text)| text.as_str()));
            html.push_str(rest);
        }
        Ok(html)
    }

    /// Lays out the ranks from top to bottom, each in as many rows as it needs. Returns the positions and the size.
    fn places(&self) -> (Places<'_>, (usize, usize)) {
        let widest = (self.graph.nodes().len() * 2).isqrt().clamp(4, 40);
        let (mut places, mut row) = (BTreeMap::new(), 0);
        for rank in self.graph.ranks(self.start) {
            for pages in rank.chunks(widest) {
                let indent = (widest - pages.len()) * CELL.0 / 2;
                for (column, page) in pages.iter().enumerate() {
                    places.insert(*page, (indent + column * CELL.0 + 25, row * CELL.1 + 40));
                }
                row += 1;
            }
        }
        (places, (widest * CELL.0, row * CELL.1 + 40))
    }

    fn svg(&self) -> io::Result<String> {
        let (places, (width, height)) = self.places();
        let mut svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\">\n");
        svg.push_str(
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#89a\"/></marker></defs>\n",
        );
        for (from, to) in self.graph.edges() {
            if let (Some(&tail), Some(&head)) = (places.get(from.as_str()), places.get(to.as_str())) {
                let (from, to, path) = (Text(from), Text(to), curve(tail, head));
                let _ = writeln!(svg, "<path class=\"edge\" data-from=\"{from}\" data-to=\"{to}\" d=\"{path}\"/>");
            }
        }
        for (page, node) in self.graph.nodes() {
            let place = places.get(page.as_str()).copied().unwrap_or_default();
            self.node(&mut svg, page, node, place)?;
        }
        svg.push_str("</svg>");
        Ok(svg)
    }

    fn node(&self, svg: &mut String, page: &str, node: &Node, (x, y): (usize, usize)) -> io::Result<()> {
        let caption = node.caption();
        let outside = match node.elsewhere {
            0 => String::new(),
            1 => "; 1 link leads to other sites".to_owned(),
            links => format!("; {links} links lead to other sites"),
        };
        let (class, whole) = (node.class(), format!("{page}: {caption}{outside}"));
        let _ = writeln!(
            svg,
            "<g class=\"node {class}\" data-page=\"{}\" transform=\"translate({x} {y})\"><title>{}</title>\
             <rect width=\"{}\" height=\"{}\" rx=\"4\"/>",
            Text(page),
            Text(&whole),
            BOX.0,
            BOX.1
        );
        if let Some(picture) = &node.picture {
            let (width, height) = PICTURE;
            let data = self.data(picture)?;
            let _ = writeln!(svg, "<image x=\"4\" y=\"4\" width=\"{width}\" height=\"{height}\" href=\"{data}\"/>");
        }
        for (row, (class, text)) in [("name", page), ("caption", &caption)].into_iter().enumerate() {
            let y = 164 + 17 * row;
            let _ = writeln!(svg, "<text class=\"{class}\" x=\"6\" y=\"{y}\">{}</text>", Text(&short(text)));
        }
        svg.push_str("</g>\n");
        Ok(())
    }

    /// Returns a picture as a `data:` URL.
    fn data(&self, picture: &Rendered) -> io::Result<String> {
        let kind = match picture.kind {
            PictureKind::Screenshot => "image/png",
            PictureKind::Card => "image/svg+xml",
        };
        let path = self.pictures.join(&picture.file);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Ok(format!("data:{kind};base64,{}", BASE64_STANDARD.encode(fs::read(&path).map_err(named)?)))
    }
}

/// Returns the path of a link, between the nearest sides of two boxes.
fn curve((x1, y1): (usize, usize), (x2, y2): (usize, usize)) -> String {
    let (half, full) = (BOX.0 / 2, BOX.1);
    if (x1, y1) == (x2, y2) {
        let (x, y) = (x1 + BOX.0, y1 + 20);
        return format!("M{x} {y}C{} {y} {} {} {x} {}", x + 40, x + 40, y + 40, y + 40);
    }
    let (x1, x2) = (x1 + half, x2 + half);
    if y1 == y2 {
        // In one row: an arc above it.
        let over = y1 - 36;
        return format!("M{x1} {y1}C{x1} {over} {x2} {over} {x2} {y2}");
    }
    let (from, to) = if y1 < y2 { (y1 + full, y2) } else { (y1, y2 + full) };
    let middle = from.midpoint(to);
    format!("M{x1} {from}C{x1} {middle} {x2} {middle} {x2} {to}")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_CAPTION) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Crawled;
    use scraper::{Html, Selector};

    #[test]
    fn a_drawing_is_one_page_that_asks_for_nothing_else_and_runs_no_foreign_script() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.svg"), "<svg/>").unwrap();
        let mut graph = Graph::default();
        let title = Some("</title><script>alert(1)</script>{{svg}}".to_owned());
        let links = vec!["/a\"onclick=\"b".to_owned(), "/".to_owned()];
        graph.record_crawl("/", Crawled::Page { title, links, elsewhere: 2 });
        graph.record_picture("/", Rendered { file: "a.svg".to_owned(), kind: PictureKind::Card });
        let drawing =
            Drawing { title: "a <b>", summary: "{{title}}", graph: &graph, start: "/", pictures: folder.path() };
        let html = drawing.html().unwrap();
        let document = Html::parse_document(&html);
        let count = |selector: &str| document.select(&Selector::parse(selector).unwrap()).count();
        assert_eq!((count("script"), count("svg"), count("g.node"), count("path.edge")), (1, 1, 2, 2));
        assert_eq!((count("link"), count("[src]"), count("[onclick]"), count("a")), (0, 0, 0, 0));
        let title = document.select(&Selector::parse("title").unwrap()).next().unwrap().text().collect::<String>();
        assert_eq!((title.as_str(), count("h1"), count("input[type=search]"), count("#fit")), ("a <b>", 1, 1, 1));
        // The panel stands beside the drawing, so that it hides nothing of it.
        assert_eq!(count("main > #drawing > svg, main > #drawing + aside#panel"), 2);
        assert!(!html.contains("position: absolute"));
        assert_eq!(html.matches("href=").count(), html.matches("href=\"data:").count());
        assert_eq!(html.matches("</html>").count(), 1);
    }

    #[test]
    fn a_picture_that_is_gone_is_named() {
        let mut graph = Graph::default();
        graph.record_picture("/", Rendered { file: "gone.png".to_owned(), kind: PictureKind::Screenshot });
        let drawing = Drawing { title: "", summary: "", graph: &graph, start: "/", pictures: Path::new("nowhere") };
        assert!(drawing.html().unwrap_err().to_string().starts_with("nowhere/gone.png: "));
    }
}
