//! A master that does not lead: it redirects clients to the one that does, as a standby in a group of masters.
//!
//! ```sh
//! cargo run -p apportion-http --example standby -- 127.0.0.1:5050
//! ```
//!
//! [`Server::set_leadership`] tells a server which master leads; it does not find that out itself.

#![expect(clippy::print_stdout, reason = "an example tells where to connect")]

use apportion_http::{Leadership, NoAgents, Server, Settings};
use std::error::Error;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let leader = std::env::args().nth(1).ok_or("usage: standby LEADER_HOST:PORT")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Server::start(Settings::default().port(listener.local_addr()?.port()), NoAgents);
        println!("The standby at http://{}, redirects to {leader}", listener.local_addr()?);
        server.set_leadership(Leadership::Standby(Some(leader)));
        server.serve(listener).await;
        Ok(())
    })
}
