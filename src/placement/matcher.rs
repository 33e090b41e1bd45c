//! The matcher: finds an offer for each pending task, or says why there is none.

mod choice;
mod class;
mod desk;
mod group;
mod miss;
mod ports;
mod score;
mod search;
mod serve;
mod skew;
mod state;
mod table;
mod term;
mod volumes;

pub(super) mod round;
