//! Unit tests of the index over placed tasks.

use super::*;

#[test]
fn tag_and_digest_are_not_part_of_the_name() {
    let cases = [
        ("redis", "redis"),
        ("redis:7", "redis"),
        ("hub:5000/db/redis", "hub:5000/db/redis"),
        ("hub:5000/db/redis:7", "hub:5000/db/redis"),
        ("redis@sha256:00ff", "redis"),
        ("redis:7@sha256:00ff", "redis"),
    ];
    for (image, name) in cases {
        assert_eq!(repository(image), name, "{image}");
    }
}

#[test]
fn pop_undoes_push() {
    let (rack, host) = ("rack".parse::<Field>().unwrap(), Field::Hostname);
    let task = |i: usize| {
        let location = Location {
            attributes: format!("rack:r{}", i % 3).parse().unwrap(),
            ..Location::new(format!("h{}", i % 2))
        };
        let mut task = PlacedTask::new(["/a", "/b"][i % 5 / 3], format!("t.{i}"), location);
        task.exclusive = if i % 4 == 3 { vec![rack.clone()] } else { Vec::new() };
        task.is_outdated = i % 7 == 3;
        task
    };
    let mut placed = Placed::new();
    placed.index_field(&rack);
    placed.index_field(&host);
    placed.set_domains("/a", &rack, ["r0", "r1", "r7"].map(Text::from));
    let snapshot = |placed: &Placed| {
        let of_app = |app| (placed.tally(app, &rack).into_owned(), placed.fewest(app, &rack), placed.count(app));
        let on = |host| placed.neighbours(host).map(|task| task.id.clone()).collect::<Vec<_>>();
        let holder = placed.exclusive_holder(&task(0).location, "/a").map(|(_, _, id)| id.clone());
        let first = placed.first_with(&rack, "r2", "/a").map(|task| task.id.clone());
        (of_app("/a"), of_app("/b"), on("h0"), on("h1"), holder, first)
    };
    let mut states = Vec::new();
    for i in 0..20 {
        states.push(snapshot(&placed));
        placed.push(task(i));
    }
    for i in (0..20).rev() {
        assert_eq!(placed.pop(), Some(task(i)));
        assert_eq!(snapshot(&placed), states[i], "{i}");
    }
    assert_eq!(placed.pop(), None);
}

#[test]
fn the_tally_of_an_indexed_field_agrees_with_counting() {
    let (rack, mut plain) = ("rack".parse::<Field>().unwrap(), Placed::new());
    let mut indexed = Placed::new();
    for (i, attributes) in ["rack:r1", "", "rack:r2", "rack:r1"].into_iter().enumerate() {
        if i == 2 {
            indexed.index_field(&rack); // before some tasks, after others
        }
        let location = Location { attributes: attributes.parse().unwrap(), ..Location::new("h") };
        let task = PlacedTask::new("/a", format!("a.{i}"), location);
        plain.push(task.clone());
        indexed.push(task);
    }
    assert_eq!(indexed.tally("/a", &rack), plain.tally("/a", &rack));
    assert_eq!(indexed.tally("/b", &rack), plain.tally("/b", &rack));
    assert_eq!(indexed.tally("/a", &rack).count("r1"), 2);
    assert_eq!(indexed.tally("/a", &rack).excess_over(1), 1);
    for value in ["r1", "r2", "r3"] {
        let id = |placed: &Placed| placed.first_with(&rack, value, "/a").map(|task| task.id.clone());
        assert_eq!(id(&indexed), id(&plain), "{value}");
    }
}
