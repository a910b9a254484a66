//! `join`: nodes join one after the other by the daemon's neighbour policy, among an adversary's; who ends up beside whom, with each rule on
//! and off.

use std::time::Duration;

use clap::{Args, ValueEnum};
use mute_core::neighbours::{Rules, limits};
use serde::Serialize;

use crate::{
    Record, Table,
    join::{Churn, JoinConfig, Measured, Strategy},
};

/// The arguments of `join`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Join {
    /// Honest nodes.
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// The adversary's share of the nodes on line.
    #[arg(long, default_value_t = 0.15)]
    pub adversary: f64,
    /// The /24s that the adversary's nodes are in.
    #[arg(long, default_value_t = 16)]
    pub prefixes: usize,
    /// The /16s that those are in.
    #[arg(long, default_value_t = 16)]
    pub providers: usize,
    /// What those do beside staying, telling of each other and dialling everybody.
    #[arg(long, value_enum, default_value_t = Strategy::Stay)]
    pub strategy: Strategy,
    /// Friends of each honest node, honest as well; an even number.
    #[arg(long, default_value_t = 0)]
    pub friends: usize,
    /// Honest hosts that everybody knows from the start.
    #[arg(long, default_value_t = 3)]
    pub known: usize,
    /// The share of honest nodes that others can dial.
    #[arg(long, default_value_t = 1.0)]
    pub reachable: f64,
    /// Hours over which it is measured, after an hour for all to settle.
    #[arg(long, default_value_t = 6)]
    pub hours: u64,
    /// The mean stay of a node in minutes (Weibull, shape 0.38); 0: all stay for good.
    #[arg(long, default_value_t = 42.4)]
    pub stay: f64,
    /// The mean absence of a node in minutes.
    #[arg(long, default_value_t = 42.4)]
    pub away: f64,
    /// Which rules.
    #[arg(long, value_enum, default_value_t = Variant::All)]
    pub rules: Variant,
}

/// A rule switched off, or all of them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// What MUTE does.
    All,
    /// Any number of strangers of one /24 or /16.
    NoPrefixLimit,
    /// Any number of strangers of one /16, one of each /24.
    NoWideLimit,
    /// Any number of chosen strangers that one origin told of.
    NoOriginLimit,
    /// Anybody may link with anybody.
    NoPartners,
    /// As many may come as there are places, before anybody was chosen.
    NoWaiting,
    /// Those that come take the places of those that are chosen.
    SharedSlots,
    /// Every address that is known is as likely to be dialled.
    ByEntry,
    /// Newcomers to the book take others' places.
    RandomPlaces,
    /// Nobody is remembered as an anchor, no place is held.
    NoAnchors,
    /// A lost one's place is not kept for it.
    NoHold,
    /// Half of the chosen ones may be anchors while the book names others.
    HalfAnchors,
    /// Better ones take places at once.
    HastyChange,
    /// Nobody is ever given up for a better one.
    NoChange,
    /// None of the rules above.
    None,
    /// One after the other, a table of all.
    Each,
}

/// Those of [`Variant::Each`].
const EACH: [Variant; 15] = [
    Variant::All,
    Variant::NoPrefixLimit,
    Variant::NoWideLimit,
    Variant::NoOriginLimit,
    Variant::NoPartners,
    Variant::NoWaiting,
    Variant::SharedSlots,
    Variant::ByEntry,
    Variant::RandomPlaces,
    Variant::NoAnchors,
    Variant::NoHold,
    Variant::HalfAnchors,
    Variant::HastyChange,
    Variant::NoChange,
    Variant::None,
];

impl Variant {
    /// The rules of an honest node.
    fn rules(self) -> Rules {
        let default = Rules::default();
        let no_limit = usize::MAX;
        match self {
            Self::All | Self::Each => default,
            Self::NoPrefixLimit => Rules { per_prefix: no_limit, per_wide_prefix: no_limit, ..default },
            Self::NoWideLimit => Rules { per_wide_prefix: no_limit, ..default },
            Self::NoOriginLimit => Rules { per_origin: no_limit, ..default },
            Self::NoPartners => Rules { partners: None, ..default },
            Self::NoWaiting => Rules { inbound_per_chosen: no_limit / 64, ..default },
            Self::SharedSlots => Rules { separate_slots: false, ..default },
            Self::ByEntry => Rules { choose_by_prefix: false, ..default },
            Self::RandomPlaces => Rules { fixed_places: false, ..default },
            Self::NoAnchors => Rules { anchors: 0, hold: Duration::ZERO, ..default },
            Self::NoHold => Rules { hold: Duration::ZERO, ..default },
            Self::HalfAnchors => Rules { anchor_places: limits::OUTBOUND_STRANGERS / 2, ..default },
            Self::HastyChange => {
                Rules { minimum_stay: Duration::ZERO, change_interval: Some(Duration::ZERO), ..default }
            }
            Self::NoChange => Rules { change_interval: None, ..default },
            Self::None => Rules {
                per_prefix: no_limit,
                per_wide_prefix: no_limit,
                per_origin: no_limit,
                partners: None,
                inbound_per_chosen: no_limit / 64,
                separate_slots: false,
                choose_by_prefix: false,
                fixed_places: false,
                anchors: 0,
                hold: Duration::ZERO,
                ..default
            },
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Join {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("join", self, seed);
        if self.rules == Variant::Each {
            self.each(&mut record, seed);
        } else {
            let measured = self.one(self.rules, seed);
            figures(&mut record, &measured);
            for (name, value) in exposures(&measured) {
                record.figure(name, "", value);
            }
        }
        record
    }

    /// The same network again for each rule.
    fn each(&self, record: &mut Record, seed: u64) {
        let columns = [
            "rules",
            "links",
            "time below 4",
            "adversary's share",
            "of chosen",
            "ever chosen",
            "half or more",
            "under 2 honest",
            "eclipsed",
            "chosen per hour",
        ];
        let mut table =
            Table::new("Each rule switched off (shares; of time, but for the links and who was ever chosen)", &columns);
        let mut with_all = Measured::default();
        for variant in EACH {
            let measured = self.one(variant, seed);
            for (name, value) in exposures(&measured) {
                record.figure(&format!("{}: {name}", variant.name()), "", value);
            }
            let shares = exposures(&measured).map(|(_, value)| value.into());
            let start = [variant.name().into(), measured.links.into(), measured.few.into()];
            table.rows.push(start.into_iter().chain(shares).chain([measured.choices_per_hour.into()]).collect());
            if variant == Variant::All {
                with_all = measured;
            } else if let Some((_, least)) = WORTH.iter().find(|(rule, _)| *rule == variant)
                && self.adversary > 0.0
            {
                let times = measured.adversary_share / with_all.adversary_share.max(f64::MIN_POSITIVE);
                record.at_least(&format!("{}: adversary's share, with all rules 1", variant.name()), "", times, *least);
            }
        }
        record.tables.push(table);
    }

    fn one(&self, variant: Variant, seed: u64) -> Measured {
        let minutes = |minutes: f64| Duration::from_secs_f64(60.0 * minutes);
        let churn = (self.stay > 0.0).then(|| Churn {
            shape: 0.38,
            mean_up: minutes(self.stay),
            mean_down: minutes(self.away),
        });
        let online = if churn.is_some() { self.stay / (self.stay + self.away) } else { 1.0 };
        let share = self.adversary.clamp(0.0, 0.99);
        let config = JoinConfig {
            adversaries: (self.nodes as f64 * online * share / (1.0 - share)).round() as usize,
            prefixes: self.prefixes,
            providers: self.providers,
            strategy: self.strategy,
            friends: self.friends,
            known: self.known.clamp(1, self.nodes),
            reachable: self.reachable,
            churn,
            rules: variant.rules(),
            ..JoinConfig::new(self.nodes)
        };
        config.run(minutes(60.0), minutes(60.0 * self.hours as f64), seed).0
    }
}

/// Without these rules the adversary's share of neighbours is at least so many times that with all of them.
const WORTH: [(Variant, f64); 4] =
    [(Variant::NoPrefixLimit, 1.2), (Variant::NoPartners, 1.5), (Variant::ByEntry, 1.0), (Variant::None, 2.0)];

fn figures(record: &mut Record, measured: &Measured) {
    record.figure("honest nodes on line", "", measured.online as f64);
    let target = limits::TARGET_LINKS as f64;
    record.figure("links", "", measured.links);
    let off = (measured.links - target).abs();
    record.check("links: within one of the target of 8", off <= 1.0, format!("{}", measured.links));
    record.at_most("links at most", "", measured.most_links as f64, limits::MOST_LINKS as f64);
    record.exactly("more strangers of a prefix than may be", "", measured.broken_limits as f64, 0.0);
    record.at_most("time with fewer than 4 links", "", measured.few, 0.01);
    record.at_least("connected by honest links", "", measured.connected, 0.99);
    record.figure("diameter", "hops", f64::from(measured.diameter));
    record.figure("mean path", "hops", measured.mean_path);
    record.figure("clustering", "", measured.clustering);
    for (name, [median, high]) in [("first start", measured.first_join), ("return", measured.return_join)] {
        record.figure(&format!("{name} to the fourth link, median"), "s", median);
        record.figure(&format!("{name} to the fourth link, 95 %"), "s", high);
    }
    record.figure("addresses known", "", measured.book);
    record.figure("strangers chosen per hour on line", "", measured.choices_per_hour);
    let degrees = measured.degrees.iter().enumerate();
    let points = degrees.map(|(links, nodes)| [links as f64, *nodes as f64 / measured.online.max(1) as f64]);
    record.series("Links of a node", "honest nodes", ["links", "share of nodes"], points.collect());
}

fn exposures(measured: &Measured) -> [(&'static str, f64); 6] {
    [
        ("adversary's share of neighbours", measured.adversary_share),
        ("adversary's share of choices", measured.adversary_chosen),
        ("ever chose one of the adversary's", measured.ever_chosen),
        ("time with half or more the adversary's", measured.half),
        ("time with fewer than 2 honest", measured.short),
        ("time eclipsed", measured.eclipsed),
    ]
}
