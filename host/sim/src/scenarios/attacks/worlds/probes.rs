//! What the attackers do, one thing after the other, the same in both worlds; and what each tells.

use std::time::Duration;

use mute_core::{
    Finding, MessageId, SIZE_CLASSES, limits,
    wire::{Frame, Phase, SeekMode, Way},
};

use super::{
    attack::{Attack, Laid, SIDES, Side},
    features::{Features, Tries},
    town::{Setting, World, build, packet},
};

/// What the attackers do beyond asking a few times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moves {
    /// Seeks by each link, all at once.
    pub(super) crowd: usize,
    /// Nobody has asked for the address before, and all that the attackers do is to send Seeks and Letters along its scent.
    pub(super) cold: bool,
    /// They only lay trails, send packets and letters: what shows the wait best, and soonest.
    pub(super) brief: bool,
    /// They ask everybody, and see when the owner's letters come.
    pub(super) questions: bool,
    /// Questions put in at each of the last phases of a flood.
    pub(super) ends: usize,
    /// Seeks of seekers whose trails proved bad before, since they never kept them.
    pub(super) bad: bool,
    /// They wait until trails that nobody keeps are forgotten.
    pub(super) wait: bool,
}

/// Repetitions of what is cheap.
const TRIES: usize = 4;

/// The last phases of a flood, in which few nodes hear it.
const LAST: [Phase; 3] = [Phase::Counted(limits::COUNTED_HOPS), Phase::Ending, Phase::Tail(limits::TAIL_HOPS)];

/// How long until the connections of honest nodes are laid and used.
const WARM_UP: Duration = Duration::from_secs(20);

/// More than the longest wait, on the way.
const MARGIN: Duration = Duration::from_millis(600);

/// One trial: everything that the attackers saw, as numbers.
pub(super) fn trial(seed: u64, world: World, setting: &Setting) -> Features {
    let (mut net, mut life, target) = build(seed, world, setting);
    net.run(&mut life, Duration::ZERO);
    let patience = setting.shape.longest_turnaround() + MARGIN;
    life.busy_until = Duration::from_secs(3600);
    let mut attack = Attack::new(&mut net, &mut life, target, seed, patience);
    attack.pass(WARM_UP);
    if setting.moves.cold {
        attack.seeks("directed", SeekMode::Directed, TRIES);
        attack.letters();
        return attack.features.finish();
    }
    let mut trails = attack.seeks("flooded", SeekMode::Flood(Phase::Hidden), TRIES);
    trails.extend(attack.seeks("directed", SeekMode::Directed, TRIES));
    if setting.moves.brief {
        for side in SIDES {
            let laid = attack.lay(side);
            attack.packets(side, laid.as_ref());
        }
        attack.letters();
        if setting.moves.crowd > 0 {
            attack.crowd(setting.moves.crowd);
        }
        return attack.features.finish();
    }
    if setting.finding == Finding::Walks {
        trails.extend(attack.seeks("walking", SeekMode::Walk(Way::Stem), TRIES));
    }
    for phase in LAST {
        trails.extend(attack.seeks(&format!("{phase:?}"), SeekMode::Flood(phase), 2));
    }
    attack.twice();
    for side in SIDES {
        let laid = attack.lay(side);
        attack.packets(side, laid.as_ref());
    }
    attack.letters();
    if setting.moves.questions {
        attack.questions(setting.moves.ends);
    }
    attack.wormhole(&trails);
    attack.goodbyes();
    attack.refuse();
    if setting.moves.crowd > 0 {
        attack.crowd(setting.moves.crowd);
    }
    if setting.moves.bad {
        attack.bad_seekers();
    }
    attack.count_kinds();
    if setting.moves.wait {
        attack.life.busy_until = Duration::ZERO;
        attack.silence();
    }
    attack.features.finish()
}

impl Attack<'_> {
    /// Asks by each link in turn: when Trails come, and what the other link sees. The Trails.
    fn seeks(&mut self, name: &str, mode: SeekMode, tries: usize) -> Vec<Laid> {
        self.change_seekers();
        let mut sent: Vec<(Side, MessageId, Duration)> = Vec::new();
        for _ in 0..tries {
            for side in SIDES {
                let message = self.seek(side);
                let id = message.id();
                let at = self.send(side, Frame::Seek { mode, message });
                sent.push((side, id, at));
                self.pause();
            }
        }
        self.pass(self.patience);
        let mut trails = Vec::new();
        for side in SIDES {
            let (mut answers, mut copies, mut hidden, mut astray) = (Tries::new(), Tries::new(), 0.0, 0.0);
            for (_, id, at) in sent.iter().filter(|sent| sent.0 == side) {
                let laid = self.laid(*id);
                answers.push(Self::since(*at, laid.as_ref().map(|laid| laid.at)));
                astray += f64::from(u8::from(laid.as_ref().is_some_and(|laid| laid.side != side)));
                trails.extend(laid);
                let copy = self.seen.borrow().seeks.get(&(*id, 1 - side)).copied();
                copies.push(Self::since(*at, copy.map(|copy| copy.0)));
                hidden += f64::from(u8::from(copy.is_some_and(|copy| copy.1 == SeekMode::Flood(Phase::Hidden))));
            }
            self.features.tries(&format!("{name} seek {side}, trail"), &answers);
            self.features.tries(&format!("{name} seek {side}, copy"), &copies);
            self.features.put(format!("{name} seek {side}, hidden copies"), hidden);
            self.features.put(format!("{name} seek {side}, astray"), astray);
        }
        trails
    }

    /// The same Seek by both links, one a little later.
    fn twice(&mut self) {
        for first in SIDES {
            self.change_seekers();
            let message = self.seek(first);
            let (id, mode) = (message.id(), SeekMode::Flood(Phase::Hidden));
            let at = self.send(first, Frame::Seek { mode, message: message.clone() });
            self.pause();
            self.send(1 - first, Frame::Seek { mode: SeekMode::Directed, message });
            self.pass(self.patience);
            let trails = self.seen.borrow().trails.get(&id).cloned().unwrap_or_default();
            let by = |side: Side| trails.iter().find(|laid| laid.side == side).map(|laid| laid.at);
            self.features.once(&format!("twice, {first} first, trail there"), Self::since(at, by(first)));
            self.features.once(&format!("twice, {first} first, trail elsewhere"), Self::since(at, by(1 - first)));
        }
    }

    /// A fresh trail, kept for a while.
    fn lay(&mut self, side: Side) -> Option<Laid> {
        self.change_seekers();
        let message = self.seek(side);
        let (id, mode) = (message.id(), SeekMode::Flood(Phase::Hidden));
        self.send(side, Frame::Seek { mode, message });
        self.pass(self.patience);
        let laid = self.laid(id)?;
        let keep = self.keep(&laid, side, 1);
        self.send(laid.side, keep);
        Some(laid)
    }

    /// Packets of all sizes, one after the other and at once, and their echoes.
    fn packets(&mut self, side: Side, laid: Option<&Laid>) {
        const BURST: usize = 10;
        let mut sent = Vec::new();
        if let Some(laid) = laid {
            for size in SIZE_CLASSES {
                for _ in 0..2 {
                    sent.push(self.packet(laid, packet::ECHO, size));
                    self.pass(Duration::from_millis(60));
                }
            }
            self.pass(self.patience);
        }
        let echoes = |attack: &Self| {
            let seen = attack.seen.borrow();
            laid.and_then(|laid| seen.data.get(&(side, laid.label)).cloned()).unwrap_or_default()
        };
        let came = echoes(self);
        let tries = |places: std::ops::Range<usize>| -> Tries {
            places.map(|place| sent.get(place).and_then(|at| Self::since(*at, came.get(place).copied()))).collect()
        };
        for (class, size) in SIZE_CLASSES.iter().enumerate() {
            self.features.tries(&format!("packet {side} of {size}"), &tries(2 * class..2 * class + 2));
        }
        let burst_at = self.now();
        if let Some(laid) = laid {
            for _ in 0..BURST {
                self.packet(laid, packet::ECHO, SIZE_CLASSES[1]);
            }
            self.pass(self.patience);
        }
        let burst: Tries =
            (0..BURST).map(|place| Self::since(burst_at, echoes(self).get(sent.len() + place).copied())).collect();
        self.features.tries(&format!("burst {side}"), &burst);
    }

    /// Letters to the address, and their answers.
    fn letters(&mut self) {
        let mut sent = Vec::new();
        for _ in 0..TRIES {
            for side in SIDES {
                let message = self.letter(side);
                let from = message.author();
                sent.push((side, from, self.send(side, Frame::Letter { message })));
                self.pause();
            }
        }
        self.pass(self.patience);
        for side in SIDES {
            let answers: Tries = sent
                .iter()
                .filter(|sent| sent.0 == side)
                .map(|(_, from, at)| Self::since(*at, self.letter_to(*from).map(|(came, _)| came)))
                .collect();
            self.features.tries(&format!("letter {side}"), &answers);
        }
        let passed = self.seen.borrow().letters.get(&self.target).map_or(0, Vec::len);
        self.features.put("letters passed on".to_owned(), passed as f64);
    }

    fn letter_to(&self, to: mute_core::Address) -> Option<(Duration, Side)> {
        self.seen.borrow().letters.get(&to).and_then(|letters| letters.first().copied())
    }

    /// Questions that the owner answers with a letter, in every phase: answers, copies by the other link and their phases.
    fn questions(&mut self, ends: usize) {
        let mut sent = Vec::new();
        for (group, (phase, tries)) in
            [(Phase::Hidden, 2 * TRIES), (LAST[0], ends), (LAST[1], ends)].into_iter().enumerate()
        {
            for number in 0..tries {
                for side in SIDES {
                    let message = self.question(side, &[group as u8, number as u8, side as u8]);
                    let (from, id) = (message.author(), message.id());
                    let at = self.send(side, Frame::Flood { phase, message });
                    sent.push((group, side, from, id, at));
                    self.pause();
                }
            }
        }
        self.pass(self.patience);
        for group in 0..3 {
            for side in SIDES {
                let (mut answers, mut copies, mut counted, mut astray) = (Tries::new(), Tries::new(), 0.0, 0.0);
                for (_, _, from, id, at) in sent.iter().filter(|sent| (sent.0, sent.1) == (group, side)) {
                    let answer = self.letter_to(*from);
                    answers.push(Self::since(*at, answer.map(|answer| answer.0)));
                    astray += f64::from(u8::from(answer.is_some_and(|answer| answer.1 != side)));
                    let copy = self.seen.borrow().floods.get(&(*id, 1 - side)).copied();
                    copies.push(Self::since(*at, copy.map(|copy| copy.0)));
                    counted += f64::from(u8::from(copy.is_some_and(|copy| copy.1 != Phase::Hidden)));
                }
                self.features.tries(&format!("question {group} by {side}, answer"), &answers);
                self.features.tries(&format!("question {group} by {side}, copy"), &copies);
                self.features.put(format!("question {group} by {side}, counted copies"), counted);
                self.features.put(format!("question {group} by {side}, astray"), astray);
            }
        }
    }

    /// Genuine Trails of one link, shown on the other: what the target says, and whether Seeks follow them then.
    fn wormhole(&mut self, trails: &[Laid]) {
        let mut closes = Tries::new();
        let mut shown = Vec::new();
        for laid in trails.iter().take(4) {
            let side = 1 - laid.side;
            let label = self.label(side);
            let at = self.send(side, Frame::Trail { label, message: laid.message.clone() });
            shown.push((side, label, at));
            self.pause();
        }
        self.pass(self.patience);
        for (side, label, at) in shown {
            let close = self.seen.borrow().closes.get(&(side, label)).and_then(|closes| closes.first().copied());
            closes.push(Self::since(at, close));
        }
        closes.resize(4, None);
        self.features.tries("wormhole, close", &closes);
        self.seeks("after the wormhole", SeekMode::Directed, TRIES);
    }

    /// Asks the owner to close a trail of each link; what comes on a closed label; what an unknown one is answered.
    fn goodbyes(&mut self) {
        for side in SIDES {
            let laid = self.lay(side);
            let at = self.now();
            if let Some(laid) = &laid {
                self.packet(laid, packet::BYE, SIZE_CLASSES[0]);
                self.pass(self.patience);
            }
            let close = |attack: &Self, nth: usize| {
                let seen = attack.seen.borrow();
                laid.as_ref().and_then(|laid| seen.closes.get(&(side, laid.label))?.get(nth).copied())
            };
            self.features.once(&format!("goodbye {side}"), Self::since(at, close(self, 0)));
            self.pass(Duration::from_secs(1));
            let at = self.now();
            if let Some(laid) = &laid {
                self.packet(laid, packet::ECHO, SIZE_CLASSES[0]);
                self.pass(self.patience);
            }
            self.features.once(&format!("dead label {side}"), Self::since(at, close(self, 1)));
        }
    }

    /// A Seek by both links, whose Trail the first refuses.
    fn refuse(&mut self) {
        for first in SIDES {
            self.change_seekers();
            let message = self.seek(first);
            let (id, mode) = (message.id(), SeekMode::Flood(Phase::Hidden));
            self.seen.borrow_mut().refused.insert(id);
            self.send(first, Frame::Seek { mode, message: message.clone() });
            self.pause();
            self.send(1 - first, Frame::Seek { mode, message });
            self.pass(self.patience);
            let trails = self.seen.borrow().trails.get(&id).cloned().unwrap_or_default();
            let refused = trails.first().map(|laid| laid.at);
            let again = trails.iter().find(|laid| laid.side != first).map(|laid| laid.at);
            let wait = refused.and_then(|refused| Self::since(refused, again));
            self.features.once(&format!("refused by {first}"), wait);
            self.features.put(format!("refused by {first}: trails"), trails.len() as f64);
        }
    }

    /// Flooded Seeks of who kept none of the trails before.
    fn bad_seekers(&mut self) {
        self.seeks("before bad", SeekMode::Directed, 1);
        self.pass(limits::FIRST_KEEP_PATIENCE);
        for side in SIDES {
            let message = self.seek(side);
            let id = message.id();
            let at = self.send(side, Frame::Seek { mode: SeekMode::Flood(Phase::Hidden), message });
            self.pass(self.patience + Duration::from_secs(2));
            let laid = self.laid(id).map(|laid| laid.at);
            self.features.once(&format!("bad seeker {side}, trail"), Self::since(at, laid));
        }
    }

    /// More Seeks at once than anybody needs.
    fn crowd(&mut self, count: usize) {
        self.change_seekers();
        let mut sent = Vec::new();
        for _ in 0..count {
            for side in SIDES {
                let message = self.seek(side);
                let id = message.id();
                sent.push((side, id, self.send(side, Frame::Seek { mode: SeekMode::Directed, message })));
            }
        }
        self.pass(self.patience + Duration::from_secs(1));
        for side in SIDES {
            let of_side = sent.iter().filter(|sent| sent.0 == side);
            let answers: Tries =
                of_side.map(|(_, id, at)| Self::since(*at, self.laid(*id).map(|laid| laid.at))).collect();
            self.features.tries(&format!("crowd {side}"), &answers);
        }
    }

    /// What becomes of trails that the attackers never keep, or once: packets find out when they are forgotten.
    fn silence(&mut self) {
        let never = self.seeks("last", SeekMode::Directed, TRIES);
        let never: Vec<(Laid, Duration)> = never.into_iter().map(|laid| (laid.clone(), laid.at)).collect();
        self.forgotten("never kept", &never, limits::FIRST_KEEP_PATIENCE);
        let once: Vec<(Laid, Duration)> = SIDES
            .into_iter()
            .filter_map(|side| {
                let laid = self.lay(side)?;
                let at = self.now();
                Some((laid, at))
            })
            .collect();
        self.forgotten("kept once", &once, limits::KEEP_PATIENCE);
        let seen = std::rc::Rc::clone(&self.seen);
        let seen = seen.borrow();
        let keep = |laid: &Laid, nth: usize| seen.keeps.get(&(laid.side, laid.label))?.get(nth).copied();
        for nth in 0..2 {
            let trails = never.iter().chain(&once);
            let keeps: Tries = trails.map(|(laid, _)| Self::since(laid.at, keep(laid, nth))).collect();
            self.features.tries(&format!("keep {nth}"), &keeps);
        }
    }

    /// Sends packets on trails from shortly before they are forgotten until they are.
    fn forgotten(&mut self, name: &str, trails: &[(Laid, Duration)], after: Duration) {
        const AROUND: Duration = Duration::from_millis(300);
        // Shorter than one hop there and back.
        const PROBE_GAP: Duration = Duration::from_millis(25);
        let close = |attack: &Self, laid: &Laid| {
            let seen = attack.seen.borrow();
            seen.closes.get(&(laid.side, laid.label)).and_then(|closes| closes.first().copied())
        };
        let first = trails.iter().map(|(_, at)| *at).min().unwrap_or_default();
        let last = trails.iter().map(|(_, at)| *at).max().unwrap_or_default();
        self.pass((first + after).saturating_sub(AROUND + self.now()));
        while self.now() < last + after + AROUND {
            for (laid, at) in trails {
                let due = *at + after;
                if self.now() + AROUND >= due && self.now() < due + AROUND && close(self, laid).is_none() {
                    self.packet(laid, packet::SINK, SIZE_CLASSES[0]);
                }
            }
            self.pass(PROBE_GAP);
        }
        let tries: Tries = trails.iter().map(|(laid, at)| Self::since(*at, close(self, laid))).collect();
        self.features.tries(name, &tries);
    }
}
