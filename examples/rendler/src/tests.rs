//! Whole runs in real time, and what goes wrong in them.

use crate::connected::Connected;
use crate::job::{Kind, PictureKind};
use crate::painter::Painter;
use crate::run::{Run, Signal, start_executor};
use crate::scheduler::{Limits, Rendler};
use crate::site::Site;
use apportion::{Command, Config, ExecutorRef};
use apportion_http::{Server, Settings, SimulatedAgents};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use tempfile::TempDir;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/site");

const PAGES: [(&str, &str); 10] = [
    ("/cluster.json", "file"),
    ("/fairness.html", "page"),
    ("/frameworks/gangs.html", "page"),
    ("/frameworks/index.html", "page"),
    ("/frameworks/marathon.html", "page"),
    ("/frameworks/rendler.html", "page"),
    ("/glossary.html", "page"),
    ("/index.html", "page"),
    ("/offers.html", "page"),
    ("/retired/slots.html", "missing"),
];

const LINKS: [(&str, &str); 30] = [
    ("/fairness.html", "/glossary.html"),
    ("/fairness.html", "/index.html"),
    ("/fairness.html", "/offers.html"),
    ("/frameworks/gangs.html", "/fairness.html"),
    ("/frameworks/gangs.html", "/frameworks/index.html"),
    ("/frameworks/gangs.html", "/index.html"),
    ("/frameworks/index.html", "/frameworks/gangs.html"),
    ("/frameworks/index.html", "/frameworks/marathon.html"),
    ("/frameworks/index.html", "/frameworks/rendler.html"),
    ("/frameworks/index.html", "/index.html"),
    ("/frameworks/marathon.html", "/frameworks/index.html"),
    ("/frameworks/marathon.html", "/index.html"),
    ("/frameworks/marathon.html", "/offers.html"),
    ("/frameworks/rendler.html", "/frameworks/index.html"),
    ("/frameworks/rendler.html", "/frameworks/rendler.html"),
    ("/frameworks/rendler.html", "/index.html"),
    ("/glossary.html", "/cluster.json"),
    ("/glossary.html", "/fairness.html"),
    ("/glossary.html", "/index.html"),
    ("/glossary.html", "/offers.html"),
    ("/glossary.html", "/retired/slots.html"),
    ("/index.html", "/fairness.html"),
    ("/index.html", "/frameworks/index.html"),
    ("/index.html", "/glossary.html"),
    ("/index.html", "/index.html"),
    ("/index.html", "/offers.html"),
    ("/offers.html", "/fairness.html"),
    ("/offers.html", "/frameworks/index.html"),
    ("/offers.html", "/glossary.html"),
    ("/offers.html", "/index.html"),
];

const LIMITS: Limits = Limits { pages: 100, renders: 100, retries: 3 };

/// A crawl with text cards on two agents, and its sender of signals.
struct Crawl {
    run: Run,
    sender: Sender<Signal>,
    folder: TempDir,
}

impl Crawl {
    fn of(site: &str, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let painter = Painter::new(Arc::new(Site::open(site).unwrap()), folder.path().to_owned(), None);
        let (sender, signals) = mpsc::channel();
        let run = Run::start(painter, 2, limits, (sender.clone(), signals)).unwrap();
        Self { run, sender, folder }
    }

    fn finish(mut self) -> Self {
        while self.run.step() {}
        self
    }

    /// Runs until an executor of that kind has tasks, and returns its id.
    fn until_busy(&mut self, kind: Kind) -> ExecutorRef {
        loop {
            // Launches happen only here, and results are applied only below, so no moment with tasks is missed.
            self.run.catch_up();
            assert!(!self.run.rendler().is_done(), "it was over before such an executor had a task");
            let cluster = self.run.cluster();
            let mut busy = cluster.executors().filter(|id| cluster.tasks_of(id).count() > 0);
            let found = busy.find(|id| id.executor.as_str() == kind.executor()).cloned();
            drop(busy);
            if let Some(id) = found {
                return id;
            }
            self.run.wait();
        }
    }

    /// Returns the state of each page.
    fn pages(&self) -> Vec<(&str, &str)> {
        self.run.rendler().graph().nodes().iter().map(|(page, node)| (page.as_str(), node.class())).collect()
    }

    fn links(&self) -> Vec<(&str, &str)> {
        self.run.rendler().graph().edges().iter().map(|(from, to)| (from.as_str(), to.as_str())).collect()
    }

    fn assert_shipped(&self) {
        assert_eq!(self.pages(), PAGES);
        assert_eq!(self.links(), LINKS);
        let nodes = self.run.rendler().graph().nodes();
        for (page, node) in nodes {
            let is_page = node.class() == "page";
            assert_eq!(
                node.picture.as_ref().map(|picture| picture.kind),
                is_page.then_some(PictureKind::Card),
                "{page}"
            );
            if let Some(picture) = &node.picture {
                let card = std::fs::read_to_string(self.folder.path().join(&picture.file)).unwrap();
                assert!(card.contains("<svg") && card.contains(&node.caption()), "{card}");
            }
        }
        assert_eq!(nodes.values().map(|node| node.elsewhere).sum::<usize>(), 1);
    }
}

/// Serves pages on this machine until the test ends. `answer` returns the response to a path; with none, the connection is
/// closed.
fn serve(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let reply = move |mut stream: TcpStream| {
        let mut request = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = lines.next().filter(|line| line.as_ref().is_ok_and(|line| !line.is_empty())) {
            request.push_str(&line);
            request.push('\n');
        }
        if let Some(text) = request.split(' ').nth(1).and_then(|path| answer(path)) {
            let _ = stream.write_all(text.as_bytes());
        }
    };
    let reply = Arc::new(reply);
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let reply = Arc::clone(&reply);
                std::thread::Builder::new().spawn(move || reply(stream)).unwrap();
            }
        })
        .unwrap();
    site
}

fn http(status: &str, fields: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n{body}"))
}

fn html(body: &str) -> Option<String> {
    http("200 OK", "content-type: text/html; charset=utf-8\r\n", body)
}

#[test]
fn the_shipped_site_is_this_graph() {
    let crawl = Crawl::of(SHIPPED, LIMITS).finish();
    crawl.assert_shipped();
    let rendler = crawl.run.rendler();
    assert_eq!((rendler.crawls(), rendler.renders(), rendler.retried()), ((10, 10), (8, 8), 0));
    assert!(rendler.notes().is_empty(), "{:?}", rendler.notes());
}

/// The same scheduler over HTTP, on agents that have its executors.
#[test]
fn the_shipped_site_is_the_same_graph_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let site = Arc::new(Site::open(SHIPPED).unwrap());
    let painter = Arc::new(Painter::new(Arc::clone(&site), folder.path().to_owned(), None));
    let rendler = Rendler::new(site.start(), LIMITS);
    let (sender, signals) = mpsc::channel();
    let agents =
        SimulatedAgents::new(1).with_executors(move |id, info| start_executor(&site, &painter, &sender, id, info));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, listener) = runtime.block_on(async {
        let settings = Settings::default().config(Config::new().allocation_interval(Duration::from_millis(50)));
        let server = Server::start(settings, agents);
        for number in 0..2 {
            let agent = SimulatedAgents::agent(number, &"cpus:2;mem:1024".parse().unwrap());
            server.command(Command::AddAgent(agent.into())).await.unwrap();
        }
        (server, tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap())
    });
    let masters = listener.local_addr().unwrap().to_string().parse().unwrap();
    runtime.spawn(server.serve(listener));
    let mut connected = Connected::start(masters, rendler, signals).unwrap();
    while connected.step().unwrap() {}
    let rendler = connected.rendler();
    let pages: Vec<_> = rendler.graph().nodes().iter().map(|(page, node)| (page.as_str(), node.class())).collect();
    assert_eq!(pages, PAGES);
    let links: Vec<_> = rendler.graph().edges().iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    assert_eq!(links, LINKS);
    assert_eq!((rendler.crawls(), rendler.renders(), rendler.retried()), ((10, 10), (8, 8), 0));
    assert!(rendler.notes().is_empty(), "{:?}", rendler.notes());
    let left = runtime.block_on(server.query(|master| master.state().frameworks.len())).unwrap();
    assert_eq!(left, 0, "it was removed");
}

#[test]
fn an_executor_dies_in_mid_crawl_and_its_tasks_are_tried_again() {
    let mut crawl = Crawl::of(SHIPPED, LIMITS);
    for kind in [Kind::Crawl, Kind::Crawl, Kind::Render] {
        let id = crawl.until_busy(kind);
        crawl.run.cluster().end_executor(&id, 9).unwrap();
    }
    let crawl = crawl.finish();
    crawl.assert_shipped();
    let rendler = crawl.run.rendler();
    assert!(rendler.retried() >= 3, "{}", rendler.retried());
    assert_eq!(rendler.notes().iter().filter(|note| note.ends_with("ended with status 9")).count(), 3);
}

#[test]
fn an_agent_is_lost_in_mid_crawl() {
    let mut crawl = Crawl::of(SHIPPED, LIMITS);
    let id = crawl.until_busy(Kind::Crawl);
    crawl.run.cluster().remove_agent(&id.agent).unwrap();
    let crawl = crawl.finish();
    crawl.assert_shipped();
    assert_eq!(crawl.run.rendler().notes(), [format!("{} was lost", id.agent)]);
}

#[test]
fn an_executor_that_always_dies_is_given_up_in_the_end() {
    let mut crawl = Crawl::of(SHIPPED, Limits { retries: 2, ..LIMITS });
    for _ in 0..3 {
        let id = crawl.until_busy(Kind::Crawl);
        crawl.run.cluster().end_executor(&id, 9).unwrap();
    }
    let crawl = crawl.finish();
    assert_eq!(crawl.pages(), [("/index.html", "failed")]);
    assert_eq!(crawl.run.rendler().retried(), 2);
}

#[test]
fn a_server_stumbles_moves_pages_and_misses_some() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let asked = AtomicU32::new(0);
    let site = serve(move |path| match path {
        "/" => html("<title>Home</title><a href=/shaky>a</a><a href=gone?x=1>b</a><a href=old>c</a><a href=away>d</a>"),
        "/shaky" => match asked.fetch_add(1, Ordering::Relaxed) {
            0 => http("503 Service Unavailable", "", "later"),
            1 => None,
            _ => html("<a href='/data.bin'>data</a><a href='http://localhost:1/'>another server</a>"),
        },
        "/data.bin" => http("200 OK", "content-type: application/octet-stream\r\n", "\u{1}\u{2}"),
        "/old" => http("301 Moved Permanently", "location: /shaky#here\r\n", ""),
        "/away" => http("302 Found", "location: http://example.org/\r\n", ""),
        "/gone?x=1" => http("410 Gone", "", "no"),
        other => http("500 Internal Server Error", "", other),
    });
    let crawl = Crawl::of(&site, LIMITS).finish();
    let (pages, links) = (crawl.pages(), crawl.links());
    let page = ("/", "page");
    let expected = [
        page,
        ("/away", "moved"),
        ("/data.bin", "file"),
        ("/gone?x=1", "missing"),
        ("/old", "moved"),
        ("/shaky", "page"),
    ];
    assert_eq!(pages, expected);
    let from_start = ["/away", "/gone?x=1", "/old", "/shaky"].map(|to| ("/", to));
    assert_eq!(links, [&from_start[..], &[("/old", "/shaky"), ("/shaky", "/data.bin")]].concat());
    let rendler = crawl.run.rendler();
    assert_eq!(rendler.graph().nodes()["/gone?x=1"].caption(), "missing: 410 Gone");
    assert_eq!(rendler.retried(), 2);
}

#[test]
fn limits_hold() {
    let crawl = Crawl::of(SHIPPED, Limits { pages: 4, renders: 2, retries: 0 }).finish();
    assert_eq!(crawl.pages().iter().filter(|(_, class)| *class == "page").count(), 4);
    let rendler = crawl.run.rendler();
    assert_eq!((rendler.crawls(), rendler.renders()), ((4, 4), (2, 2)));
    let pictures = rendler.graph().nodes().values().filter(|node| node.picture.is_some());
    assert_eq!(pictures.count(), 2);
}

#[test]
fn a_stop_ends_what_runs_and_starts_nothing_more() {
    // The server answers only for the first page: without the stop the crawl would run into timeouts.
    let site = serve(|path| match path {
        "/" => html("<a href=1>1</a><a href=2>2</a><a href=3>3</a>"),
        _ => loop {
            std::thread::park();
        },
    });
    let mut crawl = Crawl::of(&site, LIMITS);
    while crawl.run.rendler().graph().nodes().len() < 4 {
        assert!(crawl.run.step());
    }
    crawl.until_busy(Kind::Crawl);
    crawl.sender.send(Signal::Stop).unwrap();
    let mut crawl = crawl.finish();
    let expected = [("/", "page"), ("/1", "seen"), ("/2", "seen"), ("/3", "seen")];
    assert_eq!(crawl.pages(), expected);
    let cluster = crawl.run.cluster();
    assert!(cluster.executors().all(|id| cluster.tasks_of(id).count() == 0));
}
