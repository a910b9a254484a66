//! `mute bench`: streams over MUTE against a chain of plain QUIC forwarders, in the same run on the same machine.
//!
//! What is measured is what the code costs, so MUTE's chains are networks of the profile *fast*: what *balanced* adds on top is a choice
//! ([`mute_core::profile`]).
//!
//! Both kinds of chain are made of worker processes of this same program, told what to do over their standard
//! input. What goes through them is the same traffic.

mod chain;
mod file;
mod plain;
mod report;
mod traffic;
mod worker;

use crate::{
    cli::{Bench, Output, show_bytes},
    error::{Context as _, Result},
};

pub(crate) use worker::run as worker;

/// Runs `mute bench`.
pub(crate) async fn run(output: Output, bench: &Bench) -> Result<()> {
    if !bench.file.is_empty() {
        return file::run(output, &bench.file).await;
    }
    output.message(&format!(
        "{} through chains of {:?} links, {} alternating rounds, on {} cores; a network of the profile fast",
        show_bytes(bench.size),
        bench.links,
        bench.rounds,
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    ));
    let mut chains = Vec::new();
    for &links in &bench.links {
        chains.push(measure(output, bench, usize::from(links)).await.context(format_args!("{links} links"))?);
    }
    let report = report::Report::new(bench, chains);
    output.result(&report, || report.to_string())
}

/// Both kinds of chain of this length, taking turns.
async fn measure(output: Output, bench: &Bench, links: usize) -> Result<report::Chain> {
    let mut plain = chain::Chain::start(chain::Carrier::Plain, links).await.context("plain quic")?;
    let mut mute = chain::Chain::start(chain::Carrier::Mute, links).await.context("mute")?;
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 1..=bench.rounds {
        for (chain, rounds) in [&mut plain, &mut mute].into_iter().zip(&mut rounds) {
            let result = chain.round(bench.size, bench.pings).await.context(chain.carrier())?;
            output.message(&format!("  {links} links, round {round}: {result}, {}", chain.carrier()));
            rounds.push(result);
        }
    }
    let [plain_rounds, mute_rounds] = rounds;
    Ok(report::Chain {
        links,
        plain: report::Side::new(plain_rounds, plain.finish().await?),
        mute: report::Side::new(mute_rounds, mute.finish().await?),
    })
}
