//! No number loses a digit on its way through a snapshot, whatever format it is stored in.

use apportion::{Accept, Agent, Call, Command, Config, Effect, Framework, Json, Master, Role, Snapshot, Task, Time};

#[test]
fn what_a_double_cannot_hold_comes_back_from_a_snapshot() {
    let mut master = Master::new(Config::default());
    // Beyond 2^43 a double does not tell thousandths apart; what has no text form is written as JSON.
    let total = r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": 8999999999982.009}, "revocable": {}},
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}}, {"name": "mem", "type": "SCALAR", "scalar": {"value": 64.0}}]"#;
    let total = serde_json::from_str(total).unwrap();
    master.handle(Time::ZERO, Command::AddAgent(Agent::new("a1", total).into())).unwrap();
    master.handle(Time::ZERO, Command::AddFramework(Framework::new("f1").role(Role::default()))).unwrap();
    let task = Task::new("t1", "cpus:1".parse().unwrap())
        .detail("labels", Json::parse("[1.50, 12345678901234567.25]").unwrap());
    let offer = std::iter::from_fn(|| master.poll_effect())
        .find_map(|emitted| if let Effect::Offer(offer) = emitted.effect { Some(offer) } else { None });
    let accept = Accept::of(&offer.unwrap()).launch(task);
    master.handle(Time::ZERO, Command::Call("f1".into(), Call::Accept(accept))).unwrap();

    let stored = serde_json::to_string(&master.snapshot()).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&stored).unwrap();
    let mut restored = Master::restore(snapshot).unwrap();
    assert_eq!(serde_json::to_string(&restored.snapshot()).unwrap(), stored);
    let effects = |master: &mut Master| -> Vec<String> {
        std::iter::from_fn(|| master.poll_effect()).map(|emitted| apportion::journal::effect_line(&emitted)).collect()
    };
    assert_eq!(effects(&mut restored), effects(&mut master));
    assert_eq!(restored.state(), master.state());
}
