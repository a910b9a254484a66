//! Random events in random order: every bound holds, friends stay, time is respected, and a seed replays a run.

use std::time::Duration;

use mute_core::{
    LinkId,
    neighbours::{
        Admission, Class, Decision, DialFailure, End, Friend, Host, NeighbourAddress, NodeKey, Rules, State, limits,
    },
};
use proptest::prelude::*;

use crate::world::{World, address, config, key};

/// Names of each sort are drawn from so few that they meet.
const FEW: u32 = 40;

#[derive(Clone, Debug)]
enum Step {
    Comes(u32),
    Answers(bool),
    Refused(u32),
    Goes(u32, bool),
    Befriend(u32, bool),
    Remove(u32),
    Learn(u32, u32),
    Claims(u32),
    Served(u32),
    Asked(u32),
    Passes(u32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..FEW;
    prop_oneof![
        6 => who.clone().prop_map(Step::Comes),
        8 => any::<bool>().prop_map(Step::Answers),
        1 => who.clone().prop_map(Step::Refused),
        3 => (who.clone(), prop::bool::weighted(0.2)).prop_map(|(who, offence)| Step::Goes(who, offence)),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, dialled)| Step::Befriend(who, dialled)),
        1 => who.clone().prop_map(Step::Remove),
        3 => (who.clone(), who.clone()).prop_map(|(from, first)| Step::Learn(from, first)),
        2 => who.clone().prop_map(Step::Claims),
        1 => who.clone().prop_map(Step::Served),
        1 => who.prop_map(Step::Asked),
        8 => prop_oneof![0..100_u32, 1000..10_000_u32, 100_000..10_000_000_u32].prop_map(Step::Passes),
        1 => Just(Step::Restart),
    ]
}

/// Where the node with this number is: prefixes are shared by several, and some are local or hidden.
fn place(number: u32) -> NeighbourAddress {
    match number % 10 {
        8 => NeighbourAddress::at(([10, 0, 0, number as u8], 4848).into()),
        9 => NeighbourAddress::HIDDEN,
        _ => address((number % 6) as u16, (number % 3) as u8, number as u8),
    }
}

fn known(number: u32) -> Host {
    Host { key: key(number), address: place(number) }
}

/// What a caller sees of a run.
#[derive(Debug, Default, PartialEq)]
struct Trace(Vec<(Decision, usize)>);

struct Run {
    world: World,
    rules: Rules,
    open: Vec<(NodeKey, NeighbourAddress)>,
    trace: Trace,
    /// Chosen strangers that were given up for others: when.
    changes: Vec<Duration>,
}

impl Run {
    fn drain(&mut self) {
        while let Some(decision) = self.world.neighbours.poll() {
            self.trace.0.push((decision, self.world.neighbours.links()));
            if let Decision::Dial { key, address } = decision {
                self.open.push((key, address));
            }
        }
    }

    /// A connection has come up. Checks what its admission does to others.
    fn admit(&mut self, key: NodeKey, from: NeighbourAddress, dialled: bool) {
        let before = self.world.neighbours.states(self.world.now.instant);
        let link = self.world.link();
        let admission = self.world.neighbours.admit(key, from, link, dialled, self.world.now);
        let Admission::Keep { class, instead_of, gives_way } = admission else { return };
        let holder = |link: LinkId| {
            before.iter().find_map(|(key, state)| match state {
                State::Up { link: theirs, class } if *theirs == link => Some((*key, *class)),
                _ => None,
            })
        };
        if let Some(link) = instead_of {
            assert_eq!(holder(link).map(|(holder, _)| holder), Some(key), "a link replaces one of its own only");
        }
        if let Some(link) = gives_way {
            let (_, gone) = holder(link).expect("it had a link");
            assert_ne!(gone, Class::Friend, "a friend gave way");
            if class != Class::Friend {
                assert_eq!((class, gone), (Class::Outbound, Class::Outbound));
                self.changes.push(self.world.now.instant.since_origin());
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.world.now;
        match *step {
            Step::Comes(who) => self.admit(key(who), place(who), false),
            Step::Answers(alive) => {
                if let Some((key, address)) = self.open.pop() {
                    if alive {
                        self.admit(key, address, true);
                    } else {
                        self.world.neighbours.dial_failed(key, DialFailure::Unreachable, &[], now);
                    }
                }
            }
            Step::Refused(who) => {
                if let Some((key, _)) = self.open.pop() {
                    let hosts: Vec<Host> = (who..who + 20).map(known).collect();
                    self.world.neighbours.dial_failed(key, DialFailure::Refused, &hosts, now);
                }
            }
            Step::Goes(who, offence) => self.world.lose(key(who), if offence { End::Offence } else { End::Lost }),
            Step::Befriend(who, dialled) => {
                let friend = Friend { address: place(who), dialled, told: who % 2 == 0 };
                self.world.neighbours.befriend(key(who), friend).expect("there are few");
            }
            Step::Remove(who) => drop(self.world.neighbours.remove(key(who))),
            Step::Learn(from, first) => {
                let hosts: Vec<Host> = (first..first + 20).map(known).collect();
                self.world.neighbours.learn(key(from), &hosts, now);
                self.world.neighbours.add_stranger(known(first), now);
            }
            Step::Claims(who) => self.world.neighbours.claims(key(who), 4848),
            Step::Served(who) => self.world.neighbours.served(key(who), now.instant),
            Step::Asked(who) => {
                let told = self.world.neighbours.asked(key(who), now).unwrap_or_default();
                assert!(told.len() <= limits::MAX_TOLD && told.iter().all(|host| host.address.is_public()));
            }
            Step::Passes(ms) => self.world.pass(Duration::from_millis(ms.into())),
            Step::Restart => {
                let saved = self.world.neighbours.save(now);
                let mut next = mute_core::neighbours::Neighbours::new(&config(self.rules, 3), now);
                next.load(&saved, now).expect("what was saved can be read");
                // Who found its place in *tried* taken may find it free, and so come in another order.
                let all = next.save(now).len() == saved.len();
                assert!(all || !self.rules.fixed_places, "something is lost on the way");
                self.world.neighbours = next;
                self.open.clear();
                self.changes.clear();
            }
        }
        self.world.neighbours.tick(self.world.now);
        self.drain();
        self.world.neighbours.check();
    }
}

fn run(steps: &[Step], rules: Rules) -> (Trace, Vec<Duration>) {
    let mut run =
        Run { world: World::new(rules), rules, open: Vec::new(), trace: Trace::default(), changes: Vec::new() };
    for step in steps {
        run.step(step);
    }
    (run.trace, run.changes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn bounds_hold_and_a_seed_replays_a_run(steps in prop::collection::vec(step(), 1..300)) {
        let (trace, changes) = run(&steps, Rules::default());
        prop_assert!(changes.windows(2).all(|pair| pair[1] - pair[0] >= limits::CHANGE_INTERVAL));
        let (again, _) = run(&steps, Rules::default());
        prop_assert_eq!(trace, again);
    }

    #[test]
    fn a_fixed_topology_and_loose_rules_hold_theirs(steps in prop::collection::vec(step(), 1..200)) {
        run(&steps, Rules::fixed(8));
        run(&steps, Rules { per_prefix: 3, per_wide_prefix: 4, per_origin: 4, anchors: 2, fixed_places: false, ..Rules::default() });
    }
}

/// Random programs that chose nobody, or told nobody of anybody, would prove nothing.
#[test]
fn random_programs_get_somewhere() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};

    let mut runner = TestRunner::deterministic();
    let (mut dials, mut most) = (0, 0);
    for _ in 0..100 {
        let steps = prop::collection::vec(step(), 300).new_tree(&mut runner).expect("steps").current();
        let (trace, _) = run(&steps, Rules::default());
        dials += trace.0.iter().filter(|(decision, _)| matches!(decision, Decision::Dial { .. })).count();
        most = most.max(trace.0.iter().map(|(_, links)| *links).max().unwrap_or(0));
    }
    assert!(dials > 3000 && most > 10, "{dials} dials, {most} links");
}
