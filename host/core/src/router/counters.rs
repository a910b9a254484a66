//! What a router counts.

/// Counts of one kind of message or of all Data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    /// Frames that went on to a neighbour for others: one for each neighbour.
    pub relayed: u64,
    /// Frames that an identity of this node sent: one for each neighbour.
    pub sent: u64,
    /// Messages that reached an identity of this node.
    pub delivered: u64,
}

/// Why messages were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Drops {
    /// The stamp was too old or too far ahead.
    pub stale: u64,
    /// Seen before. (Ordinary in a flood: one for each redundant link.)
    pub duplicate: u64,
    /// No scent of the target.
    pub no_scent: u64,
    /// The neighbour's (or port's) budget for its kind was spent.
    pub budget: u64,
    /// A table had no room for it, or not for one more of this neighbour.
    pub full: u64,
    /// Data or a Keep with a label that names no trail.
    pub unknown_label: u64,
    /// A Trail to a Seek that nobody here remembers, or that is answered.
    pub unknown_seek: u64,
    /// Data from an owner before a packet arrived on the trail.
    pub early: u64,
    /// A message from this node that is too long or from no port.
    pub invalid: u64,
}

/// How much a router holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gauges {
    /// Neighbours.
    pub links: u64,
    /// Identities.
    pub ports: u64,
    /// Trails that pass through or end here.
    pub bindings: u64,
    /// Ends of trails at ports.
    pub trails: u64,
    /// Connections of ports.
    pub connections: u64,
    /// Addresses with scent.
    pub scent_rows: u64,
    /// Seeks that a Trail may still come back for.
    pub seeks: u64,
    /// Flooded messages that were passed on hidden and have not come back yet.
    pub hidden: u64,
    /// Ids of messages that would be duplicates.
    pub seen: u64,
    /// One-time keys that letters may still come for.
    pub reply_keys: u64,
    /// Wake-ups ahead.
    pub timers: u64,
    /// What waits to be heard by an identity or sent to a neighbour.
    pub held: u64,
    /// Its bytes.
    pub held_bytes: u64,
}

/// What a router did since its start, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Floods.
    pub floods: Traffic,
    /// Seeks.
    pub seeks: Traffic,
    /// Trails.
    pub trails: Traffic,
    /// Keeps.
    pub keeps: Traffic,
    /// Letters.
    pub letters: Traffic,
    /// Walks.
    pub walks: Traffic,
    /// Data, in frames.
    pub data: Traffic,
    /// Data, in bytes of sealed packets.
    pub data_bytes: Traffic,
    /// Closes sent.
    pub closes_sent: u64,
    /// Closes received.
    pub closes_received: u64,
    /// Closes that were held back because one per label and second, or the link's budget, was sent.
    pub closes_held: u64,
    /// Neighbours that broke the protocol.
    pub violations: u64,
    /// Flooded messages that were passed on hidden, did not come back, and spread from here.
    pub unhidden: u64,
    /// Messages dropped.
    pub drops: Drops,
    /// What the tables hold now.
    pub live: Gauges,
}
