//! `attacks spoofing`: a neighbour forges messages of others, and sends on what it heard before. How many rows of scent does that lay at its
//! victim, and what share of the letters to those addresses does it draw to itself?
//!
//! The victim has an honest neighbour, by which genuine messages reach it, and an attacker that says nothing but what the scenario gives it.
//! Each case has a network of its own. What the attacker sends as itself is the control: it must show up in full.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use bytes::BytesMut;
use clap::Args;
use mute_core::{
    Address, Hop, Label, LinkId, MessageId, PortId, Topic,
    wire::{
        Flood, Frame, Keep, KeepReport, LENGTH_PREFIX, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified,
        Walk, Way,
    },
};
use serde::Serialize;

use crate::{Behaviour, Config, NETWORK, Network, NodeId, Record, Signatures, Table, Topology, stats::share};

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

/// Where the stamp's random bits lie in a signed message: after the prefix, the network, the kind, the author and the minute.
const STAMP_RANDOM: usize = 6 + 16 + 1 + 32 + 4;

/// The kinds of signed messages.
const KINDS: [&str; 6] = ["Flood", "Seek", "Letter", "Walk", "Trail", "Keep"];

/// Those that lay their author's scent at whoever hears them; a Trail and a Keep need a Seek and a trail that the victim knows.
const LAYING: usize = 4;

/// The figure of what is replayed from the very minute of a restart: a bound that is not met (`docs/threat-model.md`).
pub const FROM_MINUTE_OF_RESTART: &str = "rows by replays from the minute of a restart";

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
    /// What the victim heard in the minute before it was started again.
    Restarted,
    /// What it heard in the minute of its start, shortly before.
    SameMinute,
}

const CASES: [Case; 8] =
    [Case::Own, Case::Forged, Case::Again, Case::Copied, Case::Replayed, Case::Late, Case::Restarted, Case::SameMinute];

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
}

/// A victim and its two neighbours.
struct Scene {
    net: Network,
    authors: Vec<Address>,
    messages: Vec<Frame<Verified>>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let topology = Topology::joined(3, [(VICTIM, HONEST), (VICTIM, ATTACKER)]);
        let mut net = Network::new(Config { signatures: Signatures::Real, ..Config::new(seed) }, &topology);
        net.set_behaviour(ATTACKER, Some(Box::new(Silent)));
        Self { net, authors: Vec::new(), messages: Vec::new() }
    }

    /// Signs a message of each of so many authors, now.
    fn sign(&mut self, kind: usize, authors: u32) {
        let minute = (self.net.now().unix_s / 60) as u32;
        for author in 0..authors {
            let key = self.net.key(HONEST, 1000 + author);
            let stamp = Stamp { minute, random: u64::from(author) };
            let target = self.net.address(HONEST, 1);
            let (unknown, label) = (MessageId([author as u8; 16]), Label(u64::from(author) << 1));
            let frame = match kind {
                0 => Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic::of("spoofing"), b"who?")
                    .map(|message| Frame::Flood { phase: Phase::Hidden, message }),
                1 => Signed::<Seek, _>::sign(NETWORK, &key, stamp, target, &[9; 32])
                    .map(|message| Frame::Seek { mode: SeekMode::Directed, message }),
                2 => Signed::<Letter, _>::sign(NETWORK, &key, stamp, target, b"sealed")
                    .map(|message| Frame::Letter { message }),
                3 => {
                    Signed::<Walk, _>::sign(NETWORK, &key, stamp).map(|message| Frame::Walk { way: Way::Stem, message })
                }
                4 => Signed::<Trail, _>::sign(NETWORK, &key, stamp, unknown, &[9; 32])
                    .map(|message| Frame::Trail { label, message }),
                _ => Signed::<Keep, _>::sign(
                    NETWORK,
                    &key,
                    stamp,
                    unknown,
                    KeepReport { number: 1, ..KeepReport::default() },
                )
                .map(|message| Frame::Keep { label, message }),
            };
            self.authors.push(key.address());
            self.messages.extend(frame);
        }
    }

    /// The victim's link to a neighbour, which comes up again if it is down: an attacker dials again.
    fn link(&mut self, neighbour: NodeId) -> Option<LinkId> {
        if let Some(edge) = self.net.edge_between(VICTIM, neighbour) {
            self.net.link_up(edge);
        }
        self.net.links(VICTIM).into_iter().find(|(other, _)| *other == neighbour).map(|(_, link)| link)
    }

    /// All messages reach the victim by a neighbour. `forged`: with other random bits than were signed.
    fn say(&mut self, by: NodeId, forged: bool) {
        for place in 0..self.messages.len() {
            let Some(link) = self.link(by) else {
                return;
            };
            let frame = &self.messages[place];
            let mut bytes = BytesMut::with_capacity(frame.encoded_len());
            frame.write_header(&mut bytes);
            let head = bytes.len();
            bytes.extend_from_slice(&frame.body());
            if forged {
                bytes[head + STAMP_RANDOM] ^= 1;
            }
            self.net.deliver_bytes(VICTIM, link, bytes.freeze().slice(LENGTH_PREFIX..));
            self.net.rest(PACE);
        }
    }

    fn rows(&self) -> u64 {
        self.net.router(VICTIM).map_or(0, |router| router.counters().live.scent_rows)
    }

    /// Waits until so many seconds of a minute of the wall clock have passed: of the next one, if this one's are over or just now.
    fn wait_for(&mut self, second: u64) {
        let now = self.net.now().unix_s % 60;
        self.net.rest(Duration::from_secs((second + 59 - now) % 60 + 1));
    }

    fn restart(&mut self) {
        self.net.stop(VICTIM);
        self.net.start(VICTIM);
        self.net.rest(Duration::from_secs(1));
    }

    /// The victim writes to the authors. How many letters go to the attacker, of how many.
    fn write(&mut self, letters: u32) -> (u64, u64) {
        let (port, _): (PortId, _) = self.net.open(VICTIM, 0);
        let Some(link) = self.link(ATTACKER) else {
            return (0, 0);
        };
        let known: BTreeSet<Address> = self.authors.iter().copied().collect();
        let drawn = Rc::new(RefCell::new(0u64));
        let of_tap = Rc::clone(&drawn);
        self.net.tap = Some(Box::new(move |_, node, by, frame| {
            if let Frame::Letter { message } = frame
                && (node, by) == (VICTIM, link)
                && known.contains(&message.to())
            {
                *of_tap.borrow_mut() += 1;
            }
        }));
        for _ in 0..letters {
            for author in self.authors.clone() {
                self.net.letter(VICTIM, port, author, "sealed");
                self.net.rest(PACE);
            }
        }
        self.net.tap = None;
        let drawn = *drawn.borrow();
        (drawn, u64::from(letters) * self.authors.len() as u64)
    }
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
        let mut healthy = true;
        for (case, sum) in CASES.iter().zip(&mut sums) {
            for (kind, name) in KINDS.iter().enumerate() {
                let (outcome, sound) = sizes.attack(*case, kind, seed);
                healthy &= sound;
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
                    sum.drawn += outcome.drawn;
                    sum.written += outcome.written;
                }
            }
        }
        record.tables.push(table);
        sizes.judge(&mut record, &sums);
        record.check("the networks' own checks", healthy, "of every case and kind");
        record
    }

    /// One case with one kind of message. And whether the network's own checks held.
    fn attack(&self, case: Case, kind: usize, seed: u64) -> (Outcome, bool) {
        let mut scene = Scene::new(seed);
        scene.wait_for(if case == Case::SameMinute { 5 } else { 0 });
        scene.sign(kind, self.authors);
        match case {
            Case::Own | Case::Forged => {}
            Case::Again => scene.say(ATTACKER, false),
            _ => scene.say(HONEST, false),
        }
        match case {
            Case::Late => scene.net.rest(Duration::from_secs(600)),
            Case::Restarted => {
                scene.wait_for(0);
                scene.restart();
            }
            Case::SameMinute => scene.restart(),
            _ => {}
        }
        let (rows, offences) = (scene.rows(), scene.net.stats().violations);
        let times = if matches!(case, Case::Own | Case::Forged | Case::Copied) { 1 } else { self.replays };
        for _ in 0..times {
            scene.say(ATTACKER, case == Case::Forged);
        }
        let mut outcome = Outcome {
            rows: scene.rows().saturating_sub(rows),
            offences: scene.net.stats().violations - offences,
            ..Outcome::default()
        };
        (outcome.drawn, outcome.written) = scene.write(self.letters);
        scene.net.finish();
        (outcome, scene.net.checks.failures().1 == 0)
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
        record.exactly(FROM_MINUTE_OF_RESTART, "", rows(Case::SameMinute), 0.0);
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
