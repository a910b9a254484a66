//! Every bound of the router, with its reason. Times are of the protocol; sizes keep what one hostile neighbour can make a node hold
//! at some 10 MB, and all of them together under 60 MB. What waits for identities in a network with delays comes on top: 32 MB, a
//! hostile neighbour's share being half of what nobody else takes.

use core::time::Duration;

// ── Links and ports ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Links at once. The neighbour policy keeps 4 to 16; in a fixed test topology a hundred nodes may all be linked.
pub const MAX_LINKS: usize = 100;

/// Identities at once: plugins with a few each, and one-time ones.
pub const MAX_PORTS: usize = 256;

/// Topics that one port hears: a plugin needs a handful.
pub const MAX_TOPICS_PER_PORT: usize = 64;

/// Connections that one port seeks or keeps at once.
pub const MAX_CONNECTIONS_PER_PORT: usize = 256;

/// Trails that end at one port as its address's owner, so that a crowd of seekers cannot fill a node: 2 MB.
pub const MAX_OWNED_TRAILS_PER_PORT: usize = 2048;

/// Outputs that wait for `poll`. Beyond, Data is dropped; all else is bounded by the tables it comes from.
pub const MAX_OUTPUTS: usize = 16 * 1024;

/// Wake-ups that one `tick` serves, so that a long sleep's work comes in portions; the next deadline is then past due.
pub const WAKE_UPS_PER_TICK: usize = 512;

// ── Stamps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A stamp this many minutes from the present, either way, is refused: clocks differ, and ids are remembered for as long.
pub const STAMP_MINUTES: u32 = 10;

/// What is stamped further ahead of this node's clock than this lays no scent, so that after a restart nothing has to be without scent for longer
/// than this and a minute. Clocks that the network sets differ by less than a second.
pub const SCENT_AHEAD: Duration = Duration::from_secs(60);

/// Ids of messages remembered for one hop: 54 new messages a second over ten minutes, eight times ordinary life in a
/// network of 10,000 nodes; beyond, its messages are dropped. Up to 1.6 MB.
pub const MAX_SEEN_PER_HOP: usize = 32 * 1024;

/// Ids remembered in all, up to 13 MB: a neighbour that comes back under new link ids gains nothing beyond; whoever holds most
/// gives way.
pub const MAX_SEEN: usize = 8 * MAX_SEEN_PER_HOP;

/// Bits for ids that gave way, for each ten minutes of stamps: 2 MB, three times at most. To make one honest message in forty lay no scent takes two
/// million others, as many as twenty neighbours' budgets let in in ten minutes.
pub const FORGOTTEN_BITS: usize = 1 << 24;

/// Copies of one message that lay scent: the fifth would add a sixteenth.
pub const SCENT_RANKS: usize = 4;

// ── Scent ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Addresses with scent. Under 150 bytes each: 2.4 MB.
pub const MAX_ROWS: usize = 16 * 1024;

/// Hops in one row: the copies of one message that lay scent, and two more; the weakest gives way to a stronger.
pub const MAX_ROW_ENTRIES: usize = 6;

/// An address that is heard of again so long after the first time has come to stay: most, made for one question, are not.
pub const PROBATION: Duration = Duration::from_secs(60);

/// How long a hop whose trail proved bad is not chosen where there is another: several tries of a connection.
pub const FAILURE_MEMORY: Duration = Duration::from_secs(300);

/// A row that nothing touched for so long is forgotten: no trail of that time lives any more.
pub const ROW_IDLE: Duration = Duration::from_secs(600);

/// A hop's entry is weakened for silence at most this often: else Seeks that nobody answers could be used to erase a row.
pub const SILENCE_INTERVAL: Duration = Duration::from_secs(60);

// ── Floods ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Hops after the counter has started: a flood's reach in the original MUTE (35 in steps of 5).
pub const COUNTED_HOPS: u8 = 7;

/// How long a node waits to hear again of a flooded message that it passed on hidden, before it lets it spread from here: hidden hops, and
/// the way back, of some 100 ms each; a time between these, always the same for what comes by one neighbour.
pub const HIDDEN_PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Messages of one hop passed on hidden that a node waits for: 85 a second, more than its budget for floods lets in. More spread at once.
pub const MAX_HIDDEN_PER_HOP: usize = 256;

/// Messages passed on hidden that a node waits for in all: sixteen neighbours' shares, some 2 MB, however many links come and go.
pub const MAX_HIDDEN: usize = 16 * MAX_HIDDEN_PER_HOP;

/// Hops of a drop tree's tail, as in the original MUTE: the neighbour that gets one cannot tell by what it gets back whether it is the last.
pub const TAIL_HOPS: u8 = 2;

/// The last count that all nodes hear where floods fade.
pub const FADE_FROM: u8 = 4;

/// The count that no node hears any more where floods fade: eight steps, so that what one step more or less tells about who heard it is an
/// eighth of what an edge would.
pub const FADE_TO: u8 = 12;

// ── Walks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Walkers that a walk splits into where its stem ends, as a power of two. With their hops some 700 nodes: where a Seek reaches as many of
/// 10^5, they meet at four to five.
pub const WALKERS_LOG2: u8 = 7;

/// The mean number of hops that a walker goes by itself.
pub const WALKER_HOPS: u8 = 4;

/// Walkers of a directed Seek whose scent ends, as a power of two: with their hops some 40 nodes near the address, where many smell of it.
pub const LOST_WALKERS_LOG2: u8 = 3;

/// Ways that the walks of one address begin.
pub const WALK_STEMS: u8 = 2;

/// Tries of a connection that walk where addresses are found so, before one floods.
pub const WALKING_TRIES: u32 = 2;

/// How often a node passes one walk on: more than once, since in a network of cliques walkers meet themselves after a few hops.
pub const MAX_WALK_VISITS: u8 = 3;

/// An address walks again after a time between these: before the rows that it laid are forgotten.
pub const WALK_INTERVAL: [Duration; 2] = [Duration::from_secs(240), Duration::from_secs(300)];

/// An address that has begun to listen walks after a time between these.
pub const WALK_SOON: [Duration; 2] = [Duration::ZERO, Duration::from_secs(2)];

// ── Budgets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Bytes of Floods and flooded Seeks from one hop in a second: eight neighbours together take a tenth of an upload of 10 Mbit/s.
pub const FLOOD_BYTES_PER_S: u64 = 16 * 1024;

/// How much of it may come at once: eight seconds' worth.
pub const FLOOD_BURST_BYTES: u64 = 8 * FLOOD_BYTES_PER_S;

/// Bytes of directed Seeks and Letters from one hop in a second: they take one path only, but their ids are remembered as a flood's.
pub const DIRECTED_BYTES_PER_S: u64 = 16 * 1024;

/// How much of it may come at once: eight seconds' worth.
pub const DIRECTED_BURST_BYTES: u64 = 8 * DIRECTED_BYTES_PER_S;

/// Bytes of Trails and Keeps from one hop in a second: the Keeps of 4,096 trails from both ends take 50 KB.
pub const TRAIL_BYTES_PER_S: u64 = 64 * 1024;

/// How much of it may come at once: eight seconds' worth.
pub const TRAIL_BURST_BYTES: u64 = 8 * TRAIL_BYTES_PER_S;

/// Seeks that came by one hop and are answered in a second: an answer costs a signature and an agreement, some 200 µs, so 1 % of a core.
/// A flood's budget allows 80: whoever wants an owner to answer nobody else has to spend nearly all of it.
pub const ANSWERS_PER_S: u64 = 64;

/// How many of them at once.
pub const ANSWERS_BURST: u64 = 256;

/// Closes to one neighbour for labels that name nothing, in a second: honest ones come after a trail's end, a few each.
pub const CLOSES_PER_S: u64 = 64;

/// How many of them at once.
pub const CLOSES_BURST: u64 = 256;

/// One Close for one label in so long.
pub const CLOSE_INTERVAL: Duration = Duration::from_secs(1);

/// Labels of the last interval remembered for that; more wait for none, as [`CLOSES_BURST`] is no higher.
pub const MAX_RECENT_CLOSES: usize = 256;

// ── Waits ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What may wait in all, in bytes: an identity that alone takes half of it hears 80 MB/s at a turnaround of 200 ms.
pub const HELD_BYTES: usize = 32 << 20;

/// What the smallest thing that waits is charged: its place in memory. So at most 131,072 wait.
pub const LEAST_HELD_BYTES: usize = 256;

/// What one `tick` releases, so that a long sleep's work comes in portions: below [`MAX_OUTPUTS`], even if each is a Close.
pub const RELEASES_PER_TICK: usize = 4096;

// ── Seeks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How long a node remembers by which neighbours a Seek came, and a seeker waits for its Trail.
pub const SEEK_MEMORY: Duration = Duration::from_secs(60);

/// Seeks remembered for one hop: 136 a second, more than the floods' budget lets in.
pub const MAX_SEEKS_PER_HOP: usize = 8 * 1024;

/// Seeks remembered in all, of some 200 bytes each: 13 MB.
pub const MAX_SEEKS: usize = 8 * MAX_SEEKS_PER_HOP;

/// Hops remembered for one Seek, in the order in which it came by them.
pub const MAX_SEEK_HOPS: usize = 8;

/// No Trail so long after a directed Seek was passed on: the choice was a bad one.
pub const SEEK_SILENCE: Duration = Duration::from_secs(5);

/// The wait for a Trail before the second try; doubled with each further one. Over seven hops of 200 ms either way it takes 2.8 s.
pub const FIRST_RETRY: Duration = Duration::from_secs(3);

/// How long a connection without a trail is sought by default: some six tries.
pub const NO_ROUTE_AFTER: Duration = Duration::from_secs(60);

/// The longest wait between two tries.
pub const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A connection that waits seeks again after a time between these when a link comes up: by then its neighbour's Hello has passed both ways.
pub const HASTENED: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// New links hasten connections this often: one extra Seek in the time of three tries, whoever comes and goes.
pub const HASTEN_INTERVAL: Duration = Duration::from_secs(10);

/// Seeks of one connection whose Trail is still welcome: the directed one, the flooded one, and one more.
pub const MAX_PENDING_SEEKS: usize = 3;

// ── Trails ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A trail ends after so long whatever Keeps say.
pub const TRAIL_LIFE: Duration = Duration::from_secs(600);

/// The seeker lays the successor at a time between these.
pub const RENEW_AFTER: [Duration; 2] = [Duration::from_secs(360), Duration::from_secs(480)];

/// How long a trail goes on carrying beside its successor.
pub const OVERLAP: Duration = Duration::from_secs(30);

/// An end sends its next Keep after a time between these.
pub const KEEP_INTERVAL: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(40)];

/// A binding without a Keep of one of its ends is forgotten after this time, the same at all nodes and without a word: of times that each node
/// drew the least would show, and how many there are of them.
pub const KEEP_PATIENCE: Duration = Duration::from_secs(75);

/// An end sends its first Keeps after a time between these: what is wrong with a trail shows in the first seconds.
pub const EARLY_KEEP_INTERVAL: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];

/// So many Keeps of an end come early, and so many where packets are missing: the first tells what there is to miss, the second that it is missed.
pub const EARLY_KEEPS: [u32; 2] = [2, 4];

/// A binding that never saw a Keep of one of its ends is forgotten after this time, the same at all nodes and without a word as well.
pub const FIRST_KEEP_PATIENCE: Duration = Duration::from_secs(9);

/// When a trail ends and one of its ends has said nothing for so much longer than it may between two Keeps, something on the way to it swallows them.
pub const OVERDUE: Duration = Duration::from_secs(3);

/// Packets none of which arrived, until a trail counts as swallowing all: what a handshake sends that nobody answers in two seconds. Where
/// one packet in a hundred is lost it is a false alarm one time in 10,000, and costs one Seek.
pub const NONE_ARRIVED: u64 = 2;

/// A flooded Seek that comes by a hop through which trails of its author proved bad waits so long for another copy: else whoever is fast stays on
/// every way, since his copies are the first everywhere behind him.
pub const OTHER_WAY_PATIENCE: Duration = Duration::from_millis(500);

/// Trails in a row that proved bad and are replaced at once; further ones after a wait, as between tries.
pub const BAD_TRAILS: u32 = 3;

/// A trail that was lost younger than this counts as a failure: seeking anew then waits as between tries.
pub const YOUNG_TRAIL: Duration = Duration::from_secs(60);

/// Labels of one neighbour's choice, and of ours towards it.
pub const MAX_LABELS: usize = 4096;

/// Packets that a trail must have carried for it to count as used, where there is no room for all: who lays trails and sends next to nothing
/// over them gives way to himself.
pub const USED_PACKETS: u64 = 8;

/// Trails through or at this node: eight neighbours' labels. Some 400 bytes each: 13 MB.
pub const MAX_BINDINGS: usize = 8 * MAX_LABELS;

/// Packets that an end sent between two Keeps for their loss to mean anything.
pub const LOSS_SAMPLE: u64 = 64;

/// The same where nothing arrived: that so many are lost by chance does not happen where a connection is of any use.
pub const SILENCE_SAMPLE: u64 = 8;

/// Keeps in a row that show a loss of more than half, until a trail counts as bad: one may lie just behind a burst.
pub const BAD_KEEPS: u8 = 2;

// ── Letters ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How long answers to a one-time key find their port: as long as a stamp is accepted.
pub const REPLY_KEY_LIFE: Duration = Duration::from_secs(600);

/// One-time keys of one port; the oldest gives way.
pub const MAX_REPLY_KEYS_PER_PORT: usize = 128;
