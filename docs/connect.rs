use apportion::v1::connection::{Answer, Connection, HttpRequest, RequestId, SchedulerDriver, Step, StopReason};
use apportion::{Calls, Framework, Offer, Role, Scheduler, Time};
use std::io::Read;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Sends a request, and passes on what comes back, as it comes.
fn carry(client: &ureq::Agent, request: &HttpRequest, answers: &Sender<(RequestId, Answer)>) {
    let post = request.headers.iter().fold(client.post(&request.url), |post, (name, value)| post.header(name, value));
    let tell = |answer| drop(answers.send((request.id, answer)));
    let mut response = match post.send(&request.body[..]) {
        Ok(response) => response,
        Err(error) => return tell(Answer::failed(error)),
    };
    tell(Answer::head(response.status().as_u16(), response.headers()));
    let (mut body, mut buffer) = (response.body_mut().as_reader(), [0; 16 * 1024]);
    let mut is_over = false;
    while !is_over {
        let piece = Answer::piece(body.read(&mut buffer), &buffer);
        is_over = piece.is_last();
        tell(piece);
    }
}

/// Runs a scheduler over a connection, to its end.
pub fn run(mut driver: SchedulerDriver<impl Scheduler>, client: &ureq::Agent) -> StopReason {
    let ((sender, answers), start) = (channel(), Instant::now());
    let clock = || Time::ZERO + start.elapsed();
    loop {
        match driver.next(clock()) {
            Step::Request(request) => {
                let (client, sender) = (client.clone(), sender.clone());
                std::thread::spawn(move || carry(&client, &request, &sender));
            }
            Step::Log(what) => eprintln!("{what:?}"), // an event that cannot be read, a lost connection, a dropped call
            Step::Wait(longest) => {
                answers.recv_timeout(longest).into_iter().for_each(|(id, answer)| driver.handle(clock(), id, answer));
            }
            Step::Stop(reason) => return reason,
        }
    }
}

/// Returns a client that leaves everything to the connection.
pub fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false) // any status is for the connection to see, redirects too
        .max_redirects(0)
        .timeout_per_read(Some(Duration::from_secs(90))) // a thread ends with a stream that is silent
        .build()
        .new_agent()
}

/// Declines all that it is offered.
struct Decliner;

impl Scheduler for Decliner {
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        calls.decline_all(&offers, Duration::from_secs(60));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let framework = Framework::new("").role(Role::new("web")?);
    let connection = Connection::new(["m1:5050", "m2:5050"], framework, 7)?;
    let reason = run(SchedulerDriver::new(connection, Decliner), &client());
    println!("{reason:?}");
    Ok(())
}
