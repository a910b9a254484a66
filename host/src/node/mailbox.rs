//! The events that wait for an identity. Pure, so that its bounds can be tested.

use std::collections::{BTreeSet, VecDeque};

use mute_core::{Event, TrailId};

/// Floods and letters that wait; beyond, the newest are lost and counted. At 1.6 KB each it is 400 KB.
const MAX_MESSAGES: usize = 256;

/// Events of all kinds that wait. Those of trails are never lost, and they cannot pile up by what others do: a trail that ends
/// before its port has heard of it leaves nothing, so that at most one event waits for each trail and connection that
/// there is. A port that has so many waiting is dead, and is closed.
const MAX_EVENTS: usize = 16_384;

/// The port has left too many events waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck;

/// The events that wait for an identity, oldest first.
#[derive(Default)]
pub(super) struct Mailbox {
    waiting: VecDeque<Event>,
    /// How many of them are floods and letters.
    messages: usize,
    /// The trails whose opening is among them.
    opening: BTreeSet<TrailId>,
}

impl Mailbox {
    /// Takes an event. `Ok(false)`: it was a flood or a letter, and there was no room.
    pub(super) fn push(&mut self, event: Event) -> Result<bool, Stuck> {
        match &event {
            Event::Heard { .. } | Event::Letter { .. } => {
                if self.messages >= MAX_MESSAGES {
                    return Ok(false);
                }
                self.messages += 1;
            }
            Event::TrailOpened { trail, .. } => {
                self.opening.insert(*trail);
            }
            Event::TrailClosed { trail, .. } if self.opening.remove(trail) => {
                let opening =
                    |event: &Event| matches!(event, Event::TrailOpened { trail: opened, .. } if opened == trail);
                self.waiting.retain(|event| !opening(event));
                return Ok(true);
            }
            Event::TrailClosed { .. } | Event::ConnectFailed { .. } | Event::Data { .. } => {}
        }
        if self.waiting.len() >= MAX_EVENTS {
            return Err(Stuck);
        }
        self.waiting.push_back(event);
        Ok(true)
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?;
        match &event {
            Event::Heard { .. } | Event::Letter { .. } => self.messages -= 1,
            Event::TrailOpened { trail, .. } => drop(self.opening.remove(trail)),
            _ => {}
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mute_core::{Address, Close, ConnectionId, DirectionKeys, MessageId, Role, Topic, TrailKeys};

    use super::*;

    fn opened(trail: u64) -> Event {
        let direction = DirectionKeys { seal: [0; 16], iv: [0; 12], mask: [0; 16] };
        let keys = TrailKeys { send: direction.clone(), receive: direction, succession: [0; 32] };
        Event::TrailOpened { trail: TrailId(trail), role: Role::Owner, seek: MessageId([0; 16]), keys }
    }

    fn closed(trail: u64) -> Event {
        Event::TrailClosed { trail: TrailId(trail), why: Close::ByPeer }
    }

    fn heard() -> Event {
        Event::Heard { topic: Topic([0; 16]), from: Address([0; 32]), id: MessageId([0; 16]), body: Bytes::new() }
    }

    #[test]
    fn messages_are_lost_when_nobody_reads_and_trail_events_are_not() {
        let mut mailbox = Mailbox::default();
        let taken = (0..2 * MAX_MESSAGES).filter(|_| mailbox.push(heard()) == Ok(true)).count();
        assert_eq!(taken, MAX_MESSAGES);
        assert_eq!(mailbox.push(opened(1)), Ok(true));
        for _ in 0..MAX_MESSAGES {
            assert!(matches!(mailbox.pop(), Some(Event::Heard { .. })));
        }
        assert!(matches!(mailbox.pop(), Some(Event::TrailOpened { trail: TrailId(1), .. })));
        assert_eq!(mailbox.push(heard()), Ok(true), "there is room again");
    }

    #[test]
    fn a_trail_that_ends_unheard_of_leaves_nothing() {
        let mut mailbox = Mailbox::default();
        for trail in 0..2 * MAX_EVENTS as u64 {
            assert_eq!(mailbox.push(opened(trail)), Ok(true));
            assert_eq!(mailbox.push(closed(trail)), Ok(true));
        }
        assert!(mailbox.pop().is_none());
        assert_eq!(mailbox.push(opened(7)), Ok(true));
        assert!(mailbox.pop().is_some());
        assert_eq!(mailbox.push(closed(7)), Ok(true));
        assert!(matches!(mailbox.pop(), Some(Event::TrailClosed { trail: TrailId(7), .. })));
    }

    #[test]
    fn a_port_that_reads_nothing_at_all_is_told_apart() {
        let mut mailbox = Mailbox::default();
        let failed = || Event::ConnectFailed { connection: ConnectionId(1), why: Close::NoRoute };
        for _ in 0..MAX_EVENTS {
            assert_eq!(mailbox.push(failed()), Ok(true));
        }
        assert_eq!(mailbox.push(failed()), Err(Stuck));
    }
}
