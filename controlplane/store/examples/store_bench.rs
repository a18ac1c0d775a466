//! What the store costs: operations per second of wall clock and of CPU, as an attach makes them, in groups of a size.
//!
//! ```text
//! store_bench FOLDER [SUBSCRIBERS] [ATTACHES] [STRIDE]      a stride of 1: neighbours attach together
//! ```

use anyhow::{Context, Result};
use coeur_model::{PduSessionId, Secret, Supi};
use coeur_nf::store::StoreOp;
use coeur_store::{NewSubscriber, Store};
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().context("a folder")?;
    let number = |at: usize, or: u64| arguments.get(at).map_or(Ok(or), |it| it.parse());
    let (subscribers, attaches, stride) = (number(1, 100_000)?, number(2, 50_000)?, number(3, 7_919)?);
    let store = Store::open(folder.as_ref()).await?;
    let start = Instant::now();
    let import = store.import_subscribers((0..subscribers).map(subscriber).collect::<Result<_>>()?).await;
    println!("import of {subscribers}: {import:?} in {:?}", start.elapsed());
    for group in [1, 10, 100, 600] {
        let mut writer = store.writer();
        let (cpu, start) = (cpu_time(), Instant::now());
        let count = if group == 1 { attaches / 50 } else { attaches };
        let (mut next, mut waiting, mut replies) = (0, 0, Vec::new());
        while next < count || waiting > 0 {
            while next < count && waiting < group * 6 {
                let operations = attach(next * stride % subscribers)?;
                waiting += operations.len() as u64;
                writer.submit(operations.into_iter().map(|operation| (next, operation)).collect());
                next += 1;
            }
            writer.replies(&mut replies).await;
            waiting -= replies.len() as u64;
            for (_, reply) in replies.drain(..) {
                reply.context("an operation")?;
            }
        }
        let (cpu, wall) = (cpu_time() - cpu, start.elapsed());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        println!(
            "{group} attaches at a time: {:.1} us of CPU and {:.1} us of wall clock an attach; {:.0} operations/s of CPU",
            each(cpu),
            each(wall),
            6.0 * count as f64 / cpu.as_secs_f64()
        );
    }
    store.close().await;
    Ok(())
}

fn supi(number: u64) -> Result<Supi> {
    Ok(Supi::from_imsi(&format!("00101{number:010}"))?)
}

fn subscriber(number: u64) -> Result<NewSubscriber> {
    let profile = r#"{"slices":[{"snssai":"1","default":true,"dnns":[{"dnn":"internet"}]}]}"#;
    Ok(NewSubscriber {
        supi: supi(number)?,
        k: Secret::new([1; 16]),
        opc: Secret::new([2; 16]),
        amf: [0x80, 0],
        sqn: 0,
        profile: serde_json::from_str(profile)?,
    })
}

/// What an attach asks of the store.
fn attach(number: u64) -> Result<Vec<StoreOp>> {
    let (supi, session) = (supi(number)?, PduSessionId::new(1)?);
    let put_session = |octets| StoreOp::PutSession { supi: supi.clone(), session, record: vec![7; octets] };
    Ok(vec![
        StoreOp::ReserveSqn { supi: supi.clone() },
        StoreOp::ReadProfile { supi: supi.clone() },
        StoreOp::ReadProfile { supi: supi.clone() },
        StoreOp::PutUe { supi: supi.clone(), record: vec![5; 400] },
        put_session(300),
        put_session(320),
    ])
}

/// User and system time of the process.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux there is.
    Duration::from_millis(ticks * 10)
}
