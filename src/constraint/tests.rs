//! Conditions on locations and tasks: the operators of Marathon, and the others.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn location(attributes: &str) -> Location {
    Location { attributes: attributes.parse().unwrap(), ..Location::new("h1") }
}

fn rule(text: &str) -> Condition {
    text.parse().unwrap()
}

/// Tasks of `/a`, one for each of the attributes.
fn placed(tasks: &[&str]) -> Placed {
    let mut placed = Placed::new();
    for (i, attributes) in tasks.iter().enumerate() {
        placed.push(PlacedTask::new("/a", format!("a.{}", i + 1), location(attributes)));
    }
    placed
}

fn check(text: &str, tasks: &[&str], attributes: &str, instances: u64) -> Verdict {
    let location = location(attributes);
    rule(text).check(&Candidate::new("/a", &location).instances(instances), &placed(tasks))
}

#[test]
fn values_are_compared_as_marathon_prints_them() {
    let cases = [
        ("n:1.0", "1"),
        ("n:1.0005", "1"),
        ("n:1.00051", "1.001"),
        ("n:1.1005", "1.101"),
        ("n:0.5", "0.5"),
        ("n:1e3", "1000"),
        ("n:[8-9,6-7]", "[6-9]"),
        ("n:[3-4,1-1]", "[1-1,3-4]"),
        ("n:{b,a}", "{a,b}"),
        ("n:x y", "x y"),
    ];
    for (attributes, text) in cases {
        assert_eq!(location(attributes).value(&Field::Attribute("n".into())).as_deref(), Some(text), "{attributes}");
    }
}

#[test]
fn value_operators() {
    let cases = [
        ("rack IS r1", "rack:r1", true),
        ("rack IS r", "rack:r1", false),
        ("n IS 1.0", "n:1", true),
        ("n IS 1.00049", "n:1", true),
        ("rack LIKE r", "rack:r1", false),
        ("rack LIKE r.", "rack:r1", true),
        ("rack LIKE a|r1", "rack:r1", true),
        (r"jdk LIKE \[6-7\]", "jdk:[6-7]", true),
        ("rack UNLIKE r", "rack:r1", true),
        ("rack UNLIKE r.", "rack:r1", false),
        ("rack CLUSTER r1", "rack:r1", true),
        ("rack CLUSTER r2", "rack:r1", false),
        ("n CLUSTER 1.0", "n:1.0", false), // the value prints as 1, and CLUSTER compares literally
        ("rack IS_NOT r1", "rack:r1", false),
        ("rack IN r1,r2", "rack:r2", true),
        ("rack IN r1,r2", "rack:r3", false),
        ("rack NOT_IN r1,r2", "rack:r3", true),
        ("tags HAS a", "tags:{a,b}", true),
        ("tags HAS a,b", "tags:a, b,c", true),
        ("tags HAS a,z", "tags:{a,b}", false),
        ("jdk HAS 7", "jdk:[6-7,9-9]", true),
        ("jdk HAS 7,9", "jdk:[6-7,9-9]", true),
        ("jdk HAS 8", "jdk:[6-7,9-9]", false),
        ("n HAS 3", "n:3", true),
        ("tags LACKS a,z", "tags:{a,b}", true),
        ("rack EXISTS", "rack:r1", true),
        ("rack ABSENT", "rack:r1", false),
        ("n GT 4", "n:4.0001", true),
        ("n GT 4", "n:4", false),
        ("n GE 4.0", "n:4", true),
        ("n LT -1", "n:-1.5", true),
        ("n LE 4", "n:5", false),
        ("n LT 4", "n:few", false),
        ("n LT 4", "n:[1-2]", false),
    ];
    for (text, attributes, holds) in cases {
        assert_eq!(check(text, &[], attributes, 1).is_accept(), holds, "{text} of {attributes}");
    }
}

#[test]
fn without_the_field_only_negations_hold() {
    let negations = ["UNLIKE .*", "IS_NOT x", "NOT_IN x", "LACKS x", "ABSENT"];
    let others = ["UNIQUE", "CLUSTER", "CLUSTER x", "GROUP_BY", "GROUP_BY 2", "MAX_PER 2", "LIKE .*", "IS x", "IN x"];
    for operator in negations {
        assert_eq!(check(&format!("rack {operator}"), &[], "os:x", 1), Verdict::Accept, "{operator}");
    }
    for operator in others.into_iter().chain(["HAS x", "EXISTS", "GT 1", "LE 1", "MAX_SKEW 1", "EXCLUSIVE"]) {
        let verdict = check(&format!("rack {operator}"), &[], "os:x", 1);
        let is_absent = |field: &Field| *field == Field::Attribute("rack".into());
        assert!(
            matches!(&verdict, Verdict::Reject(RejectReason::Absent { field, .. }) if is_absent(field)),
            "{operator}"
        );
    }
}

#[test]
fn counting_operators() {
    let (r1, r2, r3, none) = ("rack:r1", "rack:r2", "rack:r3", "os:x");
    let cases: &[(&str, &[&str], &str, u64, bool)] = &[
        ("rack UNIQUE", &[r2, none], r1, 4, true),
        ("rack UNIQUE", &[r2, r1], r1, 4, false),
        ("rack MAX_PER 2", &[r1], r1, 4, true),
        ("rack MAX_PER 2", &[r1, r1], r1, 4, false),
        ("rack MAX_PER 0", &[], r1, 4, false),
        ("rack CLUSTER", &[], r1, 4, true),
        ("rack CLUSTER", &[r1, r2], r1, 4, true),
        ("rack CLUSTER", &[r2, r1], r1, 4, false),
        ("rack CLUSTER", &[none, r1], r1, 4, false),
        // five in two groups: two each, and one more in either
        ("rack GROUP_BY 2", &[], r1, 5, true),
        ("rack GROUP_BY 2", &[r1, r1], r1, 5, true),
        ("rack GROUP_BY 2", &[r1, r1, r1], r1, 5, false),
        ("rack GROUP_BY 2", &[r1, r1, r1, r2, r2], r2, 6, true),
        ("rack GROUP_BY 2", &[r1, r1, r1, r2, r2], r2, 5, false),
        ("rack GROUP_BY 2", &[r1, r2], r3, 6, false),
        ("rack GROUP_BY 2", &[r1, none], r2, 6, false), // tasks without a value are a group too
        ("rack GROUP_BY 9", &[r1], r1, 3, false),
        ("rack GROUP_BY", &[r1, r1], r2, 9, true),
        ("rack GROUP_BY", &[r1, r1, r2], r2, 9, true),
        ("rack GROUP_BY", &[r1, r1, r2], r1, 9, false),
        ("rack GROUP_BY", &[r1, r2], r1, 9, true),
        ("rack MAX_SKEW 1", &[r1, r1, r2], r1, 9, false),
        ("rack MAX_SKEW 2", &[r1, r1, r2], r1, 9, true),
        ("rack MAX_SKEW 1", &[r1, r1, r1], r1, 9, true), // there is no other domain
        ("rack MAX_SKEW 1", &[r1, none], r1, 9, true),
        ("rack EXCLUSIVE", &[r1], r2, 9, true),
        ("rack EXCLUSIVE", &[r1], r1, 9, false),
    ];
    for (text, tasks, attributes, instances, holds) in cases {
        let verdict = check(text, tasks, attributes, *instances);
        assert_eq!(verdict.is_accept(), *holds, "{text} of {attributes} beside {tasks:?}: {verdict:?}");
    }
}

#[test]
fn tasks_of_other_apps_only_count_for_exclusive() {
    let (location, placed) = (location("rack:r1"), placed(&["rack:r1"]));
    let other = Candidate::new("/b", &location);
    for (text, holds) in [("rack UNIQUE", true), ("rack MAX_PER 1", true), ("rack EXCLUSIVE", false)] {
        assert_eq!(rule(text).check(&other, &placed).is_accept(), holds, "{text}");
    }
}

#[test]
fn a_domain_without_tasks_counts_for_the_skew() {
    let (location, mut placed) = (location("zone:z1"), placed(&["zone:z1"]));
    let (candidate, skew) = (Candidate::new("/a", &location), rule("zone MAX_SKEW 1"));
    assert!(skew.check(&candidate, &placed).is_accept());
    placed.set_domains("/a", &skew.field, ["z1".into(), "z2".into()]);
    let why = RejectReason::Uneven {
        field: skew.field.clone(),
        value: "z1".into(),
        count: 1,
        fewest: 0,
        behind: Some("z2".into()),
    };
    assert_eq!(skew.check(&candidate, &placed), Verdict::Reject(why));
}

#[test]
fn fields_of_tasks_have_the_values_of_all_tasks_on_the_host() {
    let mut placed = Placed::new();
    for (app, id, image) in [("/web", "web.1", "hub:5000/nginx:1.9"), ("/db", "db.1", "redis")] {
        let mut task = PlacedTask::new(app, id, Location::new("h1"));
        task.image = Some(image.into());
        task.labels = Arc::new([("tier".into(), app[1..].into())].into());
        placed.push(task);
    }
    placed.push(PlacedTask::new("/far", "far.1", Location::new("h2")));
    let location = Location::new("h1");
    let cases = [
        ("@app IS /web", true),
        ("@app IS /far", false),
        ("@app IS_NOT /web", false),
        ("@app IS_NOT /far", true),
        ("@task LIKE db.*", true),
        ("@task UNLIKE db.*", false),
        ("@image IS hub:5000/nginx:1.9", true),
        ("@image IS hub:5000/nginx", true),
        ("@image IS nginx", false),
        ("@image IN mysql,redis", true),
        ("@label.tier IS web", true),
        ("@label.tier LACKS web", false),
        ("@label.zone EXISTS", false),
        ("@label.zone ABSENT", true),
    ];
    for (text, holds) in cases {
        assert_eq!(rule(text).check(&Candidate::new("/x", &location), &placed).is_accept(), holds, "{text}");
    }
}

#[test]
fn clauses_reject_with_the_reasons_of_their_parts() {
    let clause = |text: &str| Clause::from(rule(text));
    let (a, b, none) = (clause("rack IS r1"), clause("os IS linux"), clause("x EXISTS"));
    let location = location("rack:r1;os:bsd");
    let check = |clause: &Clause| clause.check(&Candidate::new("/a", &location), &Placed::new());
    let accepted = [
        Clause::Any(vec![b.clone(), a.clone()]),
        Clause::All(vec![a.clone(), Clause::Not(Box::new(b.clone()))]),
        Clause::Not(Box::new(Clause::All(vec![a.clone(), b.clone()]))),
    ];
    for clause in &accepted {
        assert_eq!(check(clause), Verdict::Accept, "{clause}");
    }
    let refused = [
        (Clause::Any(vec![b.clone(), none.clone()]), "os is bsd, and there is no x", false),
        (Clause::All(vec![none.clone(), a.clone(), b]), "there is no x; os is bsd", false),
        (Clause::Any(vec![none.clone(), Clause::All(vec![none])]), "there is no x, and there is no x", true),
        (Clause::Not(Box::new(a)), "it holds", false),
    ];
    for (clause, why, absence) in refused {
        let Verdict::Reject(reason) = check(&clause) else { panic!("{clause} holds") };
        assert_eq!((reason.to_string().as_str(), reason.is_absence()), (why, absence), "{clause}");
    }
}

#[test]
fn invalid_conditions_are_errors_when_parsed() {
    let cases = [
        ("rack", "is not a condition: expected FIELD OPERATOR"),
        ("rack UNIQE", "\"UNIQE\" is not an operator: expected one of UNIQUE, CLUSTER"),
        ("rack unique", "\"unique\" is not an operator"),
        ("rack UNIQUE x", "UNIQUE \"x\": expected no value"),
        ("rack LIKE", "LIKE without a value: expected a regular expression"),
        ("rack LIKE rack-[1", "\"rack-[1\" is not a regular expression: unclosed character class"),
        ("rack LIKE a)(b", "\"a)(b\" is not a regular expression: unopened group"),
        (r"rack LIKE (\w{1000}){1000}", "is not a regular expression"),
        ("rack MAX_PER", "MAX_PER without a value: expected a whole number"),
        ("rack MAX_PER -1", "MAX_PER \"-1\": expected a whole number"),
        ("rack GROUP_BY 0", "GROUP_BY \"0\": expected a whole number above 0"),
        ("rack MAX_SKEW 0", "MAX_SKEW \"0\": expected a whole number above 0"),
        ("gpu IS {0,1}", "IS \"{0,1}\": expected a text or a number, no ranges and no set"),
        ("rack IS", "IS without a value"),
        ("rack GT many", "GT \"many\": expected a number"),
        ("rack IN", "IN without a value: expected a list"),
        ("@host IS x", "\"@host\" is not a field"),
        ("@app UNIQUE", "UNIQUE does not go with @app"),
    ];
    for (text, message) in cases {
        let error = text.parse::<Condition>().unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn marathon_has_seven_operators_and_no_fields_of_tasks() {
    let text = |text: &str| Some(Operand::Text(text.into()));
    assert_eq!(Condition::marathon("@hostname", "UNIQUE", None).unwrap(), rule("hostname UNIQUE"));
    assert_eq!(Condition::marathon("rack", "MAX_PER", Some(Operand::Number(2.0))).unwrap(), rule("rack MAX_PER 2"));
    assert!(Condition::marathon("rack", "IN", text("a")).unwrap_err().to_string().ends_with("MAX_PER, IS"));
    assert!(Condition::marathon("@app", "IS", text("a")).is_err());
    assert_eq!(Condition::marathon("rack", "GROUP_BY", text("")).unwrap(), rule("rack GROUP_BY"));
    assert!(Condition::marathon("rack", "MAX_PER", text("")).is_err());
}

#[test]
fn a_pattern_may_end_in_a_comment() {
    let pattern = Pattern::new("(?x) r \\d # any rack").unwrap();
    assert_eq!(pattern.as_str(), "(?x) r \\d # any rack");
    assert!(pattern.matches("r1") && !pattern.matches("r11"));
}

proptest! {
    #[test]
    fn conditions_are_read_as_they_print(text in "[a-z@.]{1,9} (UNIQUE|CLUSTER r1|GROUP_BY 3|MAX_PER 7|LIKE a+|IS [0-9a-z.]{1,5}|IN a,b|GT 1.5)") {
        if let Ok(condition) = text.parse::<Condition>() {
            prop_assert_eq!(condition.to_string().parse::<Condition>(), Ok(condition));
        }
    }

    /// There are at most three groups, and none exceeds its part.
    #[test]
    fn group_by_divides_evenly(order in prop::collection::vec(0_usize..4, 0..60), instances in 0_u64..12) {
        let (rule, mut placed, mut count) = (rule("rack GROUP_BY 3"), Placed::new(), 0_u64);
        for pick in order {
            let location = location(&format!("rack:r{pick}"));
            let candidate = Candidate::new("/a", &location).instances(instances);
            if count < instances && rule.check(&candidate, &placed).is_accept() {
                placed.push(PlacedTask::new("/a", format!("a.{count}"), location));
                count += 1;
            }
        }
        let tally = placed.tally("/a", &rule.field).into_owned();
        prop_assert!(tally.iter().count() <= 3);
        prop_assert!(tally.iter().all(|(_, count)| count <= instances.div_ceil(3)));
    }
}
