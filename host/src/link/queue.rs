//! What waits for a neighbour: bounded in bytes, by class and by flow. Pure, so that it can be tested; a fair scheduler
//! takes its place without its users noticing.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use mute_core::{Ecn, Label, wire::Frame};

use super::lane::{LANES, Lane};

/// A packet this small does not make its flow a bulk flow: it is an acknowledgement, a line of chat, a request. It is
/// what any path on the internet carries in one piece.
pub(super) const SMALL_BYTES: usize = 1280;

/// A flow is a bulk flow for so long after its last large packet. Until then its small packets stay in line behind its
/// large ones: QUIC inside would take a packet that is overtaken by 64 for lost.
const BULK_MEMORY: Duration = Duration::from_secs(1);

/// How many bulk flows are remembered; the small packets of others may overtake.
const MAX_BULK_FLOWS: usize = 1024;

/// How much may wait for a neighbour, in bytes. Each class has its own, so that none crowds out another.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    /// Trail, Keep, Close.
    pub(super) control: usize,
    /// Flood, Seek, Letter, Walk.
    pub(super) flood: usize,
    /// Data of interactive flows.
    pub(super) interactive: usize,
    /// Data of bulk flows.
    pub(super) bulk: usize,
    /// Data of the bulk flows of one lane: a stream that is blocked leaves room for the others.
    pub(super) bulk_lane: usize,
    /// Bulk data beyond which what comes is marked as having met congestion.
    pub(super) mark_bulk: usize,
    /// The same of interactive data.
    pub(super) mark_interactive: usize,
}

impl Default for QueueLimits {
    /// Control: some 5,000 messages, more than the 4,096 trails that a neighbour may have. Bulk: 8 MiB is the design's bound
    /// for a neighbour; 4 MiB a lane are 256 of the largest packets, which cost the prototype nothing; an eighth of it, at
    /// which senders are told to slow down, is 4 ms at 125 MB/s. Interactive: 1,000 requests.
    fn default() -> Self {
        Self {
            control: 1 << 20,
            flood: 1 << 20,
            interactive: 1 << 20,
            bulk: 8 << 20,
            bulk_lane: 4 << 20,
            mark_bulk: 512 << 10,
            mark_interactive: 128 << 10,
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits.
    Queued,
    /// It waits, and bears a mark that it met congestion.
    Marked,
    /// There was no room.
    Dropped,
}

/// A frame and its length on the wire.
struct Waiting<S> {
    frame: Frame<S>,
    bytes: usize,
}

/// What waits for one stream.
struct LaneQueue<S> {
    frames: VecDeque<Waiting<S>>,
    bytes: usize,
}

/// The frames that wait for one neighbour.
pub(super) struct SendQueue<S> {
    lanes: [LaneQueue<S>; LANES as usize],
    /// When a flow sent its last large packet.
    bulk: HashMap<Label, Instant>,
    limits: QueueLimits,
}

impl<S> SendQueue<S> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        let empty = |_| LaneQueue { frames: VecDeque::new(), bytes: 0 };
        Self { lanes: std::array::from_fn(empty), bulk: HashMap::new(), limits }
    }

    /// Takes a frame that is `bytes` long on the wire, if there is room.
    pub(super) fn push(&mut self, mut frame: Frame<S>, bytes: usize, now: Instant) -> Verdict {
        let lane = self.lane_of(&frame, now);
        let (limits, all_bulk) = (self.limits, self.bulk_bytes());
        let queue = &mut self.lanes[lane.index()];
        let used = queue.bytes.saturating_add(bytes);
        let (fits, congested) = match lane {
            Lane::CONTROL => (used <= limits.control, false),
            Lane::FLOOD => (used <= limits.flood, false),
            Lane::INTERACTIVE => (used <= limits.interactive, used > limits.mark_interactive),
            _ => {
                let all_bulk = all_bulk.saturating_add(bytes);
                (used <= limits.bulk_lane && all_bulk <= limits.bulk, all_bulk > limits.mark_bulk)
            }
        };
        if !fits {
            return Verdict::Dropped;
        }
        let verdict = if congested && mark(&mut frame) { Verdict::Marked } else { Verdict::Queued };
        queue.bytes = used;
        queue.frames.push_back(Waiting { frame, bytes });
        verdict
    }

    /// Hands the oldest frames of a lane to `take`, at most `max_bytes` (but always one).
    pub(super) fn pop(&mut self, lane: Lane, max_bytes: usize, mut take: impl FnMut(Frame<S>)) {
        let queue = &mut self.lanes[lane.index()];
        let mut taken = 0;
        while let Some(Waiting { frame, bytes }) =
            queue.frames.pop_front_if(|next| taken == 0 || taken + next.bytes <= max_bytes)
        {
            taken += bytes;
            queue.bytes -= bytes;
            take(frame);
        }
    }

    /// How full it is of bulk data: 0 (empty or nearly), 1 (filling), 2 (marking), 3 (about to drop).
    pub(super) fn level(&self) -> u8 {
        let QueueLimits { mark_bulk, bulk_lane, .. } = self.limits;
        match self.bulk_bytes() {
            bytes if bytes > bulk_lane / 4 * 3 => 3,
            bytes if bytes > mark_bulk => 2,
            bytes if bytes > mark_bulk / 2 => 1,
            _ => 0,
        }
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.bytes).sum()
    }

    /// Whether nothing waits in a lane.
    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.lanes[lane.index()].frames.is_empty()
    }

    fn bulk_bytes(&self) -> usize {
        self.lanes[Lane::FIRST_BULK..].iter().map(|lane| lane.bytes).sum()
    }

    fn lane_of(&mut self, frame: &Frame<S>, now: Instant) -> Lane {
        match frame {
            Frame::Trail { .. } | Frame::Keep { .. } | Frame::Close { .. } => Lane::CONTROL,
            Frame::Flood { .. } | Frame::Seek { .. } | Frame::Letter { .. } | Frame::Walk { .. } => Lane::FLOOD,
            Frame::Data { label, body, .. } if body.len() > SMALL_BYTES => {
                self.remember_bulk(*label, now);
                Lane::of_bulk(*label)
            }
            Frame::Data { label, .. } => match self.bulk.get(label) {
                Some(last) if now.saturating_duration_since(*last) < BULK_MEMORY => Lane::of_bulk(*label),
                _ => Lane::INTERACTIVE,
            },
        }
    }

    fn remember_bulk(&mut self, label: Label, now: Instant) {
        if self.bulk.len() >= MAX_BULK_FLOWS && !self.bulk.contains_key(&label) {
            self.bulk.retain(|_, last| now.saturating_duration_since(*last) < BULK_MEMORY);
            if self.bulk.len() >= MAX_BULK_FLOWS {
                return;
            }
        }
        self.bulk.insert(label, now);
    }
}

/// Marks a frame as having met congestion, if its ends understand that.
fn mark<S>(frame: &mut Frame<S>) -> bool {
    match frame {
        Frame::Data { ecn: ecn @ (Ecn::Capable0 | Ecn::Capable1), .. } => {
            *ecn = Ecn::Experienced;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mute_core::{
        IdentityKey, NetworkId, Topic,
        wire::{Flood, Phase, Signed, Stamp, Verified},
    };

    use super::*;

    type Queue = SendQueue<Verified>;

    fn flood() -> Frame<Verified> {
        let (key, stamp) = (IdentityKey::from_seed(&[1; 32]), Stamp { minute: 1, random: 1 });
        let message = Signed::<Flood, _>::sign(NetworkId([0; 16]), &key, stamp, Topic([0; 16]), b"?");
        Frame::Flood { phase: Phase::Hidden, message: message.expect("a short body") }
    }

    fn queue() -> Queue {
        SendQueue::new(QueueLimits {
            control: 1_000,
            flood: 1_000,
            interactive: 5_000,
            bulk: 150_000,
            bulk_lane: 100_000,
            mark_bulk: 20_000,
            mark_interactive: 2_000,
        })
    }

    fn data(label: u64, length: usize, ecn: Ecn) -> Frame<Verified> {
        Frame::Data { label: Label(label), ecn, body: Bytes::from(vec![0; length]) }
    }

    fn drain(queue: &mut Queue, lane: Lane) -> Vec<Frame<Verified>> {
        let mut frames = Vec::new();
        queue.pop(lane, usize::MAX, |frame| frames.push(frame));
        frames
    }

    #[test]
    fn data_is_marked_over_the_threshold_and_dropped_when_full() {
        let (mut queue, now) = (queue(), Instant::now());
        let verdicts: Vec<_> = (0..12).map(|_| queue.push(data(2, 10_000, Ecn::Capable0), 10_000, now)).collect();
        assert_eq!(verdicts[..2], [Verdict::Queued; 2]);
        assert_eq!(verdicts[2..10], [Verdict::Marked; 8]);
        assert_eq!(verdicts[10..], [Verdict::Dropped; 2]);
        assert_eq!((queue.level(), queue.bytes()), (3, 100_000));
        let frames = drain(&mut queue, Lane::of_bulk(Label(2)));
        let marked = |frame: &&Frame<Verified>| matches!(frame, Frame::Data { ecn: Ecn::Experienced, .. });
        assert_eq!((frames.len(), frames.iter().filter(marked).count()), (10, 8));
        assert_eq!((queue.level(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_stuffed_lane_leaves_room_for_the_others() {
        let (mut queue, now) = (queue(), Instant::now());
        let mut stuff = |label| {
            (0..20)
                .filter(|_| queue.push(data(label, 10_000, Ecn::NotCapable), 10_000, now) != Verdict::Dropped)
                .count()
        };
        assert_eq!((stuff(0), stuff(2), stuff(4)), (10, 5, 0));
        let small: Vec<_> = (0..6).map(|_| queue.push(data(9, 1_000, Ecn::Capable1), 1_000, now)).collect();
        assert_eq!(small[..2], [Verdict::Queued; 2]);
        assert_eq!(small[2..5], [Verdict::Marked; 3]);
        assert_eq!(small[5], Verdict::Dropped);
    }

    #[test]
    fn what_cannot_be_marked_is_left_as_it_is() {
        let (mut queue, now) = (queue(), Instant::now());
        for _ in 0..5 {
            assert_eq!(queue.push(data(2, 10_000, Ecn::NotCapable), 10_000, now), Verdict::Queued);
        }
        assert_eq!(queue.level(), 2);
    }

    #[test]
    fn control_has_a_budget_of_its_own() {
        let (mut queue, now) = (queue(), Instant::now());
        while queue.push(data(2, 10_000, Ecn::Capable0), 10_000, now) != Verdict::Dropped {}
        let close = |n| Frame::Close { label: Label(n) };
        let taken = (0..200).filter(|n| queue.push(close(*n), 10, now) == Verdict::Queued).count();
        assert_eq!(taken, 100);
        assert_eq!(queue.push(flood(), 900, now), Verdict::Queued);
        assert_eq!(queue.push(flood(), 200, now), Verdict::Dropped);
        let closes = drain(&mut queue, Lane::CONTROL);
        let in_order = closes.iter().zip(0..).all(|(frame, n)| matches!(frame, Frame::Close { label } if label.0 == n));
        assert!(closes.len() == 100 && in_order);
    }

    #[test]
    fn small_packets_of_a_bulk_flow_stay_in_line() {
        let (mut queue, now) = (queue(), Instant::now());
        let bulk = Lane::of_bulk(Label(8));
        queue.push(data(8, 100, Ecn::Capable0), 100, now);
        assert_eq!(drain(&mut queue, Lane::INTERACTIVE).len(), 1);
        queue.push(data(8, SMALL_BYTES + 1, Ecn::Capable0), 1_300, now);
        queue.push(data(8, 100, Ecn::Capable0), 100, now + BULK_MEMORY / 2);
        queue.push(data(10, 100, Ecn::Capable0), 100, now + BULK_MEMORY / 2);
        assert_eq!(drain(&mut queue, Lane::INTERACTIVE).len(), 1);
        assert_eq!(drain(&mut queue, bulk).len(), 2);
        queue.push(data(8, 100, Ecn::Capable0), 100, now + BULK_MEMORY);
        assert_eq!(drain(&mut queue, Lane::INTERACTIVE).len(), 1);
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let (mut queue, now) = (queue(), Instant::now());
        for _ in 0..3 {
            queue.push(data(2, 10_000, Ecn::Capable0), 10_000, now);
        }
        let mut count = 0;
        queue.pop(Lane::of_bulk(Label(2)), 1, |_| count += 1);
        assert_eq!((count, queue.bytes()), (1, 20_000));
        queue.pop(Lane::of_bulk(Label(2)), 20_000, |_| count += 1);
        assert_eq!((count, queue.bytes(), queue.is_empty(Lane::of_bulk(Label(2)))), (3, 0, true));
    }

    #[test]
    fn the_memory_of_flows_is_bounded() {
        let (mut queue, now) = (queue(), Instant::now());
        for label in 0..3 * MAX_BULK_FLOWS as u64 {
            queue.push(data(label, SMALL_BYTES + 1, Ecn::NotCapable), 1, now);
        }
        assert_eq!(queue.bulk.len(), MAX_BULK_FLOWS);
        queue.push(data(u64::MAX, SMALL_BYTES + 1, Ecn::NotCapable), 1, now + BULK_MEMORY);
        assert_eq!(queue.bulk.len(), 1);
    }
}
