//! Where a flood ends: the coins that a node throws once and for ever.
//!
//! A flood has three phases. *Hidden*: nothing is counted, and each node's coin decides whether counting starts ([`FloodStart`]); its own a node always hides. *Counted*:
//! a constant number of hops, at each to a few neighbours. Then an *end*, which must not tell a neighbour that puts in a question with a
//! high count that whoever answers can only be the node it asked (CVE-2005-4726 in the original MUTE). Three ends are here, to be compared
//! ([`FloodEnd`]).

use core::time::Duration;
use std::cmp::Reverse;

use super::{
    coins::Coins,
    limits::{COUNTED_HOPS, FADE_FROM, FADE_TO, HIDDEN_PATIENCE, MAX_LINKS, TAIL_HOPS},
    seen::Act,
};
use crate::{LinkId, MessageId, NeighbourId, wire::Phase};

/// How a hidden flood travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloodStart {
    /// To one neighbour at a time: always the same one for all that comes by one neighbour, for with a fresh choice for each question every
    /// neighbour would be the first to hear of some (Dandelion++, Fanti and others 2018). Where counting starts is fixed in the same way. From there it spreads. Whoever
    /// passed it on and does not hear of it again lets it spread from there, so that no neighbour can silence it.
    #[default]
    Path,
    /// To everybody at once. Each node's coin being its own, two in three of whom it reaches pass it on hidden, so a hidden flood grows until it
    /// has reached the last node of a network of any size: there is no horizon. To compare with.
    Everywhere,
}

/// How far floods go: the same at all nodes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodRules {
    /// How they travel before they are counted.
    pub start: FloodStart,
    /// Hops after the counter has started; at most [`Phase::MOST`].
    pub hops: u8,
    /// To how many neighbours a node passes one at most, chosen for each question.
    pub fan_out: usize,
    /// How they end.
    pub end: FloodEnd,
}

impl Default for FloodRules {
    fn default() -> Self {
        Self { start: FloodStart::default(), hops: COUNTED_HOPS, fan_out: MAX_LINKS, end: FloodEnd::default() }
    }
}

/// How floods end.
///
/// What a neighbour can learn by probing the end is bounded from below for every one of them: of the nodes that hear a question which it put
/// in, the one that it asked is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloodEnd {
    /// As in MUTE 0.5. Each node has a number, the same for all messages (none for three nodes in four): it passes an ended flood to so many
    /// of its neighbours, always the same, and to hide how many, a short tail that nobody hears to all the others. A node whose
    /// number is none hears nothing either. Since the numbers are fixed, repeated questions teach nothing; but a question that everybody
    /// answers teaches a neighbour how many lie behind.
    #[default]
    DropTree,
    /// Whoever gets an ended flood hears it, and passes it to each neighbour by a coin of (question, neighbour), to three in four altogether
    /// on average: four nodes hear what is put in at the end. A question repeated falls on the same coins.
    KeyedStop,
    /// No edge at all: from the fifth counted hop to the twelfth ever fewer nodes hear a question, each up to a count of its own for each
    /// question, and all pass it on. Costs the most where a network is larger than a flood, and nothing where it is smaller.
    Fading,
}

/// What becomes of a flooded message at a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// Whether the node's identities hear it.
    pub(super) heard: bool,
    /// To whom it goes on, and how.
    pub(super) to: Vec<(LinkId, Phase)>,
}

/// What is asked, whoever asks: a hash of a Flood's topic and body, or a Seek's target. Keying a coin with it makes it fall the same way
/// when the question is repeated in another message.
pub(super) type Question = [u8; 32];

/// Where floods end at this node.
pub(super) struct Horizon {
    coins: Coins,
    rules: FloodRules,
    /// The drop tree's number.
    branches: u32,
}

impl Horizon {
    pub(super) fn new(secret: &[u8; 32], rules: FloodRules) -> Self {
        let coins = Coins::new("mute/1 flood coins", secret);
        let number = coins.draw(&[b"branches"]);
        // None three times in four, else i with 1/2^i.
        let branches = if number >> 62 != 0 { 0 } else { 1 + (number << 2).leading_zeros() };
        Self { coins, rules, branches }
    }

    /// What a copy that came in `phase` asks for. `from`: whose link it came by, `None`: it is this node's own.
    pub(super) fn wanted(&self, phase: Phase, from: Option<NeighbourId>) -> Act {
        match phase {
            Phase::Hidden if self.rules.start == FloodStart::Path && self.goes_on_hidden(from) => Act::Hide,
            Phase::Hidden | Phase::Counted(_) => Act::Spread,
            Phase::Ending | Phase::Tail(_) => Act::End,
        }
    }

    /// The one neighbour that a hidden message goes to, of those it did not come by. `from`: whose link it came by, `None`: it is this node's
    /// own. (The highest coin wins: who comes or leaves changes no other's choice.)
    pub(super) fn path(&self, from: Option<NeighbourId>, others: &[(LinkId, NeighbourId)]) -> Option<LinkId> {
        let came_by = came_by(from);
        let coin = |neighbour: &NeighbourId| self.coins.draw(&[b"path", &came_by, &neighbour.0.to_be_bytes()]);
        others.iter().max_by_key(|(link, neighbour)| (coin(neighbour), *link)).map(|(link, _)| *link)
    }

    /// What becomes of a flooded message that came in `phase` and is not hidden from here. `question` is asked only if it matters. `others`: the links but the one that it came by.
    pub(super) fn spread(
        &self,
        phase: Phase,
        id: MessageId,
        question: impl Fn() -> Question,
        others: &[(LinkId, NeighbourId)],
    ) -> Spread {
        let few = |heard, phase| Spread { heard, to: self.few(&question, others).map(|link| (link, phase)).collect() };
        match phase {
            Phase::Hidden if self.rules.start == FloodStart::Everywhere && self.stays_hidden(id) => {
                few(true, Phase::Hidden)
            }
            Phase::Hidden => few(true, Phase::Counted(1)),
            Phase::Counted(hops) if self.rules.end == FloodEnd::Fading => {
                let heard = hops < self.fades_at(&question());
                if hops < FADE_TO { few(heard, Phase::Counted(hops + 1)) } else { Spread { heard, to: Vec::new() } }
            }
            Phase::Counted(hops) if hops < self.rules.hops => few(true, Phase::Counted(hops + 1)),
            Phase::Counted(_) => few(true, Phase::Ending),
            Phase::Ending => match self.rules.end {
                FloodEnd::DropTree => self.branch(others),
                FloodEnd::KeyedStop => self.stop(&question(), others),
                FloodEnd::Fading => Spread { heard: false, to: Vec::new() },
            },
            Phase::Tail(hops) if hops > 1 => {
                let to = others.iter().map(|(link, _)| (*link, Phase::Tail(hops.min(TAIL_HOPS) - 1))).collect();
                Spread { heard: false, to }
            }
            Phase::Tail(_) => Spread { heard: false, to: Vec::new() },
        }
    }

    /// Those to whom a question goes: all where they are few, else as many as the rules say, by coins of (question, neighbour): were they of the
    /// message, a question repeated would be answered each time by the node that is asked, and by others now and then.
    fn few(&self, question: &impl Fn() -> Question, others: &[(LinkId, NeighbourId)]) -> impl Iterator<Item = LinkId> {
        let mut chosen: Vec<LinkId> = others.iter().map(|(link, _)| *link).collect();
        if others.len() > self.rules.fan_out {
            let question = question();
            let coin = |neighbour: &NeighbourId| self.coins.draw(&[b"few", &question, &neighbour.0.to_be_bytes()]);
            let mut order: Vec<_> = others.iter().map(|(link, neighbour)| (coin(neighbour), *link)).collect();
            order.sort_unstable();
            chosen.clear();
            chosen.extend(order.into_iter().take(self.rules.fan_out).map(|(_, link)| link));
        }
        chosen.into_iter()
    }

    /// Whether what came hidden from a neighbour goes on hidden, along the path that goes with it: for two neighbours in three, for ever. With a coin for
    /// each message most questions of a node would spread from itself, and whoever sees where many do would know it (the simulator's
    /// `attacks first-spy`). Its own it always hides: where a question spreads is never where it came from. (Both are as in Dandelion++.)
    fn goes_on_hidden(&self, from: Option<NeighbourId>) -> bool {
        from.is_none() || !self.coins.draw(&[b"stays", &came_by(from)]).is_multiple_of(3)
    }

    /// How long this node waits to hear again of what it passed on hidden, having got it from a neighbour: always equally long, so that where a path is
    /// cut it is always the same node of it that gives up first. With times by chance each would now and then, the originator the furthest up.
    pub(super) fn patience(&self, from: Option<NeighbourId>) -> Duration {
        let [least, most] = HIDDEN_PATIENCE;
        let span = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(self.coins.draw(&[b"patience", &came_by(from)]) % (span + 1))
    }

    /// Whether a flood that starts everywhere goes on hidden from here: two times in three, which makes two hidden hops on average.
    fn stays_hidden(&self, id: MessageId) -> bool {
        !self.coins.draw(&[b"hidden", &id.0]).is_multiple_of(3)
    }

    /// The drop tree: the first few neighbours, in an order that never changes, get the message, the rest a tail.
    fn branch(&self, others: &[(LinkId, NeighbourId)]) -> Spread {
        let mut order: Vec<_> = others
            .iter()
            .map(|(link, neighbour)| (Reverse(self.coins.draw(&[b"order", &neighbour.0.to_be_bytes()])), *link))
            .collect();
        order.sort_unstable();
        let branches = usize::try_from(self.branches).unwrap_or(usize::MAX);
        let phase = |place| if place < branches { Phase::Ending } else { Phase::Tail(TAIL_HOPS) };
        let to = order.into_iter().enumerate().map(|(place, (_, link))| (link, phase(place))).collect();
        Spread { heard: branches > 0, to }
    }

    /// The keyed stop: to each neighbour by a coin, to three in four on average however many there are.
    fn stop(&self, question: &Question, others: &[(LinkId, NeighbourId)]) -> Spread {
        let sides = 4 * others.len().max(1) as u64;
        let falls =
            |neighbour: &NeighbourId| self.coins.draw(&[b"stop", question, &neighbour.0.to_be_bytes()]) % sides < 3;
        let to = others.iter().filter(|(_, neighbour)| falls(neighbour)).map(|(link, _)| (*link, Phase::Ending));
        Spread { heard: true, to: to.collect() }
    }

    /// The count from which on this node does not hear a question.
    fn fades_at(&self, question: &Question) -> u8 {
        let span = u64::from(FADE_TO - FADE_FROM);
        FADE_FROM + 1 + (self.coins.draw(&[b"fade", question]) % span) as u8
    }
}

/// Whose link something came by, as the argument of a coin.
fn came_by(from: Option<NeighbourId>) -> [u8; 9] {
    from.map_or([0; 9], |from| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&from.0.to_be_bytes());
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [(LinkId, NeighbourId); 8] = {
        let mut others = [(LinkId(0), NeighbourId(0)); 8];
        let mut n = 0;
        while n < 8 {
            others[n] = (LinkId(n as u64), NeighbourId(100 + n as u64));
            n += 1;
        }
        others
    };

    fn horizon(node: u32, end: FloodEnd) -> Horizon {
        let rules = FloodRules { start: FloodStart::Everywhere, hops: COUNTED_HOPS, fan_out: usize::MAX, end };
        ruled(node, rules)
    }

    fn ruled(node: u32, rules: FloodRules) -> Horizon {
        Horizon::new(blake3::hash(&node.to_be_bytes()).as_bytes(), rules)
    }

    fn question(number: u32) -> Question {
        *blake3::hash(&number.to_be_bytes()).as_bytes()
    }

    fn id(number: u32) -> MessageId {
        MessageId(question(number)[..16].try_into().expect("16 bytes"))
    }

    fn count(spread: &Spread, phase: Phase) -> usize {
        spread.to.iter().filter(|(_, at)| *at == phase).count()
    }

    #[test]
    fn two_hidden_hops_on_average_then_a_constant_number() {
        let nodes: Vec<Horizon> = (0..64).map(|node| horizon(node, FloodEnd::DropTree)).collect();
        let (mut hidden, floods) = (0u32, 20_000u32);
        for flood in 0..floods {
            let (mut phase, mut counted) = (Phase::Hidden, 0);
            for node in nodes.iter().cycle() {
                phase = node.spread(phase, id(flood), || question(0), &OTHERS[..1]).to[0].1;
                match phase {
                    Phase::Hidden => hidden += 1,
                    Phase::Counted(_) => counted += 1,
                    Phase::Ending | Phase::Tail(_) => break,
                }
            }
            assert_eq!(counted, COUNTED_HOPS);
        }
        let mean = f64::from(hidden) / f64::from(floods);
        assert!((1.9..2.1).contains(&mean), "{mean}");
    }

    #[test]
    fn coins_fall_the_same_way_for_the_same_message_and_differ_between_nodes() {
        let falls = |node| {
            let horizon = horizon(node, FloodEnd::DropTree);
            (0..=255).map(|n| horizon.stays_hidden(MessageId([n; 16]))).collect::<Vec<_>>()
        };
        assert_eq!(falls(1), falls(1));
        assert_ne!(falls(1), falls(2));
    }

    #[test]
    fn a_path_is_the_same_for_all_that_comes_by_one_neighbour() {
        let nodes = (0..200).map(|node| ruled(node, FloodRules::default()));
        let (mut hidden, mut together) = (0, 0);
        for node in nodes {
            let paths =
                |others: &[_]| [None, Some(NeighbourId(7)), Some(NeighbourId(8))].map(|by| node.path(by, others));
            let before = paths(&OTHERS);
            assert!(before.iter().all(Option::is_some));
            together += usize::from(before[0] == before[1]) + usize::from(before[1] == before[2]);
            // Another neighbour that leaves moves no path, and a link's name says nothing.
            for gone in 0..8 {
                let left: Vec<_> = OTHERS.iter().filter(|(link, _)| link.0 != gone).copied().collect();
                for (before, after) in before.iter().zip(paths(&left)) {
                    assert!(*before == Some(LinkId(gone)) || *before == after);
                }
            }
            let act = |from| node.wanted(Phase::Hidden, from);
            assert_eq!(act(None), Act::Hide, "nobody's own spreads from himself");
            hidden += (0..30).filter(|from| act(Some(NeighbourId(*from))) == Act::Hide).count();
            let patience = |from| node.patience(Some(NeighbourId(from)));
            assert!(patience(1) == patience(1) && patience(1) != patience(2));
            assert!((0..30).all(|from| (HIDDEN_PATIENCE[0]..=HIDDEN_PATIENCE[1]).contains(&patience(from))));
        }
        assert!(hidden.abs_diff(4_000) < 150, "{hidden} of 6,000");
        assert!(together.abs_diff(50) < 30, "{together} of 400 by chance");
        assert_eq!(ruled(1, FloodRules::default()).path(None, &[]), None);
    }

    #[test]
    fn few_hear_of_a_question_and_always_the_same() {
        let mut times = [0u32; 8];
        for number in 0..2_000 {
            let node = ruled(number % 10, FloodRules { fan_out: 4, ..FloodRules::default() });
            let spread =
                |message, others: &[_]| node.spread(Phase::Counted(1), id(message), || question(number), others);
            let to = spread(1, &OTHERS).to;
            assert_eq!(to.len(), 4);
            assert_eq!(to, spread(2, &OTHERS).to, "repeated in another message");
            for (link, phase) in &to {
                assert_eq!(*phase, Phase::Counted(2));
                times[link.0 as usize] += 1;
            }
            let first = to[0].0;
            let left: Vec<_> = OTHERS.iter().filter(|(link, _)| *link != first).copied().collect();
            let kept = spread(1, &left).to.iter().filter(|copy| to.contains(copy)).count();
            assert_eq!(kept, 3, "by whom it comes changes no other's coin");
        }
        assert!(times.iter().all(|times| times.abs_diff(1_000) < 4 * 25), "{times:?}");
    }

    #[test]
    fn the_drop_trees_number_follows_its_law_and_its_branches_never_change() {
        let mut numbers = [0u32; 4];
        for node in 0..8_000 {
            let horizon = horizon(node, FloodEnd::DropTree);
            let spread = horizon.spread(Phase::Ending, id(0), || question(0), &OTHERS);
            let branches = count(&spread, Phase::Ending);
            assert_eq!(branches + count(&spread, Phase::Tail(TAIL_HOPS)), OTHERS.len(), "the rest get a tail");
            assert_eq!(spread.heard, branches > 0);
            assert_eq!(spread, horizon.spread(Phase::Ending, id(node), || question(node), &OTHERS));
            numbers[branches.min(3)] += 1;
        }
        for (number, expected) in numbers.iter().zip([6000, 1000, 500, 500]) {
            assert!(number.abs_diff(expected) < 4 * 45, "{numbers:?}");
        }
    }

    #[test]
    fn a_link_that_comes_back_under_another_name_keeps_its_place_in_the_tree() {
        let branching = (0..).map(|node| horizon(node, FloodEnd::DropTree)).find(|node| node.branches == 2);
        let spread =
            |others: &[_]| branching.as_ref().map(|node| node.spread(Phase::Ending, id(0), || question(0), others));
        let chosen = |spread: Option<Spread>, base: u64| -> Vec<u64> {
            let to = spread.map(|spread| spread.to).unwrap_or_default();
            let mut chosen: Vec<u64> =
                to.iter().filter(|(_, phase)| *phase == Phase::Ending).map(|(link, _)| link.0 - base).collect();
            chosen.sort_unstable();
            chosen
        };
        let later = OTHERS.map(|(link, neighbour)| (LinkId(link.0 + 50), neighbour));
        let before = chosen(spread(&OTHERS), 0);
        assert_eq!((before.len(), &before), (2, &chosen(spread(&later), 50)));
    }

    #[test]
    fn tails_are_short_and_nobody_hears_them() {
        let node = horizon(1, FloodEnd::DropTree);
        let first = node.spread(Phase::Tail(255), id(0), || question(0), &OTHERS);
        assert_eq!((first.heard, count(&first, Phase::Tail(TAIL_HOPS - 1))), (false, 8), "whatever a neighbour claims");
        let last = node.spread(Phase::Tail(1), id(0), || question(0), &OTHERS);
        assert_eq!(last, Spread { heard: false, to: Vec::new() });
    }

    #[test]
    fn the_keyed_stop_passes_on_three_in_four_and_the_same_for_the_same_question() {
        let node = horizon(1, FloodEnd::KeyedStop);
        for degree in [1, 3, 8] {
            let passed: usize = (0..8_000)
                .map(|n| {
                    let spread = node.spread(Phase::Ending, id(n), || question(n), &OTHERS[..degree]);
                    assert!(spread.heard);
                    assert_eq!(spread, node.spread(Phase::Ending, id(n + 1), || question(n), &OTHERS[..degree]));
                    count(&spread, Phase::Ending)
                })
                .sum();
            assert!(passed.abs_diff(6_000) < 4 * 80, "{passed} of 6,000 at {degree}");
        }
        let of = |node, question| horizon(node, FloodEnd::KeyedStop).spread(Phase::Ending, id(0), || question, &OTHERS);
        assert!((0..50).any(|n| of(1, question(n)) != of(1, question(n + 1))));
    }

    #[test]
    fn fading_has_no_edge() {
        let nodes: Vec<Horizon> = (0..8_000).map(|node| horizon(node, FloodEnd::Fading)).collect();
        let mut before = nodes.len();
        for hops in 1..=FADE_TO {
            let spreads = nodes.iter().map(|node| node.spread(Phase::Counted(hops), id(0), || question(7), &OTHERS));
            let heard = spreads
                .map(|spread| {
                    assert_eq!(spread.to.len(), if hops < FADE_TO { 8 } else { 0 });
                    usize::from(spread.heard)
                })
                .sum::<usize>();
            let step = if hops > FADE_FROM { nodes.len() / usize::from(FADE_TO - FADE_FROM) } else { 0 };
            assert!((before - heard).abs_diff(step) < 4 * 32, "{heard} at {hops}, {before} before");
            before = heard;
        }
        assert_eq!(before, 0);
    }
}
