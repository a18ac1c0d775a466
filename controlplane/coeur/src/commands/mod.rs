//! The commands. Each reads its arguments, asks, and prints.

mod daemons;
mod events;
mod gnb;
mod local;
mod session;
mod status;
mod subscriber;
mod ue;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::failure::Failure;
use std::time::Instant;

pub(crate) async fn run(cli: Cli, started: Instant) -> Result<(), Failure> {
    let Cli { command, global } = cli;
    match command {
        Command::Up(arguments) => daemons::up(&global, arguments, started).await,
        Command::Core(arguments) => daemons::core(&global, arguments).await,
        Command::Nic(command) => local::nic(&global, command),
        Command::Config(command) => local::config(&global, &command),
        Command::Status => status::run(&Client::new(&global)?, &global).await,
        Command::Subscriber(command) => subscriber::run(&Client::new(&global)?, &global, command).await,
        Command::Ue(command) => ue::run(&Client::new(&global)?, &global, command).await,
        Command::Session(command) => session::run(&Client::new(&global)?, &global, command).await,
        Command::Gnb(command) => gnb::run(&Client::new(&global)?, &global, command).await,
        Command::Events(arguments) => events::run(&Client::new(&global)?, &global, &arguments).await,
    }
}
