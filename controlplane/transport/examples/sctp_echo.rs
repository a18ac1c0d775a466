//! Echo over SCTP, to try one implementation against another, on two machines or in a guest.
//!
//! ```text
//! sctp_echo server auto|kernel|usrsctp ADDRESS:PORT [CLIENTS]      ends after that many associations have ended
//! sctp_echo client auto|kernel|usrsctp LOCAL:PORT REMOTE:PORT      sends, checks the echoes, aborts, comes back
//! ```

use anyhow::{Context, Result, bail, ensure};
use coeur_transport::sctp::{DownReason, Endpoint, SctpChoice, SctpEvent, SctpSettings};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", choice, local] => server(choice_of(choice)?, local.parse()?, usize::MAX).await,
        ["server", choice, local, clients] => server(choice_of(choice)?, local.parse()?, clients.parse()?).await,
        ["client", choice, local, remote] => client(choice_of(choice)?, local.parse()?, remote.parse()?).await,
        _ => bail!("see the head of the source for the arguments"),
    }
}

fn choice_of(text: &str) -> Result<SctpChoice> {
    Ok(match text {
        "auto" => SctpChoice::Auto,
        "kernel" => SctpChoice::Kernel,
        "usrsctp" => SctpChoice::Usrsctp,
        other => bail!("{other}: expected auto, kernel or usrsctp"),
    })
}

async fn server(choice: SctpChoice, local: SocketAddr, clients: usize) -> Result<()> {
    let mut endpoint = Endpoint::new(choice, SctpSettings::default())?;
    let local = endpoint.listen(local)?;
    println!("{} listens at {local}", endpoint.implementation().name());
    let (mut events, mut ended) = (Vec::new(), 0);
    while ended < clients {
        endpoint.next_events(&mut events).await;
        for event in events.drain(..) {
            match event {
                SctpEvent::Message { association, stream, ppid, octets } => {
                    endpoint.send_as(association, stream, ppid, &octets).context("echo")?;
                }
                SctpEvent::Down { .. } => {
                    println!("{event:?}");
                    ended += 1;
                }
                SctpEvent::Up { .. } => println!("{event:?}"),
            }
        }
    }
    println!("{:?}", endpoint.counters());
    Ok(())
}

async fn client(choice: SctpChoice, local: SocketAddr, remote: SocketAddr) -> Result<()> {
    for round in 0..3 {
        let mut endpoint = Endpoint::new(choice, SctpSettings::default())?;
        let association = endpoint.connect(Some(local), remote)?;
        let up = next(&mut endpoint).await?;
        ensure!(matches!(up, SctpEvent::Up { .. }), "{up:?}");
        println!("{} round {round}: {up:?}", endpoint.implementation().name());
        for length in [1, 77, 1_400, 4_096, 20_000, 65_000] {
            let octets: Vec<u8> = (0..length).map(|i| ((i * 13) >> 2) as u8).collect();
            endpoint.send(association, 1, &octets)?;
            let echo = next(&mut endpoint).await?;
            let same = matches!(&echo, SctpEvent::Message { stream: 1, ppid: 60, octets: it, .. } if *it == octets);
            ensure!(same, "{length} octets came back otherwise");
        }
        let (start, count) = (Instant::now(), 2_000);
        for _ in 0..count {
            endpoint.send(association, 2, &[5; 100])?;
            next(&mut endpoint).await?;
        }
        println!("{:?} a round trip", start.elapsed() / count);
        // Longer than two heartbeats.
        if round == 0 {
            let quiet = tokio::time::timeout(Duration::from_secs(11), next(&mut endpoint)).await;
            ensure!(quiet.is_err(), "{quiet:?}");
        }
        // Round 0 and 2 end in order, round 1 by ABORT.
        if round == 1 {
            endpoint.abort(association);
        } else {
            endpoint.close(association);
        }
        let down = next(&mut endpoint).await?;
        ensure!(matches!(down, SctpEvent::Down { reason: DownReason::Local, .. }), "{down:?}");
        endpoint.flush();
        println!("{:?}", endpoint.counters());
    }
    println!("all rounds done");
    Ok(())
}

async fn next(endpoint: &mut Endpoint) -> Result<SctpEvent> {
    let mut events = Vec::new();
    tokio::time::timeout(PATIENCE, endpoint.next_events(&mut events)).await.context("nothing came")?;
    ensure!(events.len() == 1, "{events:?}");
    events.pop().context("an event")
}
