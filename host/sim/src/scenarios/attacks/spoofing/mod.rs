//! `attacks spoofing`: a neighbour forges messages of others, and sends on what it heard before. How many rows of scent does that lay at its
//! victim, and what share of the letters to those addresses does it draw to itself?
//!
//! The victim has an honest neighbour, by which genuine messages reach it, and an attacker that says nothing but what the scenario gives it.
//! Each case has a network of its own. What the attacker sends as itself is the control: it must show up in full.

mod scene;
mod trails;

use std::time::Duration;

use clap::Args;
use mute_core::{
    Hop, LinkId,
    limits::{MAX_SEEN, STAMP_MINUTES},
    wire::{Frame, Verified},
};
use serde::Serialize;

use crate::{Behaviour, Network, NodeId, Record, Signatures, Table, stats::share};
use scene::Scene;

/// The arguments of `attacks spoofing`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Spoofing {
    /// Authors, each with one message, of each kind of message.
    #[arg(long, default_value_t = 40)]
    pub authors: u32,
    /// Letters that the victim writes to each author afterwards: who gets them?
    #[arg(long, default_value_t = 25)]
    pub letters: u32,
    /// How often each message is replayed.
    #[arg(long, default_value_t = 20)]
    pub replays: u32,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

const VICTIM: NodeId = 0;
const HONEST: NodeId = 1;
const ATTACKER: NodeId = 2;

/// Between two messages over one link, so that no budget ends any: 16 KB/s are some 80 messages.
const PACE: Duration = Duration::from_millis(25);

/// The kinds of signed messages.
const KINDS: [&str; 6] = ["Flood", "Seek", "Letter", "Walk", "Trail", "Keep"];

/// Those that lay their author's scent at whoever hears them; a Trail and a Keep need a Seek and a trail that the victim knows.
const LAYING: usize = 4;

/// What the attacker does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// The control: messages of identities of its own.
    Own,
    /// Messages of others with a signature that does not hold.
    Forged,
    /// What it passed on itself before, again.
    Again,
    /// What came to the victim by the honest neighbour, once.
    Copied,
    /// The same, over and over.
    Replayed,
    /// The same, when ten minutes are over.
    Late,
    /// The attacker brings each genuine message before the honest neighbour does.
    Wormhole,
    /// What is stamped as far ahead as is accepted, before and after its minute has come.
    Ahead,
    /// What the victim heard in the minute before it was started again.
    Restarted,
    /// What it heard in the minute of its start, shortly before.
    SameMinute,
    /// The same, where it crashed and is back at once.
    Crashed,
    /// What it heard shortly before from somebody whose clock is a minute ahead.
    RestartedAhead,
    /// What it had to forget, since links came, brought as much as their budgets let in, and went.
    Evicted,
}

const CASES: [Case; 13] = [
    Case::Own,
    Case::Forged,
    Case::Again,
    Case::Copied,
    Case::Replayed,
    Case::Late,
    Case::Wormhole,
    Case::Ahead,
    Case::Restarted,
    Case::SameMinute,
    Case::Crashed,
    Case::RestartedAhead,
    Case::Evicted,
];

/// What an attacker's link brings in the case of [`Case::Evicted`], and the honest one before: within a new link's budgets.
const BROUGHT: [u64; 2] = [500, 600];

/// The attacker's own router says nothing and hears nothing.
struct Silent;

impl Behaviour for Silent {
    fn inbound(&mut self, _: &mut Network, _: NodeId, _: LinkId, _: Frame<Verified>) -> Option<Frame<Verified>> {
        None
    }

    fn outbound(
        &mut self,
        _: &mut Network,
        _: NodeId,
        _: LinkId,
        _: Hop,
        _: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        None
    }
}

/// What a case came to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Rows at the victim more than before the attack.
    rows: u64,
    /// Links that the attacker lost for its offences.
    offences: u64,
    /// Letters to the authors that went to the attacker.
    drawn: u64,
    /// Letters that the victim wrote.
    written: u64,
    /// Messages that it took for new when the attacker sent them first.
    taken: u64,
}

impl Spoofing {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks spoofing", self, seed);
        let sizes = if self.small { Self { authors: 5, letters: 8, replays: 3, small: true } } else { self.clone() };
        let mut table = Table::new(
            "a neighbour's spoofs",
            &["case", "kind", "messages", "rows", "links lost", "letters drawn", "low", "high"],
        );
        let mut sums = [Outcome::default(); CASES.len()];
        let mut broken: Vec<String> = Vec::new();
        for (case, sum) in CASES.iter().zip(&mut sums) {
            for (kind, name) in KINDS.iter().enumerate() {
                let outcome = sizes.attack(*case, kind, seed, &mut broken);
                let drawn = share(outcome.drawn, outcome.written);
                table.row([
                    format!("{case:?}").into(),
                    (*name).into(),
                    u64::from(sizes.authors).into(),
                    outcome.rows.into(),
                    outcome.offences.into(),
                    drawn.mean.into(),
                    drawn.low.into(),
                    drawn.high.into(),
                ]);
                sum.rows += outcome.rows;
                sum.offences += outcome.offences;
                if kind < LAYING {
                    sum.taken += outcome.taken;
                    sum.drawn += outcome.drawn;
                    sum.written += outcome.written;
                }
            }
        }
        record.tables.push(table);
        trails::run(&mut record, &mut broken, &sizes, seed);
        sizes.judge(&mut record, &sums);
        let detail = broken.first().map_or("of every case and kind", String::as_str);
        record.check("the networks' own checks", broken.is_empty(), detail);
        record
    }

    /// One case with one kind of message. `broken`: for what the network's own checks find.
    fn attack(&self, case: Case, kind: usize, seed: u64, broken: &mut Vec<String>) -> Outcome {
        // Millions of real signatures would take minutes, and forgeries are another case.
        let signatures = if case == Case::Evicted { Signatures::Stub } else { Signatures::Real };
        let mut scene = Scene::new(seed, signatures);
        scene.wait_for(if matches!(case, Case::Restarted) { 0 } else { 5 });
        let ahead = match case {
            Case::Ahead => STAMP_MINUTES - 1,
            Case::RestartedAhead => 1,
            _ => 0,
        };
        scene.sign(kind, self.authors, ahead);
        match case {
            Case::Own | Case::Forged | Case::Wormhole => {}
            Case::Again => scene.say(ATTACKER, false),
            _ => scene.say(HONEST, false),
        }
        match case {
            Case::Late => scene.net.rest(Duration::from_secs(600)),
            Case::Restarted => {
                scene.wait_for(0);
                scene.restart(false);
            }
            Case::SameMinute | Case::RestartedAhead => scene.restart(false),
            Case::Crashed => scene.restart(true),
            Case::Evicted => scene.evict(BROUGHT, MAX_SEEN as u64 - BROUGHT[0]),
            _ => {}
        }
        let (rows, offences, remembered) = (scene.rows(), scene.net.stats().violations, scene.remembers());
        let mut outcome = Outcome::default();
        let times =
            if matches!(case, Case::Own | Case::Forged | Case::Copied | Case::Wormhole) { 1 } else { self.replays };
        for time in 0..times {
            scene.say(ATTACKER, case == Case::Forged);
            if time == 0 {
                outcome.taken = scene.remembers().saturating_sub(remembered);
                match case {
                    Case::Wormhole => scene.say(HONEST, false),
                    // Until the minute of the stamps has come, and nothing of the restart's time is left.
                    Case::Ahead | Case::RestartedAhead | Case::Crashed => {
                        scene.net.rest(Duration::from_secs(60 * u64::from(ahead) + 115));
                    }
                    _ => {}
                }
            }
        }
        outcome.rows = scene.rows().saturating_sub(rows);
        outcome.offences = scene.net.stats().violations - offences;
        (outcome.drawn, outcome.written) = scene.write(self.letters);
        scene.net.finish();
        broken.extend(scene.net.checks.failures().0.iter().cloned());
        outcome
    }

    fn judge(&self, record: &mut Record, sums: &[Outcome; CASES.len()]) {
        let of = |case| CASES.iter().position(|other| *other == case).map_or(Outcome::default(), |place| sums[place]);
        let (laying, all) = (f64::from(self.authors) * LAYING as f64, f64::from(self.authors) * KINDS.len() as f64);
        let rows = |case| of(case).rows as f64;
        record.exactly("control: rows by messages of its own", "", rows(Case::Own), laying);
        record.exactly("rows by forged messages", "", rows(Case::Forged), 0.0);
        record.exactly("links that forgeries cost", "", of(Case::Forged).offences as f64, all);
        record.exactly("letters that forgeries draw", "", of(Case::Forged).drawn as f64, 0.0);
        record.exactly("rows by what it passed on before", "", rows(Case::Again), 0.0);
        record.exactly("rows by copies of what the victim heard", "", rows(Case::Copied), 0.0);
        record.exactly("rows by replays of what the victim heard", "", rows(Case::Replayed), 0.0);
        record.exactly("rows by replays after ten minutes", "", rows(Case::Late), 0.0);
        record.exactly("rows by replays after a restart", "", rows(Case::Restarted), 0.0);
        record.exactly("letters drawn after a restart", "", of(Case::Restarted).drawn as f64, 0.0);
        record.exactly("rows by replays from the minute of a restart", "", rows(Case::SameMinute), 0.0);
        record.exactly("rows by replays from the minute of a crash", "", rows(Case::Crashed), 0.0);
        record.exactly("rows by replays after a restart from a clock ahead", "", rows(Case::RestartedAhead), 0.0);
        let after = [Case::SameMinute, Case::Crashed, Case::RestartedAhead];
        let drawn = after.iter().map(|case| of(*case).drawn).sum::<u64>();
        record.exactly("letters drawn from the minute of a restart or crash", "", drawn as f64, 0.0);
        record.exactly("rows by replays from far ahead", "", rows(Case::Ahead), 0.0);
        record.exactly("control: messages forgotten for want of room", "", of(Case::Evicted).taken as f64, laying);
        record.exactly("rows by replays of what was forgotten", "", rows(Case::Evicted), 0.0);
        record.exactly("rows by genuine messages brought first", "", rows(Case::Wormhole), laying);
        let first = share(of(Case::Wormhole).drawn, of(Case::Wormhole).written);
        record.figure("letters that genuine messages brought first draw", "", first.mean);
        let [once, often] = [Case::Copied, Case::Replayed].map(|case| share(of(case).drawn, of(case).written));
        record.figure("letters that one copy draws", "", once.mean);
        record.figure("letters that many replays draw", "", often.mean);
        let equal = often.low <= once.high;
        let detail = format!(
            "{:.3} [{:.3}, {:.3}] against {:.3} [{:.3}, {:.3}] (Wilson)",
            often.mean, often.low, often.high, once.mean, once.low, once.high
        );
        record.check("replays draw no more than one copy", equal, detail);
    }
}
