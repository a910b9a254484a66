//! The queues of a scheduler that is not empty.

use super::{
    Ingress, SchedulerConfig, SchedulerCounters, Standing, Verdict,
    fifo::Waiting,
    ingress::{Link, Source, Waits, source},
    lane::{Lane, Lanes},
    limits::{
        CONTROL_BURST, CONTROL_BYTES, CONTROL_INGRESS_BYTES, CONTROL_SHARE, FLOOD_BURST, FLOOD_BYTES,
        FLOOD_INGRESS_BYTES, FLOOD_SHARE, INGRESS_MEMORY, LEAST_CHARGE, LEAST_QUANTUM, LONE_QUANTUM, MAX_INGRESSES,
        QUANTUM,
    },
    rate::DrainRate,
    ring::{Has, Ring},
    share::Share,
};
use crate::wire::Frame;

/// The heaviest that an ingress can weigh.
const MAX_WEIGHT: u8 = 16;

/// The queues, and whose turn it is in each class.
pub(super) struct State<S> {
    ingresses: Vec<Waits<S>>,
    control: Ring,
    floods: Ring,
    data: Ring,
    control_share: Share,
    flood_share: Share,
    control_bytes: usize,
    flood_bytes: usize,
    data_bytes: usize,
    /// How many frames have come.
    number: u64,
}

impl<S> Default for State<S> {
    fn default() -> Self {
        Self {
            ingresses: Vec::new(),
            control: Ring::default(),
            floods: Ring::default(),
            data: Ring::default(),
            control_share: Share::new(CONTROL_SHARE, CONTROL_BURST),
            flood_share: Share::new(FLOOD_SHARE, FLOOD_BURST),
            control_bytes: 0,
            flood_bytes: 0,
            data_bytes: 0,
            number: 0,
        }
    }
}

impl<S> State<S> {
    pub(super) fn bytes(&self) -> usize {
        self.control_bytes + self.flood_bytes + self.data_bytes
    }

    pub(super) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    pub(super) fn push(
        &mut self,
        ingress: Ingress,
        frame: Frame<S>,
        now_us: u64,
        config: &SchedulerConfig,
        counters: &mut SchedulerCounters,
    ) -> Verdict {
        let Some(place) = self.place(ingress, now_us) else {
            return Verdict::Dropped;
        };
        self.number += 1;
        // No frame is longer than MAX_FRAME.
        let charge = frame.encoded_len().max(LEAST_CHARGE) as u32;
        let waiting = Waiting { frame, charge, since_us: now_us, number: self.number };
        match &waiting.frame {
            Frame::Data { .. } => {
                self.push_data(place, waiting);
                self.make_room(place, config, counters);
                Verdict::Queued
            }
            Frame::Flood { .. } | Frame::Seek { .. } | Frame::Letter { .. } | Frame::Walk { .. } => {
                self.push_flood(place, waiting, counters);
                Verdict::Queued
            }
            Frame::Trail { .. } | Frame::Keep { .. } | Frame::Close { .. } => {
                let ingress = &mut self.ingresses[usize::from(place)];
                let before = ingress.data.bytes();
                match ingress.data.push_close(waiting) {
                    Ok(()) => {
                        self.data_bytes += ingress.data.bytes() - before;
                        self.make_room(place, config, counters);
                        Verdict::Queued
                    }
                    Err(waiting) => self.push_control(place, waiting, counters),
                }
            }
        }
    }

    pub(super) fn pop(
        &mut self,
        lanes: Lanes,
        now_us: u64,
        rate: &DrainRate,
        config: &SchedulerConfig,
        counters: &mut SchedulerCounters,
    ) -> Option<(Lane, Waiting<S>)> {
        let control_waits = self.control_bytes > 0 && lanes.has(Lane::CONTROL);
        let floods_wait = self.flood_bytes > 0 && lanes.has(Lane::FLOOD);
        if control_waits && (self.control_share.is_left() || !(floods_wait || self.data_waits(lanes))) {
            return self.pop_control();
        }
        if floods_wait && (self.flood_share.is_left() || !self.data_waits(lanes)) {
            return self.pop_flood();
        }
        if self.data_bytes > 0
            && let Some(taken) = self.pop_data(lanes, now_us, rate, config, counters)
        {
            return Some(taken);
        }
        // All Data was too old, which may have released Closes.
        if self.control_bytes > 0 && lanes.has(Lane::CONTROL) {
            self.pop_control()
        } else if floods_wait {
            self.pop_flood()
        } else {
            None
        }
    }

    /// Whether Data waits that could go now.
    fn data_waits(&self, lanes: Lanes) -> bool {
        self.data_bytes > 0 && self.ingresses.iter().any(|ingress| ingress.data.has(lanes) == Has::Now)
    }

    fn pop_control(&mut self) -> Option<(Lane, Waiting<S>)> {
        let ingresses = &self.ingresses;
        let has = |place| has_any(ingresses.get(usize::from(place)).is_some_and(|i| !i.control.is_empty()));
        let place = self.control.next(|_, _| QUANTUM, has)?;
        let waiting = self.ingresses[usize::from(place)].control.pop()?;
        self.control_bytes -= waiting.charge as usize;
        self.control.pay(place, waiting.charge);
        // What goes first though its share is used up has nobody to wait for, so it makes no debt.
        if self.control_share.is_left() && self.flood_bytes + self.data_bytes > 0 {
            self.control_share.spend(waiting.charge);
        }
        self.flood_share.earn(waiting.charge);
        Some((Lane::CONTROL, waiting))
    }

    fn pop_flood(&mut self) -> Option<(Lane, Waiting<S>)> {
        let ingresses = &self.ingresses;
        let has = |place| has_any(ingresses.get(usize::from(place)).is_some_and(|i| !i.floods.is_empty()));
        let place = self.floods.next(|_, _| QUANTUM, has)?;
        let waiting = self.ingresses[usize::from(place)].floods.pop()?;
        self.flood_bytes -= waiting.charge as usize;
        self.floods.pay(place, waiting.charge);
        if self.flood_share.is_left() && self.data_bytes > 0 {
            self.flood_share.spend(waiting.charge);
        }
        self.control_share.earn(waiting.charge);
        Some((Lane::FLOOD, waiting))
    }

    fn pop_data(
        &mut self,
        lanes: Lanes,
        now_us: u64,
        rate: &DrainRate,
        config: &SchedulerConfig,
        counters: &mut SchedulerCounters,
    ) -> Option<(Lane, Waiting<S>)> {
        let crowded = config.max_ingress_bytes / 2;
        loop {
            let ingresses = &self.ingresses;
            let has = |place| ingresses.get(usize::from(place)).map_or(Has::Nothing, |i| i.data.has(lanes));
            let place = self.data.next(|ring, place| quantum(ingresses, ring, place), has)?;
            let link = Link { now_us, rate, sharing: self.data.len() as u64, crowded };
            let data = &mut self.ingresses[usize::from(place)].data;
            let before = data.bytes();
            let taken = data.pop(lanes, &link, counters);
            self.data_bytes -= before - data.bytes();
            self.release(place, counters);
            if let Some((lane, waiting)) = taken {
                self.data.pay(place, waiting.charge);
                self.control_share.earn(waiting.charge);
                self.flood_share.earn(waiting.charge);
                return Some((lane, waiting));
            }
        }
    }

    fn push_data(&mut self, place: u8, waiting: Waiting<S>) {
        self.data_bytes += waiting.charge as usize;
        self.ingresses[usize::from(place)].data.push(waiting);
        let quantum = quantum(&self.ingresses, &self.data, place);
        self.data.enter(place, quantum);
    }

    fn push_flood(&mut self, place: u8, waiting: Waiting<S>, counters: &mut SchedulerCounters) {
        self.flood_bytes += waiting.charge as usize;
        let floods = &mut self.ingresses[usize::from(place)].floods;
        floods.push(waiting);
        let mut gone = None;
        if floods.bytes() > FLOOD_INGRESS_BYTES {
            gone = floods.pop();
        } else if self.flood_bytes > FLOOD_BYTES {
            let longest = self.ingresses.iter_mut().max_by_key(|ingress| ingress.floods.bytes());
            gone = longest.and_then(|ingress| ingress.floods.pop());
        }
        if let Some(gone) = gone {
            self.flood_bytes -= gone.charge as usize;
            counters.evicted += 1;
        }
        self.floods.enter(place, QUANTUM);
    }

    /// Takes a control message. When there is no room for all, the newest of whoever has most gives way: what a Close or Keep says, nothing later repeats soon.
    fn push_control(&mut self, place: u8, waiting: Waiting<S>, counters: &mut SchedulerCounters) -> Verdict {
        let charge = waiting.charge as usize;
        let held = self.ingresses[usize::from(place)].control.bytes() + charge;
        if held > CONTROL_INGRESS_BYTES {
            return Verdict::Dropped;
        }
        if self.control_bytes + charge > CONTROL_BYTES {
            let longest = self.ingresses.iter_mut().max_by_key(|ingress| ingress.control.bytes());
            let Some(longest) = longest.filter(|ingress| ingress.control.bytes() > held) else {
                return Verdict::Dropped;
            };
            while self.control_bytes + charge > CONTROL_BYTES
                && let Some(gone) = longest.control.pop_newest()
            {
                self.control_bytes -= gone.charge as usize;
                counters.evicted += 1;
            }
        }
        self.control_bytes += charge;
        self.ingresses[usize::from(place)].control.push(waiting);
        self.control.enter(place, QUANTUM);
        Verdict::Queued
    }

    /// Drops from the front of the longest queues until there is room.
    fn make_room(&mut self, place: u8, config: &SchedulerConfig, counters: &mut SchedulerCounters) {
        loop {
            let victim = if self.ingresses[usize::from(place)].data.bytes() > config.max_ingress_bytes {
                place
            } else if self.data_bytes > config.max_bytes {
                self.longest()
            } else {
                return;
            };
            let data = &mut self.ingresses[usize::from(victim)].data;
            let before = data.bytes();
            if data.evict().is_none() {
                return;
            }
            self.data_bytes -= before - data.bytes();
            counters.evicted += 1;
            self.release(victim, counters);
        }
    }

    /// Closes that have nothing before them any more go as control.
    fn release(&mut self, place: u8, counters: &mut SchedulerCounters) {
        while let Some(close) = self.ingresses[usize::from(place)].data.pop_released() {
            if self.push_control(place, close, counters) == Verdict::Dropped {
                counters.evicted += 1;
            }
        }
    }

    /// Who has most Data waiting for its weight.
    fn longest(&self) -> u8 {
        let mut longest = (0, 0, 1);
        for (place, ingress) in (0..).zip(&self.ingresses) {
            let held = ingress.data.bytes() as u64;
            let quantum = u64::from(quantum(&self.ingresses, &self.data, place));
            if held * longest.2 > longest.1 * quantum {
                longest = (place, held, quantum);
            }
        }
        longest.0
    }

    /// The place of an ingress, a new one if need be.
    fn place(&mut self, Ingress { hop, standing }: Ingress, now_us: u64) -> Option<u8> {
        let source = source(hop);
        let at = match self.ingresses.iter().position(|waits| waits.source == source) {
            Some(at) => at,
            None => self.new_place(source, now_us)?,
        };
        let waits = self.ingresses.get_mut(at)?;
        waits.last_us = now_us;
        waits.standing = Standing { weight: standing.weight.clamp(1, MAX_WEIGHT), ..standing };
        // Less than MAX_INGRESSES.
        u8::try_from(at).ok()
    }

    /// A place for a new ingress: of one that has been silent, at the end, or (when there is no end any more) of any that is empty.
    fn new_place(&mut self, source: Source, now_us: u64) -> Option<usize> {
        let memory = INGRESS_MEMORY.as_micros() as u64;
        let is_old = |ingress: &Waits<S>| ingress.is_empty() && now_us.saturating_sub(ingress.last_us) >= memory;
        let mut free = self.ingresses.iter().position(is_old);
        if free.is_none() && self.ingresses.len() >= MAX_INGRESSES {
            free = Some(self.ingresses.iter().position(Waits::is_empty)?);
        }
        let Some(at) = free else {
            self.ingresses.push(Waits::new(source));
            return Some(self.ingresses.len() - 1);
        };
        self.ingresses[at] = Waits::new(source);
        for ring in [&mut self.control, &mut self.floods, &mut self.data] {
            // Less than MAX_INGRESSES.
            ring.forget(at as u8);
        }
        Some(at)
    }
}

const fn has_any(any: bool) -> Has {
    if any { Has::Now } else { Has::Nothing }
}

/// What an ingress may send in a round: by its weight, and for strangers so that all of them together get no more than the heaviest of the others. Whoever mints
/// nodes is one user then. This node itself is a stranger unless a friend waits too. Strangers who are alone take turns as short: a friend whose queue is empty
/// for a moment comes back to a round of the same length, not to four times what it had.
fn quantum<S>(ingresses: &[Waits<S>], ring: &Ring, place: u8) -> u32 {
    let Some(own) = ingresses.get(usize::from(place)) else {
        return QUANTUM;
    };
    let full = QUANTUM * u32::from(own.standing.weight);
    let (mut strangers, mut heaviest, mut this_node, mut friend) = (0, 1, 0, false);
    for waits in ring.listed().filter_map(|place| ingresses.get(usize::from(place))) {
        let weight = u32::from(waits.standing.weight);
        match (waits.standing.stranger, waits.source.is_some()) {
            (true, _) => strangers += weight,
            (false, false) => this_node = weight,
            (false, true) => {
                heaviest = heaviest.max(weight);
                friend = true;
            }
        }
    }
    let is_favoured = !own.standing.stranger && (own.source.is_some() || friend || strangers == 0);
    if friend {
        heaviest = heaviest.max(this_node);
    } else {
        strangers += this_node;
    }
    if is_favoured || strangers <= heaviest {
        return full;
    }
    (full * heaviest / strangers).max(if friend { LEAST_QUANTUM } else { LONE_QUANTUM })
}
