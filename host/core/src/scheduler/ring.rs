//! Whose turn it is: deficit round robin with overdraft.
//!
//! Shreedhar and Varghese, "Efficient fair queuing using deficit round robin" (1996), in the form that FQ-CoDel gives it (RFC 8290, 4.1 and 5.4): who has
//! credit left sends, and pays afterwards; who has none gets a quantum and goes to the end. Who comes new is served first, for one quantum, and goes to the
//! end before it leaves, so that coming again and again gains nothing. Different from there: a debt is paid before it is forgotten, since a quantum is
//! shorter than a packet can be.

use std::collections::VecDeque;

/// What somebody has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has {
    /// Something that can go now.
    Now,
    /// Something that waits for a stream.
    Later,
    /// Nothing.
    Nothing,
}

/// Turns among the ingresses, by their places.
#[derive(Default)]
pub(super) struct Ring {
    /// Who has come since its last silence.
    fresh: VecDeque<u8>,
    old: VecDeque<u8>,
    /// The credit of those who are in a list.
    credits: Vec<Option<i32>>,
}

impl Ring {
    /// Somebody has something to send.
    pub(super) fn enter(&mut self, place: u8, quantum: u32) {
        let index = usize::from(place);
        if self.credits.len() <= index {
            self.credits.resize(index + 1, None);
        }
        if self.credits[index].is_none() {
            self.credits[index] = Some(quantum as i32);
            self.fresh.push_back(place);
        }
    }

    /// Strikes somebody from the lists, with its debt.
    pub(super) fn forget(&mut self, place: u8) {
        if let Some(credit) = self.credits.get_mut(usize::from(place)).filter(|credit| credit.is_some()) {
            *credit = None;
            self.fresh.retain(|other| *other != place);
            self.old.retain(|other| *other != place);
        }
    }

    /// Those who are in a list.
    pub(super) fn listed(&self) -> impl Iterator<Item = u8> {
        self.fresh.iter().chain(&self.old).copied()
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.old.len()
    }

    /// Whose turn it is; `None` if nobody can send now.
    pub(super) fn next(&mut self, quantum: impl Fn(&Self, u8) -> u32, has: impl Fn(u8) -> Has) -> Option<u8> {
        loop {
            let able = |(at, place): (usize, &u8)| Some((at, *place, has(*place))).filter(|able| able.2 != Has::Later);
            let (is_fresh, (at, place, has)) = match self.fresh.iter().enumerate().find_map(able) {
                Some(first) => (true, first),
                None => (false, self.old.iter().enumerate().find_map(able)?),
            };
            // Whoever is in a list has a credit.
            let credit = self.credits.get(usize::from(place)).copied().flatten()?;
            if credit > 0 && has == Has::Now {
                return Some(place);
            }
            let raise = if credit > 0 { 0 } else { quantum(self, place) };
            let list = if is_fresh { &mut self.fresh } else { &mut self.old };
            list.remove(at);
            let stays = credit <= 0 || is_fresh;
            self.credits[usize::from(place)] = stays.then_some(credit.saturating_add_unsigned(raise));
            if stays {
                self.old.push_back(place);
            }
        }
    }

    /// Somebody has sent so much.
    pub(super) fn pay(&mut self, place: u8, bytes: u32) {
        if let Some(Some(credit)) = self.credits.get_mut(usize::from(place)) {
            *credit = credit.saturating_sub_unsigned(bytes);
        }
    }
}
