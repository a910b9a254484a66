//! A neighbour that mints addresses: a fresh author for each message, so that the rows of others give way.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use mute_core::{
    Address,
    wire::{Frame, Signed, Stamp, Verified, Walk, Way},
};

use super::{Run, Silent, link, with};
use crate::{Config, NETWORK, Network, NodeId, Topology};

const VICTIM: NodeId = 0;
const HONEST: NodeId = 1;
const ATTACKER: NodeId = 2;

/// Addresses of which the victim hears by its honest neighbour.
const KNOWN: u32 = 1000;

/// Addresses that the attacker mints, over and over what the table holds.
const MINTED: u32 = 40_000;

/// Between two of its messages: under its budget of 16 KB/s, so that no budget ends any.
const PACE: Duration = Duration::from_millis(11);

/// The share of the honest rows by which letters still find their way.
pub(super) fn rows(run: Run, seed: u64) -> f64 {
    let topology = Topology::joined(3, [(VICTIM, HONEST), (VICTIM, ATTACKER)]);
    let reshape = with(run, |defences| defences.share_places = false);
    let mut net = Network::new(Config { reshape, ..Config::new(seed) }, &topology);
    for node in [HONEST, ATTACKER] {
        net.set_behaviour(node, Some(Box::new(Silent)));
    }
    for author in 0..KNOWN {
        say(&mut net, HONEST, author);
    }
    if run != Run::Quiet {
        for author in 0..MINTED {
            say(&mut net, ATTACKER, author);
        }
    }
    found(&mut net)
}

/// The victim hears of an address by a neighbour.
fn say(net: &mut Network, by: NodeId, author: u32) {
    let stamp = Stamp { minute: (net.now().unix_s / 60) as u32, random: u64::from(author) };
    let key = net.key(by, 1 + author);
    if let (Some(link), Ok(message)) = (link(net, VICTIM, by), Signed::<Walk, Verified>::sign(NETWORK, &key, stamp)) {
        net.deliver(VICTIM, link, Frame::Walk { way: Way::Stem, message });
        net.rest(PACE);
    }
}

fn found(net: &mut Network) -> f64 {
    let (port, _) = net.open(VICTIM, 0);
    let way = link(net, VICTIM, HONEST);
    let found: Rc<RefCell<BTreeSet<Address>>> = Rc::default();
    let of_tap = Rc::clone(&found);
    net.tap = Some(Box::new(move |_, node, link, frame| {
        if let Frame::Letter { message } = frame
            && (node, Some(link)) == (VICTIM, way)
        {
            of_tap.borrow_mut().insert(message.to());
        }
    }));
    for author in 0..KNOWN {
        let to = net.address(HONEST, 1 + author);
        net.letter(VICTIM, port, to, "?");
        net.rest(PACE);
    }
    net.tap = None;
    found.borrow().len() as f64 / f64::from(KNOWN)
}
